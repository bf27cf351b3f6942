// Frames: clua_glue.h says what they look like.
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool take(struct bb_reader *reader, void *into, size_t count) {
    if (reader->bad || (size_t)(reader->end - reader->at) < count) {
        reader->bad = true;
        memset(into, 0, count);
        return false;
    }
    memcpy(into, reader->at, count);
    reader->at += count;
    return true;
}

uint8_t bb_read_u8(struct bb_reader *reader) {
    uint8_t value;
    take(reader, &value, 1);
    return value;
}

uint32_t bb_read_u32(struct bb_reader *reader) {
    uint32_t value;
    take(reader, &value, 4);
    return value;
}

uint64_t bb_read_u64(struct bb_reader *reader) {
    uint64_t value;
    take(reader, &value, 8);
    return value;
}

struct bb_text bb_read_text(struct bb_reader *reader) {
    struct bb_text text = {"", 0};
    uint32_t count = bb_read_u32(reader);
    size_t left = (size_t)(reader->end - reader->at);
    if (reader->bad || count >= left || reader->at[count] != 0) {
        reader->bad = true;
        return text;
    }
    text.bytes = (const char *)reader->at;
    text.count = count;
    reader->at += (size_t)count + 1;
    return text;
}

void bb_add(struct bb_bytes *bytes, const void *more, size_t count) {
    if (bytes->failed || count == 0) return;
    if (bytes->capacity - bytes->count < count) {
        size_t capacity = bytes->capacity ? bytes->capacity : 256;
        while (capacity - bytes->count < count) capacity *= 2;
        uint8_t *grown = realloc(bytes->bytes, capacity);
        if (grown == NULL) {
            bytes->failed = true;
            return;
        }
        bytes->bytes = grown;
        bytes->capacity = capacity;
    }
    memcpy(bytes->bytes + bytes->count, more, count);
    bytes->count += count;
}

void bb_add_u8(struct bb_bytes *bytes, uint8_t value) { bb_add(bytes, &value, 1); }
void bb_add_u32(struct bb_bytes *bytes, uint32_t value) { bb_add(bytes, &value, 4); }
void bb_add_u64(struct bb_bytes *bytes, uint64_t value) { bb_add(bytes, &value, 8); }

void bb_add_text(struct bb_bytes *bytes, const char *text, size_t count) {
    bb_add_u32(bytes, (uint32_t)count);
    bb_add(bytes, text, count);
    bb_add_u8(bytes, 0);
}

void bb_bytes_free(struct bb_bytes *bytes) {
    free(bytes->bytes);
    *bytes = (struct bb_bytes){0};
}

void bb_log_add(struct bb_log *log, int level, const char *text, size_t count) {
    // One place is kept for the line that says how many are missing.
    if (log->count + 1 >= BB_LOG_LINES_MAX) {
        log->dropped++;
        return;
    }
    bb_add_u8(&log->lines, (uint8_t)level);
    bb_add_text(&log->lines, text, count < BB_LOG_LINE_MAX ? count : BB_LOG_LINE_MAX);
    log->count++;
}

void bb_add_answer(
    struct bb_bytes *to, uint64_t id, const struct bb_outcome *outcome, const char *printed, size_t printed_count,
    struct bb_log *log, int32_t pid, int64_t start_us, int64_t duration_us) {
    size_t start = to->count;
    bb_add_u32(to, 0);
    bb_add_u8(to, BB_FRAME_ANSWER);
    bb_add_u64(to, id);
    bb_add_u8(to, (uint8_t)outcome->end);
    bb_add_u64(to, (uint64_t)outcome->status);
    bb_add_u8(to, outcome->message != NULL);
    bb_add_text(to, outcome->message, outcome->message ? outcome->message_count : 0);
    bb_add_text(to, printed, printed_count);
    bb_add_u32(to, log->count + (log->dropped > 0));
    bb_add(to, log->lines.bytes, log->lines.count);
    if (log->dropped > 0) {
        char text[80];
        int count = snprintf(text, sizeof text, "%u further lines are left out", log->dropped);
        bb_add_u8(to, BB_LOG_INFO);
        bb_add_text(to, text, (size_t)count);
    }
    bb_add_u32(to, (uint32_t)pid);
    bb_add_u64(to, (uint64_t)start_us);
    bb_add_u64(to, (uint64_t)duration_us);
    if (to->failed) return;
    uint32_t count = (uint32_t)(to->count - start - 4);
    memcpy(to->bytes + start, &count, 4);
}

static int64_t now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t bb_now_realtime_us(void) { return now(CLOCK_REALTIME); }
int64_t bb_now_monotonic_us(void) { return now(CLOCK_MONOTONIC); }
