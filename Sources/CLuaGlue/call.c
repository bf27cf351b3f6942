// One call: a fresh Lua state, the script loaded from disk, its functions looked for, one of them called (spec 4.1,
// 4.3).
// Everything that can raise a Lua error runs below the one lua_pcall in `bb_perform`.
#include "internal.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/// In the order in which Slurm names those that are missing.
static const char *const required[] = {
    "slurm_bb_job_process", "slurm_bb_pools",   "slurm_bb_job_teardown", "slurm_bb_setup",    "slurm_bb_data_in",
    "slurm_bb_test_data_in", "slurm_bb_real_size", "slurm_bb_paths",    "slurm_bb_pre_run",  "slurm_bb_post_run",
    "slurm_bb_data_out", "slurm_bb_test_data_out", "slurm_bb_get_status",
};
enum { required_count = sizeof required / sizeof required[0] };

/// How many instructions run between two looks at whether the call is to end.
enum { instructions_per_look = 10000 };

struct bb_call *bb_call_of(lua_State *L) { return *(struct bb_call **)lua_getextraspace(L); }

void bb_call_log(struct bb_call *call, int level, const char *format, ...) {
    char text[BB_LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (count < 0) return;
    if ((size_t)count >= sizeof text) count = (int)sizeof text - 1;
    call->sink->log(call->sink->context, level, text, (size_t)count);
}

/// The first end and message that are set stay.
static void end_with(struct bb_call *call, int end, int64_t status, const char *message, size_t count) {
    call->outcome.end = end;
    call->outcome.status = status;
    free(call->outcome.message);
    call->outcome.message = NULL;
    call->outcome.message_count = 0;
    if (message == NULL) return;
    char *copy = malloc(count + 1);
    if (copy == NULL) return;
    memcpy(copy, message, count);
    copy[count] = 0;
    call->outcome.message = copy;
    call->outcome.message_count = count;
}

static void broken(struct bb_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void broken(struct bb_call *call, const char *format, ...) {
    char text[BB_LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (count < 0) count = 0;
    if ((size_t)count >= sizeof text) count = (int)sizeof text - 1;
    end_with(call, BB_END_BROKEN, 0, text, (size_t)count);
}

static void *limited_alloc(void *context, void *block, size_t old, size_t new) {
    struct bb_call *call = context;
    if (block == NULL) old = 0; // then it says what kind of object it is for
    if (new == 0) {
        free(block);
        call->heap -= old;
        return NULL;
    }
    if (call->heap_max && new > old && call->heap + (new - old) > call->heap_max) return NULL;
    void *moved = realloc(block, new);
    if (moved != NULL) call->heap += new - old;
    return moved;
}

static void look(lua_State *L, lua_Debug *where) {
    (void)where;
    struct bb_call *call = bb_call_of(L);
    if (!atomic_load_explicit(&call->stop->asked, memory_order_relaxed)) return;
    // A script that catches the error with pcall meets the next one at its next instruction.
    lua_sethook(L, look, LUA_MASKCOUNT, 1);
    luaL_error(L, "the call was ended");
}

/// The text of the value at `index`, also where it is no string; valid while it stays on the stack.
static const char *error_text(lua_State *L, int index, char *buffer, size_t size) {
    if (lua_type(L, index) == LUA_TSTRING) return lua_tostring(L, index);
    if (lua_type(L, index) == LUA_TNUMBER) {
        snprintf(buffer, size, "%.14g", lua_tonumber(L, index));
        return buffer;
    }
    snprintf(buffer, size, "error object is a %s value", luaL_typename(L, index));
    return buffer;
}

/// Loads the script and looks for the functions. False where the call cannot go on.
static bool load(lua_State *L, struct bb_call *call) {
    const char *path = call->script.bytes;
    struct stat status;
    char buffer[80];
    if (stat(path, &status) != 0) {
        broken(call, "Unable to stat %s: %s", path, strerror(errno));
    } else if (S_ISDIR(status.st_mode)) {
        broken(call, "%s: is a folder, no script", path);
    } else if (luaL_loadfile(L, path) != LUA_OK || lua_pcall(L, 0, 0, 0) != LUA_OK) {
        broken(call, "%s: %s", path, error_text(L, -1, buffer, sizeof buffer));
    } else {
        bool complete = true;
        for (int i = 0; i < required_count; i++) {
            lua_pushglobaltable(L);
            lua_pushstring(L, required[i]);
            lua_rawget(L, -2);
            if (!lua_isfunction(L, -1)) {
                bb_call_log(call, BB_LOG_ERROR, "%s: missing required function %s", path, required[i]);
                complete = false;
            }
            lua_pop(L, 2);
        }
        if (complete) return true;
        broken(call, "%s: required function(s) not present", path);
    }
    return false;
}

/// The number that a script answered, as a status: 0 is success and nothing else (spec 10, Q36).
static int64_t status_of(double number) {
    if (!isfinite(number)) return 255;
    if (number > INT32_MAX) return INT32_MAX;
    if (number > -1) return (int64_t)number; // non-integers are truncated
    if (number < INT32_MIN) return 255;
    int64_t low = (int64_t)number & 255; // as the child of scriptd would end: -1 is 255
    return low ? low : 255;
}

/// What stands on the stack from `first` on is what the function returned (spec 4.3).
static void read_answer(lua_State *L, struct bb_call *call, int first) {
    const char *name = call->function.bytes;
    int count = lua_gettop(L) - first + 1;
    end_with(call, BB_END_SUCCESS, 0, NULL, 0);
    if (count == 0) return;
    int64_t status;
    if (lua_isnumber(L, first)) {
        status = status_of(lua_tonumber(L, first));
    } else {
        bb_call_log(
            call, BB_LOG_ERROR, "_handle_lua_return_code: %s returned a non-numeric return code, returning error", name);
        status = 255;
    }
    size_t message_count = 0;
    const char *message = NULL;
    if (count > 1 && lua_isstring(L, first + 1)) {
        message = lua_tolstring(L, first + 1, &message_count);
        if (message_count > BB_MESSAGE_MAX) {
            bb_call_log(
                call, BB_LOG_ERROR, "%s returned a message of %zu bytes, more than the %u that are taken", name,
                message_count, BB_MESSAGE_MAX);
            message = NULL;
            status = 255;
        }
    } else if (count > 1) {
        bb_call_log(
            call, BB_LOG_ERROR,
            "_handle_lua_return: Cannot handle non-string as second return value for lua function %s.", name);
        status = 255;
    }
    end_with(call, status ? BB_END_FAILURE : BB_END_SUCCESS, status, message, message_count);
}

static int perform(lua_State *L) {
    struct bb_call *call = lua_touserdata(L, 1);
    lua_settop(L, 0);
    luaL_openlibs(L);
    bb_slurm_open(L);
    if (!load(L, call)) return 0;
    end_with(call, BB_END_SUCCESS, 0, NULL, 0);
    if (call->function.count == 0) return 0;
    lua_settop(L, 0);
    if (lua_getglobal(L, call->function.bytes) != LUA_TFUNCTION) {
        broken(call, "%s: no function %s", call->script.bytes, call->function.bytes);
        return 0;
    }
    int count = (int)call->argument_count + call->has_info;
    luaL_checkstack(L, count + 10, "too many arguments");
    struct bb_reader reader = {call->arguments, call->frame_end, false};
    for (uint32_t i = 0; i < call->argument_count; i++) {
        struct bb_text text = bb_read_text(&reader);
        lua_pushlstring(L, text.bytes, text.count);
    }
    if (call->has_info) bb_job_info_push(L, call);
    if (lua_pcall(L, count, LUA_MULTRET, 0) == LUA_OK) {
        read_answer(L, call, 1);
    } else {
        char buffer[80];
        bb_call_log(
            call, BB_LOG_ERROR, "%s: %s", call->script.bytes, error_text(L, -1, buffer, sizeof buffer));
        end_with(call, BB_END_FAILURE, 255, NULL, 0);
    }
    return 0;
}

/// False where the frame is none.
static bool read_call(struct bb_call *call, const uint8_t *frame, size_t count) {
    struct bb_reader reader = {frame, frame + count, false};
    if (bb_read_u32(&reader) != count - 4 || bb_read_u8(&reader) != BB_FRAME_CALL) return false;
    bb_read_u64(&reader);
    bb_read_u64(&reader);
    bb_read_u64(&reader);
    call->cluster = bb_read_text(&reader);
    call->script = bb_read_text(&reader);
    call->function = bb_read_text(&reader);
    call->frame_end = reader.end;
    call->argument_count = bb_read_u32(&reader);
    call->arguments = reader.at;
    for (uint32_t i = 0; i < call->argument_count && !reader.bad; i++) bb_read_text(&reader);
    call->has_info = bb_read_u8(&reader);
    call->field_count = bb_read_u32(&reader);
    // The shortest field takes 7 bytes, so that a wrong number is seen before memory is asked for.
    if (reader.bad || call->field_count > (size_t)(reader.end - reader.at) / 7) return false;
    call->fields = calloc(call->field_count + 1, sizeof *call->fields);
    if (call->fields == NULL) return false;
    for (uint32_t i = 0; i < call->field_count && !reader.bad; i++) {
        struct bb_field *field = &call->fields[i];
        field->name = bb_read_text(&reader);
        field->kind = bb_read_u8(&reader);
        switch (field->kind) {
        case BB_KIND_TEXT: field->text = bb_read_text(&reader); break;
        case BB_KIND_INTEGER: field->integer = (int64_t)bb_read_u64(&reader); break;
        case BB_KIND_NUMBER: {
            uint64_t bits = bb_read_u64(&reader);
            memcpy(&field->number, &bits, 8);
            break;
        }
        case BB_KIND_LIST:
            field->list_count = bb_read_u32(&reader);
            field->list = reader.at;
            for (uint32_t j = 0; j < field->list_count && !reader.bad; j++) bb_read_text(&reader);
            break;
        default: return false;
        }
    }
    return !reader.bad && reader.at == reader.end;
}

/// Whether the state has loaded a library in C: Lua 5.4 keeps the handles in a list of its registry.
static int count_libraries(lua_State *L) {
    bool *loaded = lua_touserdata(L, 1);
    *loaded = lua_getfield(L, LUA_REGISTRYINDEX, "_CLIBS") != LUA_TTABLE || lua_rawlen(L, -1) > 0;
    return 0;
}

struct bb_outcome bb_perform(
    const uint8_t *frame, size_t count, const struct bb_sink *sink, uint64_t heap_max, bb_stop *stop,
    bool *loaded_library) {
    if (loaded_library != NULL) *loaded_library = true;
    struct bb_call call = {.sink = sink, .stop = stop, .heap_max = heap_max, .in_process = sink->print != NULL};
    if (!read_call(&call, frame, count)) {
        free(call.fields);
        broken(&call, "the call's frame is damaged");
        return call.outcome;
    }
    lua_State *L = lua_newstate(limited_alloc, &call);
    if (L == NULL) {
        broken(&call, "not enough memory for a Lua state");
        free(call.fields);
        return call.outcome;
    }
    *(struct bb_call **)lua_getextraspace(L) = &call;
    if (stop != NULL) lua_sethook(L, look, LUA_MASKCOUNT, instructions_per_look);
    lua_pushcfunction(L, perform); // neither of the two takes memory
    lua_pushlightuserdata(L, &call);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        char buffer[80];
        broken(&call, "%s: %s", call.script.bytes, error_text(L, -1, buffer, sizeof buffer));
    }
    if (loaded_library != NULL) {
        lua_settop(L, 0);
        lua_pushcfunction(L, count_libraries);
        lua_pushlightuserdata(L, loaded_library);
        if (lua_pcall(L, 1, 0, 0) != LUA_OK) *loaded_library = true;
    }
    lua_close(L); // closes files that the script left open
    free(call.fields);
    if (stop != NULL && atomic_load(&stop->asked)) end_with(&call, BB_END_KILLED, 0, NULL, 0);
    return call.outcome;
}

// MARK: In this process

struct collected {
    struct bb_log log;
    struct bb_bytes printed;
};

static void collect_line(void *context, int level, const char *text, size_t count) {
    bb_log_add(&((struct collected *)context)->log, level, text, count);
}

static void collect_print(void *context, const char *text, size_t count) {
    struct bb_bytes *printed = &((struct collected *)context)->printed;
    size_t left = BB_PRINTED_MAX - printed->count;
    bb_add(printed, text, count < left ? count : left);
}

uint8_t *bb_hook_call(const uint8_t *frame, size_t count, bb_stop *stop, size_t *answer_count) {
    struct bb_reader reader = {frame, frame + count, false};
    bb_read_u32(&reader);
    bb_read_u8(&reader);
    uint64_t id = bb_read_u64(&reader);
    bb_read_u64(&reader);
    uint64_t heap_max = bb_read_u64(&reader);
    struct collected collected = {0};
    struct bb_sink sink = {collect_line, collect_print, &collected};
    int64_t start = bb_now_realtime_us(), from = bb_now_monotonic_us();
    struct bb_outcome outcome = bb_perform(frame, count, &sink, heap_max, stop, NULL);
    int64_t duration = bb_now_monotonic_us() - from;
    struct bb_bytes answer = {0};
    bb_add_answer(
        &answer, id, &outcome, (const char *)collected.printed.bytes, collected.printed.count, &collected.log, 0, start,
        duration);
    free(outcome.message);
    bb_bytes_free(&collected.log.lines);
    bb_bytes_free(&collected.printed);
    if (answer.failed) {
        bb_bytes_free(&answer);
        return NULL;
    }
    *answer_count = answer.count;
    return answer.bytes;
}

bb_stop *bb_stop_new(void) { return calloc(1, sizeof(struct bb_stop)); }
void bb_stop_free(bb_stop *stop) { free(stop); }
void bb_stop_ask(bb_stop *stop) { atomic_store(&stop->asked, 1); }
void bb_stop_reset(bb_stop *stop) { atomic_store(&stop->asked, 0); }
