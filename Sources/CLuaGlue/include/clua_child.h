// What burst-scriptd needs of the library besides clua_glue.h: frames read and written, and a call made in a child.
#ifndef BURST_CLUA_CHILD_H
#define BURST_CLUA_CHILD_H
#include "clua_glue.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Reads a frame. A read beyond its end or a text without its NUL sets `bad`, and all that is read then is empty.
struct bb_reader {
    const uint8_t *at, *end;
    bool bad;
};
struct bb_text {
    const char *bytes; // ends with a NUL
    uint32_t count;
};
uint8_t bb_read_u8(struct bb_reader *reader);
uint32_t bb_read_u32(struct bb_reader *reader);
uint64_t bb_read_u64(struct bb_reader *reader);
struct bb_text bb_read_text(struct bb_reader *reader);

/// Bytes that grow. Without memory `failed` is set and nothing is added any more.
struct bb_bytes {
    uint8_t *bytes;
    size_t count, capacity;
    bool failed;
};
void bb_add(struct bb_bytes *bytes, const void *more, size_t count);
void bb_add_u8(struct bb_bytes *bytes, uint8_t value);
void bb_add_u32(struct bb_bytes *bytes, uint32_t value);
void bb_add_u64(struct bb_bytes *bytes, uint64_t value);
void bb_add_text(struct bb_bytes *bytes, const char *text, size_t count);
void bb_bytes_free(struct bb_bytes *bytes);

/// Lines of a log as an ANSWER frame has them; the last one says how many more there were.
struct bb_log {
    struct bb_bytes lines;
    uint32_t count, dropped;
};
void bb_log_add(struct bb_log *log, int level, const char *text, size_t count);

/// How a call ended. `message` is NULL where there is none.
struct bb_outcome {
    int end;
    int64_t status;
    char *message;
    size_t message_count;
};

/// Appends a whole ANSWER frame.
void bb_add_answer(
    struct bb_bytes *to, uint64_t id, const struct bb_outcome *outcome, const char *printed, size_t printed_count,
    struct bb_log *log, int32_t pid, int64_t start_us, int64_t duration_us);

/// Where a call's lines go while it runs.
struct bb_sink {
    void (*log)(void *context, int level, const char *text, size_t count);
    /// Takes what the script prints; NULL: it goes to standard output.
    void (*print)(void *context, const char *text, size_t count);
    void *context;
};

/// Makes the call of a CALL frame (its count of 4 bytes included). `heap_max`: bytes that the Lua state may take, 0 for
/// no limit. `loaded_library`, where it is not NULL, is set to whether the script loaded a library in C, or could have.
/// The outcome's message is the caller's to free.
struct bb_outcome bb_perform(
    const uint8_t *frame, size_t count, const struct bb_sink *sink, uint64_t heap_max, bb_stop *stop,
    bool *loaded_library);

int64_t bb_now_realtime_us(void);
int64_t bb_now_monotonic_us(void);

#ifdef __cplusplus
}
#endif
#endif
