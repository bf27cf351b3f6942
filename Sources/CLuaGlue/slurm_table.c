// The global table `slurm` (spec 4.4), and what a script may not do to the daemon that it runs in.
#define _GNU_SOURCE
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// MARK: Logs

static void log_text(lua_State *L, int level, int index) {
    size_t count = 0;
    const char *text = luaL_tolstring(L, index, &count);
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    luaL_addstring(&buffer, "lua: ");
    luaL_addlstring(&buffer, text, count);
    luaL_pushresult(&buffer);
    text = lua_tolstring(L, -1, &count);
    struct bb_call *call = bb_call_of(L);
    call->sink->log(call->sink->context, level, text, count);
}

/// log_error(format, ...) and its kin. Upvalues: the level; string.format as it was before the script ran.
static int log_formatted(lua_State *L) {
    int level = (int)lua_tointeger(L, lua_upvalueindex(1));
    int count = lua_gettop(L);
    luaL_checkany(L, 1);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_call(L, count, 1);
    log_text(L, level, -1);
    return 0;
}

/// log(level, text): 0 info, 1 verbose, 2 debug, 3 debug2, 4 debug3, above debug4.
static int log_level(lua_State *L) {
    lua_Number level = luaL_checknumber(L, 1);
    luaL_checkany(L, 2);
    static const int levels[] = {BB_LOG_INFO, BB_LOG_VERBOSE, BB_LOG_DEBUG, BB_LOG_DEBUG2, BB_LOG_DEBUG3};
    log_text(L, level > 4 ? BB_LOG_DEBUG4 : levels[level > 0 ? (int)level : 0], 2);
    return 0;
}

static int log_error(lua_State *L) {
    luaL_checkany(L, 1);
    log_text(L, BB_LOG_ERROR, 1);
    return 0;
}

// MARK: Other functions

/// Reads at most nine digits; -1 where there are none or more.
static long digits(const char **text) {
    long number = 0;
    int count = 0;
    for (; **text >= '0' && **text <= '9'; (*text)++, count++) {
        if (count == 9) return -1;
        number = number * 10 + (**text - '0');
    }
    return count ? number : -1;
}

double bb_minutes(const char *text) {
    const double no_value = 4294967294.0, infinite = 4294967295.0;
    if (!strcasecmp(text, "INFINITE") || !strcasecmp(text, "UNLIMITED") || !strcmp(text, "-1")) return infinite;
    long parts[4] = {0}, days = 0;
    int count = 0;
    bool has_days = false;
    for (;;) {
        long part = digits(&text);
        if (part < 0) return no_value;
        if (*text == '-' && !has_days && count == 0) {
            has_days = true;
            days = part;
        } else {
            parts[count++] = part;
            if (*text != ':') break;
            if (count == 3) return no_value;
        }
        text++;
    }
    if (*text != 0) return no_value;
    double hours = 0, minutes = 0, seconds = 0;
    if (has_days) { // days-hours[:minutes[:seconds]]
        hours = parts[0];
        minutes = parts[1];
        seconds = parts[2];
    } else if (count == 1) {
        minutes = parts[0];
    } else if (count == 2) { // minutes:seconds
        minutes = parts[0];
        seconds = parts[1];
    } else {
        hours = parts[0];
        minutes = parts[1];
        seconds = parts[2];
    }
    double total = days * 1440.0 + hours * 60 + minutes + (double)(((long)seconds + 59) / 60);
    return total < no_value ? total : no_value;
}

static int time_str2mins(lua_State *L) {
    lua_pushnumber(L, bb_minutes(luaL_checkstring(L, 1)));
    return 1;
}

/// There are no QOS outside Slurm's database: nil, as for an unknown name.
static int get_qos_priority(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    bb_call_log(bb_call_of(L), BB_LOG_ERROR, "get_qos_priority: QOS %s is not known", name);
    lua_pushnil(L);
    return 1;
}

// MARK: A script in the daemon

static void print_text(lua_State *L, const char *text, size_t count) {
    const struct bb_sink *sink = bb_call_of(L)->sink;
    sink->print(sink->context, text, count);
}

static int print(lua_State *L) {
    int count = lua_gettop(L);
    for (int i = 1; i <= count; i++) {
        size_t length;
        const char *text = luaL_tolstring(L, i, &length);
        if (i > 1) print_text(L, "\t", 1);
        print_text(L, text, length);
        lua_pop(L, 1);
    }
    print_text(L, "\n", 1);
    return 0;
}

static int no_exit(lua_State *L) {
    return luaL_error(L, "os.exit would end the daemon that this function runs in: return a value instead");
}

static int no_locale(lua_State *L) {
    if (!lua_isnoneornil(L, 1)) lua_pushnil(L);
    else lua_pushliteral(L, "C");
    return 1;
}

static ssize_t write_sink(void *context, const char *bytes, size_t count) {
    const struct bb_sink *sink = context;
    sink->print(sink->context, bytes, count);
    return (ssize_t)count;
}

static int close_nothing(lua_State *L) {
    ((luaL_Stream *)luaL_checkudata(L, 1, LUA_FILEHANDLE))->closef = close_nothing; // it stays open
    lua_pushnil(L);
    lua_pushliteral(L, "cannot close standard file");
    return 2;
}

static int collect_stream(lua_State *L) {
    luaL_Stream *stream = lua_touserdata(L, 1);
    if (stream->f != NULL) fclose(stream->f);
    stream->f = NULL;
    return 0;
}

/// Lets io.stdout, io.stderr, io.write and print go to the call's answer, not to the daemon's own files.
static void divert_output(lua_State *L) {
    struct bb_call *call = bb_call_of(L);
    lua_getglobal(L, "io");
    luaL_Stream *stream = lua_newuserdata(L, sizeof *stream);
    stream->f = NULL;
    stream->closef = NULL;
    luaL_setmetatable(L, LUA_FILEHANDLE);
    cookie_io_functions_t functions = {.write = write_sink};
    stream->f = fopencookie((void *)call->sink, "w", functions);
    if (stream->f == NULL) luaL_error(L, "no memory for a file");
    setvbuf(stream->f, NULL, _IONBF, 0);
    stream->closef = close_nothing;
    // The file itself is closed with the state, by a value that the script does not see.
    luaL_Stream *owner = lua_newuserdata(L, sizeof *owner);
    owner->f = stream->f;
    lua_newtable(L);
    lua_pushcfunction(L, collect_stream);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_setfield(L, LUA_REGISTRYINDEX, "burst.output");
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "stdout");
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "stderr");
    lua_getfield(L, -2, "output");
    lua_insert(L, -2);
    lua_call(L, 1, 0);
    lua_pop(L, 1);
    lua_register(L, "print", print);
    lua_getglobal(L, "os");
    lua_pushcfunction(L, no_exit);
    lua_setfield(L, -2, "exit");
    lua_pushcfunction(L, no_locale);
    lua_setfield(L, -2, "setlocale");
    lua_pop(L, 1);
}

// MARK: The table

static void add_log(lua_State *L, const char *name, int level) {
    lua_pushinteger(L, level);
    lua_getglobal(L, "string");
    lua_getfield(L, -1, "format");
    lua_remove(L, -2);
    lua_pushcclosure(L, log_formatted, 2);
    lua_setfield(L, -2, name);
}

void bb_slurm_open(lua_State *L) {
    struct bb_call *call = bb_call_of(L);
    if (call->in_process) divert_output(L);
    lua_createtable(L, 0, (int)bb_constants_count + 20);
    for (size_t i = 0; i < bb_constants_count; i++) {
        lua_pushnumber(L, bb_constants[i].value);
        lua_setfield(L, -2, bb_constants[i].name);
    }
    lua_pushlstring(L, call->cluster.bytes, call->cluster.count);
    lua_setfield(L, -2, "CLUSTER_NAME");
    lua_pushliteral(L, "BUSY");
    lua_setfield(L, -2, "SLURM_BB_BUSY");
    add_log(L, "log_error", BB_LOG_ERROR);
    add_log(L, "log_info", BB_LOG_INFO);
    add_log(L, "log_verbose", BB_LOG_VERBOSE);
    add_log(L, "log_debug", BB_LOG_DEBUG);
    add_log(L, "log_debug2", BB_LOG_DEBUG2);
    add_log(L, "log_debug3", BB_LOG_DEBUG3);
    add_log(L, "log_debug4", BB_LOG_DEBUG4);
    // No user waits for a message here, so it goes where the administrator sees it (spec 10, Q38).
    add_log(L, "log_user", BB_LOG_INFO);
    static const luaL_Reg functions[] = {
        {"log", log_level}, {"error", log_error}, {"time_str2mins", time_str2mins},
        {"get_qos_priority", get_qos_priority}, {"to_json", bb_to_json}, {"from_json", bb_from_json},
        // JSON is YAML; what else YAML has is neither written nor read.
        {"to_yaml", bb_to_json}, {"from_yaml", bb_from_json}, {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    lua_setglobal(L, "slurm");
}
