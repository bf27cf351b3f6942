// slurm.to_json and slurm.from_json, by json-c. A json-c value is held by a userdata while Lua may raise an error.
#include "internal.h"

#include <json-c/json.h>
#include <limits.h>
#include <math.h>

/// Tables within tables, at most.
enum { depth_max = 32 };

static int release(lua_State *L) {
    struct json_object **holder = lua_touserdata(L, 1);
    json_object_put(*holder);
    *holder = NULL;
    return 0;
}

static struct json_object **push_holder(lua_State *L) {
    struct json_object **holder = lua_newuserdata(L, sizeof *holder);
    *holder = NULL;
    if (luaL_newmetatable(L, "burst.json")) {
        lua_pushcfunction(L, release);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return holder;
}

/// Writes the value at `index` into `to`. Raises an error for what has no JSON.
static void to_value(lua_State *L, int index, struct json_object **to, int depth) {
    if (depth > depth_max) luaL_error(L, "to_json: tables are nested more than %d deep", depth_max);
    luaL_checkstack(L, 8, "to_json");
    index = lua_absindex(L, index);
    switch (lua_type(L, index)) {
    case LUA_TNIL: return; // json-c's null is NULL
    case LUA_TBOOLEAN: *to = json_object_new_boolean(lua_toboolean(L, index)); return;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
            *to = json_object_new_int64(lua_tointeger(L, index));
        } else {
            double number = lua_tonumber(L, index);
            if (!isfinite(number)) luaL_error(L, "to_json: a number is not finite");
            *to = json_object_new_double(number);
        }
        return;
    case LUA_TSTRING: {
        size_t count;
        const char *text = lua_tolstring(L, index, &count);
        if (count > INT_MAX) luaL_error(L, "to_json: a string is too long");
        *to = json_object_new_string_len(text, (int)count);
        return;
    }
    case LUA_TTABLE: break;
    default: luaL_error(L, "to_json: a %s has no JSON", luaL_typename(L, index));
    }
    lua_Unsigned count = lua_rawlen(L, index);
    struct json_object **holder = push_holder(L); // owns the value until its container does
    if (count > 0) {
        *to = json_object_new_array();
        for (lua_Unsigned i = 1; i <= count; i++) {
            lua_rawgeti(L, index, (lua_Integer)i);
            to_value(L, -1, holder, depth + 1);
            json_object_array_add(*to, *holder);
            *holder = NULL;
            lua_pop(L, 1);
        }
    } else {
        *to = json_object_new_object();
        lua_pushnil(L);
        while (lua_next(L, index) != 0) {
            if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "to_json: a key is a %s", luaL_typename(L, -2));
            to_value(L, -1, holder, depth + 1);
            json_object_object_add(*to, lua_tostring(L, -2), *holder);
            *holder = NULL;
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

int bb_to_json(lua_State *L) {
    luaL_checkany(L, 1);
    struct json_object **holder = push_holder(L);
    to_value(L, 1, holder, 0);
    lua_pushstring(L, json_object_to_json_string_ext(*holder, JSON_C_TO_STRING_PLAIN));
    json_object_put(*holder);
    *holder = NULL;
    return 1;
}

static void from_value(lua_State *L, struct json_object *value) {
    luaL_checkstack(L, 8, "from_json");
    switch (json_object_get_type(value)) {
    case json_type_null: lua_pushnil(L); return;
    case json_type_boolean: lua_pushboolean(L, json_object_get_boolean(value)); return;
    case json_type_int: lua_pushinteger(L, json_object_get_int64(value)); return;
    case json_type_double: lua_pushnumber(L, json_object_get_double(value)); return;
    case json_type_string:
        lua_pushlstring(L, json_object_get_string(value), (size_t)json_object_get_string_len(value));
        return;
    case json_type_array: {
        size_t count = json_object_array_length(value);
        lua_newtable(L);
        for (size_t i = 0; i < count; i++) {
            from_value(L, json_object_array_get_idx(value, i));
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        return;
    }
    case json_type_object:
        lua_newtable(L);
        json_object_object_foreach(value, key, member) {
            lua_pushstring(L, key);
            from_value(L, member);
            lua_rawset(L, -3);
        }
        return;
    }
    lua_pushnil(L);
}

/// The value, or nil and what is wrong with the text.
int bb_from_json(lua_State *L) {
    size_t count;
    const char *text = luaL_checklstring(L, 1, &count);
    if (count > INT_MAX) return luaL_error(L, "from_json: the text is too long");
    struct json_object **holder = push_holder(L);
    struct json_tokener *tokener = json_tokener_new();
    if (tokener == NULL) return luaL_error(L, "from_json: no memory");
    // With its NUL, so that a number at the end is seen to be whole.
    *holder = json_tokener_parse_ex(tokener, text, (int)count + 1);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    json_tokener_free(tokener);
    if (error != json_tokener_success) {
        lua_pushnil(L);
        lua_pushstring(L, json_tokener_error_desc(error));
        return 2;
    }
    from_value(L, *holder);
    json_object_put(*holder);
    *holder = NULL;
    return 1;
}
