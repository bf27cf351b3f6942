// Shared by the files of this library.
#ifndef BURST_CLUA_INTERNAL_H
#define BURST_CLUA_INTERNAL_H
#include "clua_child.h"

#include <lua5.4/lauxlib.h>
#include <lua5.4/lua.h>
#include <lua5.4/lualib.h>
#include <stdatomic.h>

struct bb_constant {
    const char *name;
    double value;
};
extern const struct bb_constant bb_constants[];
extern const size_t bb_constants_count;

enum bb_kind { BB_KIND_TEXT = 'S', BB_KIND_INTEGER = 'I', BB_KIND_NUMBER = 'N', BB_KIND_LIST = 'L' };

/// A field of `job_info`, pointing into the frame.
struct bb_field {
    struct bb_text name;
    uint8_t kind;
    struct bb_text text;
    int64_t integer;
    double number;
    const uint8_t *list; // n texts
    uint32_t list_count;
};

struct bb_stop {
    _Atomic int asked;
};

/// A call while it is made.
struct bb_call {
    struct bb_text cluster, script, function;
    const uint8_t *arguments; // argument_count texts
    uint32_t argument_count;
    bool has_info;
    uint32_t field_count;
    struct bb_field *fields;
    const uint8_t *frame_end;

    const struct bb_sink *sink;
    struct bb_stop *stop;
    uint64_t heap_max, heap;
    bool in_process;
    struct bb_outcome outcome;
};

/// The call that a Lua state was made for.
struct bb_call *bb_call_of(lua_State *L);
void bb_call_log(struct bb_call *call, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));

/// Sets the global `slurm`, and in this process what a script may not do to it (os.exit, print to its output).
void bb_slurm_open(lua_State *L);
/// Pushes the table `job_info`.
void bb_job_info_push(lua_State *L, struct bb_call *call);
/// Minutes, INFINITE (4294967295) or NO_VAL (4294967294) for what is no time (slurm's grammar of --time).
double bb_minutes(const char *text);

int bb_to_json(lua_State *L);
int bb_from_json(lua_State *L);
#endif
