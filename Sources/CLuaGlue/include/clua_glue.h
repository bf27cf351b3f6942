// Calls of the functions of burst_buffer.lua (spec 4): what burstd and burst-scriptd share.
//
// A call is one frame of bytes and so is its answer, whether the function runs in this process or in a child of
// burst-scriptd. No Lua type is seen outside this library, and no Lua error (a longjmp) leaves it.
//
// Frames. All numbers are little-endian. `text` is a u32 count, that many bytes and a NUL.
//   any       u32 count of the bytes that follow | u8 kind | u64 id | ...
//   CALL      u64 limit in ms (0: none) | u64 memory in bytes (0: none) | text cluster | text script | text function |
//             u32 n | n texts: arguments | u8 has job_info | u32 n | n fields: text name, u8 value, and
//             'S' text | 'I' i64 | 'N' double | 'L' u32 n, n texts
//   KILL      -
//   ANSWER    u8 end | i64 status | u8 has message | text message | text printed | u32 n | n lines: u8 level, text |
//             i32 pid | i64 start, us since 1970 | i64 duration, us
// An empty function name in a CALL loads and checks the script and no more.
#ifndef BURST_CLUA_GLUE_H
#define BURST_CLUA_GLUE_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The longest frame, in bytes, its own count included.
#define BB_FRAME_MAX (32u << 20)
/// The longest message of a function, in bytes; a longer one fails the call.
#define BB_MESSAGE_MAX (16u << 20)
/// Most bytes kept of what a function and its children print; the rest is read and discarded.
#define BB_PRINTED_MAX 65536u
/// Most lines of a call's log, and most bytes of one; further lines are counted, longer ones cut.
#define BB_LOG_LINES_MAX 200u
#define BB_LOG_LINE_MAX 8192u
/// Most children of burst-scriptd at once; further calls wait in order.
#define BB_CHILDREN_MAX 512
/// Most calls that wait in burst-scriptd; more are answered as broken.
#define BB_WAITING_MAX 65536
/// Milliseconds between SIGTERM and SIGKILL (spec 4.10).
#define BB_TERM_MS 10
/// The address space of a child, in bytes, where the call names none.
#define BB_CHILD_MEMORY_DEFAULT (2ull << 30)
/// The environment variable that marks everything that a call starts: INSTANCE.CALL.
#define BB_MARKER "BURST_HOOK_CALL"
/// How many hexadecimal digits an instance of burst-scriptd has, which its marker begins with.
#define BB_INSTANCE_DIGITS 16

enum bb_frame_kind { BB_FRAME_CALL = 1, BB_FRAME_KILL = 2, BB_FRAME_ANSWER = 3 };
enum bb_end { BB_END_SUCCESS = 0, BB_END_FAILURE = 1, BB_END_BROKEN = 2, BB_END_TIMED_OUT = 3, BB_END_KILLED = 4 };
enum bb_level {
    BB_LOG_ERROR = 0, BB_LOG_INFO, BB_LOG_VERBOSE, BB_LOG_DEBUG, BB_LOG_DEBUG2, BB_LOG_DEBUG3, BB_LOG_DEBUG4
};

/// A call in this process that can be asked to end. Opaque.
typedef struct bb_stop bb_stop;
bb_stop *bb_stop_new(void);
void bb_stop_free(bb_stop *stop);
/// Ends the Lua code that runs with it, soon, from any thread. A C function that it called is not ended.
void bb_stop_ask(bb_stop *stop);
void bb_stop_reset(bb_stop *stop);

/// Makes the call of a CALL frame in this process, on this thread, in a Lua state of its own. Returns its ANSWER frame,
/// which the caller frees. `stop` may be NULL. The limit in the frame is not looked at. NULL only without memory.
uint8_t *bb_hook_call(const uint8_t *frame, size_t count, bb_stop *stop, size_t *answer_count);

/// Starts burst-scriptd at `path` with one end of a stream socket as its descriptor 3, in a process group of its own.
/// Returns our end (non-blocking, close-on-exec), or -1 and errno. `instance`, BB_INSTANCE_DIGITS digits, marks what it
/// starts. Its children wait `idle_ms` for another call.
int bb_scriptd_start(const char *path, const char *instance, uint32_t idle_ms, int32_t *pid);
/// Ends, with SIGKILL, every process whose environment has a marker of this instance, and returns how many.
/// For what was left when burst-scriptd died.
int bb_scriptd_sweep(const char *instance);

/// An eventfd, non-blocking and close-on-exec; -1 and errno on failure.
int bb_eventfd(void);

#ifdef __cplusplus
}
#endif
#endif
