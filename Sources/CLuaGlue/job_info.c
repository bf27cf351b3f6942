// The table `job_info` (spec 4.14): empty, with fields that are read when they are asked for. What a script assigns
// stays in the table and hides the field.
#include "internal.h"

#include <string.h>

static int read_field(lua_State *L) {
    struct bb_call *call = bb_call_of(L);
    size_t count;
    if (lua_type(L, 2) != LUA_TSTRING) return 0;
    const char *name = lua_tolstring(L, 2, &count);
    for (uint32_t i = 0; i < call->field_count; i++) {
        const struct bb_field *field = &call->fields[i];
        if (field->name.count != count || memcmp(field->name.bytes, name, count) != 0) continue;
        switch (field->kind) {
        case BB_KIND_TEXT: lua_pushlstring(L, field->text.bytes, field->text.count); return 1;
        case BB_KIND_INTEGER: lua_pushinteger(L, field->integer); return 1;
        case BB_KIND_NUMBER: lua_pushnumber(L, field->number); return 1;
        default: {
            struct bb_reader reader = {field->list, call->frame_end, false};
            lua_newtable(L);
            for (uint32_t j = 0; j < field->list_count; j++) {
                struct bb_text text = bb_read_text(&reader);
                lua_pushlstring(L, text.bytes, text.count);
                lua_rawseti(L, -2, (lua_Integer)j + 1);
            }
            return 1;
        }
        }
    }
    return 0;
}

void bb_job_info_push(lua_State *L, struct bb_call *call) {
    (void)call;
    lua_newtable(L);
    lua_newtable(L);
    lua_pushcfunction(L, read_field);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}
