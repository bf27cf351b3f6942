// burst-scriptd: makes calls of burst_buffer.lua in children that can be ended (spec 4.1, 4.10). burstd starts it with
// a stream socket as descriptor 3, and as its arguments a name of this instance and how long, in milliseconds, a child
// without a call stays; clua_glue.h has the frames that go over the socket.
//
// One thread, one epoll. Each event names its child by slot and serial number, so that an event of a descriptor that
// was closed meanwhile (a forked child had a copy) finds nothing. No process is signalled but a descendant of this one.
//
// A fork costs several times what a short call does. So a child whose call returned in good order and left nothing
// behind, as the child itself finds out, stays for a while and makes the next call, in a Lua state of its own again.
#define _GNU_SOURCE
#include "scriptd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const int socket_descriptor = 3;
/// Bytes of answers that burstd has not read, above which no further call is started.
static const size_t unread_max = 64u << 20;
/// Bytes read from one pipe before others get their turn.
static const size_t read_per_turn = 256u << 10;
/// Bytes that a child's records may take: its message, and lines of which most are dropped as they come.
static const size_t record_max = BB_MESSAGE_MAX + 1024;
/// Output pipes that are still read after their call ended, since something that it started prints there.
enum { lingering_max = 1024 };
/// The longest limit of a call: a year.
static const uint64_t limit_ms_max = 366ull * 86400 * 1000;
/// How long SIGKILL may take to end a call's processes before the call is answered without them (a process that waits
/// for a dead file server cannot be ended).
static const int64_t kill_wait_us = 5000000;
/// Children without a call that stay.
enum { idle_max = 64 };
/// Rounds of looking for processes before those found are ended.
enum { rounds_max = 50 };

enum what { what_socket, what_signals, what_output, what_records, what_lingering };

struct waiting {
    struct waiting *next;
    uint64_t id;
    size_t count;
    uint8_t frame[];
};

/// A child and the call that it makes. A child that stays without a call keeps its slot: `is_used` is false, `pid` is
/// not 0.
struct call {
    bool is_used;
    uint32_t serial; // of the child
    uint64_t id;
    pid_t pid;
    uint64_t memory;       // that the child was limited to
    int64_t idle_since_us; // monotonic
    bool is_reaped;
    int exit_status; // of waitpid
    int output, records;
    int64_t start_us, start_monotonic_us;
    int64_t deadline_us; // monotonic; 0: none
    int ending;          // BB_END_TIMED_OUT or BB_END_KILLED once SIGTERM was sent
    int64_t kill_us;     // when SIGKILL follows
    int64_t ending_us;   // when SIGTERM was sent
    bool has_living;     // something of it was found at the last look
    struct bb_bytes printed, record;
    struct bb_log log;
    bool has_result, is_damaged;
    bool stays; // after this call
    struct bb_outcome outcome;
    // What descended from it when SIGTERM was sent.
    struct process *seen;
    size_t seen_count;
};

static struct call calls[BB_CHILDREN_MAX];
static int running;
/// Slots of children without a call, the last one used last.
static uint16_t idle[idle_max];
static int idle_count;
static int64_t idle_us; // how long each stays
static uint32_t serial;
static struct waiting *first_waiting, **last_waiting = &first_waiting;
static size_t waiting_count;
static int epoll, signals;
static struct bb_bytes incoming, outgoing;
static size_t outgoing_sent;
static bool is_over;
static char instance[BB_INSTANCE_DIGITS + 1];
static pid_t self;
static int lingering;
struct rlimit files_before;

// MARK: Descriptors

static uint64_t tag(enum what what, size_t slot, uint32_t serial_or_descriptor) {
    return (uint64_t)what << 56 | (uint64_t)slot << 32 | serial_or_descriptor;
}

static bool watch(int descriptor, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

static void forget(int *descriptor) {
    if (*descriptor < 0) return;
    epoll_ctl(epoll, EPOLL_CTL_DEL, *descriptor, NULL);
    close(*descriptor);
    *descriptor = -1;
}

// MARK: Answers

static void send_outgoing(void) {
    while (outgoing_sent < outgoing.count) {
        ssize_t count = send(
            socket_descriptor, outgoing.bytes + outgoing_sent, outgoing.count - outgoing_sent,
            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
        if (count <= 0) {
            is_over = true;
            return;
        }
        outgoing_sent += (size_t)count;
    }
    if (outgoing_sent == outgoing.count) {
        outgoing_sent = outgoing.count = 0;
        if (outgoing.capacity > 1 << 20) bb_bytes_free(&outgoing);
    } else if (outgoing_sent > 1 << 20) {
        memmove(outgoing.bytes, outgoing.bytes + outgoing_sent, outgoing.count - outgoing_sent);
        outgoing.count -= outgoing_sent;
        outgoing_sent = 0;
    }
    struct epoll_event event = {
        .events = EPOLLIN | (outgoing.count ? EPOLLOUT : 0), .data.u64 = tag(what_socket, 0, 0)};
    epoll_ctl(epoll, EPOLL_CTL_MOD, socket_descriptor, &event);
}

static void answer(
    uint64_t id, const struct bb_outcome *outcome, struct bb_bytes *printed, struct bb_log *log, pid_t pid,
    int64_t start_us, int64_t duration_us) {
    struct bb_log none = {0};
    bb_add_answer(
        &outgoing, id, outcome, printed ? (const char *)printed->bytes : NULL, printed ? printed->count : 0,
        log ? log : &none, pid, start_us, duration_us);
    // Without memory for an answer burstd must not wait for it: it sees the socket close.
    if (outgoing.failed) is_over = true;
}

static void answer_unstarted(uint64_t id, int end, const char *why) {
    struct bb_outcome outcome = {end, 0, (char *)why, why ? strlen(why) : 0};
    answer(id, &outcome, NULL, NULL, 0, bb_now_realtime_us(), 0);
}

// MARK: Reading children

/// Takes whole records out of what a child wrote.
static void take_records(struct call *call) {
    size_t used = 0;
    while (used < call->record.count && !call->is_damaged) {
        struct bb_reader reader = {call->record.bytes + used, call->record.bytes + call->record.count, false};
        uint8_t kind = bb_read_u8(&reader);
        if (kind == record_line) {
            uint8_t level = bb_read_u8(&reader);
            struct bb_text text = bb_read_text(&reader);
            if (reader.bad) break;
            bb_log_add(&call->log, level > BB_LOG_DEBUG4 ? BB_LOG_DEBUG4 : level, text.bytes, text.count);
        } else if (kind == record_result && !call->has_result) {
            bool stays = bb_read_u8(&reader);
            uint8_t end = bb_read_u8(&reader);
            int64_t status = (int64_t)bb_read_u64(&reader);
            uint8_t has_message = bb_read_u8(&reader);
            struct bb_text text = bb_read_text(&reader);
            if (reader.bad) break;
            call->has_result = true;
            call->stays = stays;
            call->is_damaged = end > BB_END_BROKEN;
            call->outcome = (struct bb_outcome){end, status, NULL, 0};
            if (has_message && (call->outcome.message = malloc((size_t)text.count + 1)) != NULL) {
                memcpy(call->outcome.message, text.bytes, (size_t)text.count + 1);
                call->outcome.message_count = text.count;
            } else if (has_message) {
                call->is_damaged = true;
            }
        } else {
            call->is_damaged = true;
        }
        used = (size_t)(reader.at - call->record.bytes);
    }
    if (used > 0) memmove(call->record.bytes, call->record.bytes + used, call->record.count - used);
    call->record.count -= used;
    if (call->record.count > record_max || call->record.failed) {
        call->is_damaged = true;
        call->record.count = 0;
    }
}

/// Reads what is there, at most `most` bytes, into `call` or nowhere. False at the end of the pipe.
static bool read_pipe(int descriptor, struct call *call, bool is_output, size_t most) {
    static uint8_t buffer[65536];
    while (most > 0) {
        ssize_t count = read(descriptor, buffer, sizeof buffer < most ? sizeof buffer : most);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return errno == EAGAIN;
        if (count == 0) return false;
        most -= (size_t)count;
        if (call == NULL) continue;
        if (is_output) {
            size_t left = BB_PRINTED_MAX - call->printed.count;
            bb_add(&call->printed, buffer, (size_t)count < left ? (size_t)count : left);
        } else if (!call->is_damaged) {
            bb_add(&call->record, buffer, (size_t)count);
            take_records(call);
        }
    }
    return true;
}

// MARK: Children that stay

/// Parts with a child that has no call: it ends as soon as it sees its socket closed.
static void dismiss(size_t slot) {
    struct call *call = &calls[slot];
    forget(&call->output);
    forget(&call->records);
    *call = (struct call){.output = -1, .records = -1};
    int kept = 0;
    for (int i = 0; i < idle_count; i++)
        if (idle[i] != slot) idle[kept++] = idle[i];
    idle_count = kept;
}

/// Gives the frame to a child that stayed, the one that worked last. False where there is none that takes it.
static bool send_to_idle(const struct waiting *waiting, uint64_t memory, size_t *slot) {
    if (waiting->count > request_max) return false;
    for (int i = idle_count - 1; i >= 0; i--) {
        struct call *call = &calls[idle[i]];
        if (call->memory != memory) continue;
        *slot = idle[i];
        ssize_t sent = send(call->records, waiting->frame, waiting->count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent == (ssize_t)waiting->count) {
            memmove(&idle[i], &idle[i + 1], (size_t)(idle_count - i - 1) * sizeof idle[0]);
            idle_count--;
            return true;
        }
        // It has died, or has half a frame, with which it ends.
        dismiss(*slot);
    }
    return false;
}

// MARK: Starting

/// Starts a child for the call in a free slot. False where that failed, which is answered then.
static bool start_child(const struct waiting *waiting, uint64_t memory, size_t *slot) {
    *slot = 0;
    while (*slot < BB_CHILDREN_MAX && calls[*slot].pid != 0) ++*slot;
    if (*slot == BB_CHILDREN_MAX) {
        // None of those that stayed could take it.
        *slot = idle[0];
        dismiss(*slot);
    }
    int output[2] = {-1, -1}, records[2] = {-1, -1};
    const char *what = "pipe";
    pid_t pid = -1;
    if (pipe2(output, O_CLOEXEC) == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, records) == 0) {
        fcntl(output[0], F_SETFL, O_NONBLOCK);
        fcntl(records[0], F_SETFL, O_NONBLOCK);
        what = "fork";
        pid = fork();
        if (pid == 0) child_run(waiting->frame, waiting->count, output[1], records[1], self, instance, memory);
    }
    int error = errno;
    if (output[1] >= 0) close(output[1]);
    if (records[1] >= 0) close(records[1]);
    if (pid < 0) {
        if (output[0] >= 0) close(output[0]);
        if (records[0] >= 0) close(records[0]);
        char text[160];
        snprintf(text, sizeof text, "burst-scriptd cannot start a child: %s: %s", what, strerror(error));
        answer_unstarted(waiting->id, BB_END_BROKEN, text);
        return false;
    }
    setpgid(pid, pid); // the child does so too; whoever comes first
    calls[*slot] = (struct call){
        .serial = ++serial, .pid = pid, .memory = memory, .output = output[0], .records = records[0]};
    if (!watch(output[0], EPOLLIN, tag(what_output, *slot, serial))
        || !watch(records[0], EPOLLIN, tag(what_records, *slot, serial)))
        is_over = true;
    return true;
}

static void start(struct waiting *waiting) {
    struct bb_reader reader = {waiting->frame + 13, waiting->frame + waiting->count, false};
    uint64_t limit_ms = bb_read_u64(&reader), memory = bb_read_u64(&reader);
    size_t slot;
    if (!send_to_idle(waiting, memory, &slot) && !start_child(waiting, memory, &slot)) return;
    struct call *call = &calls[slot];
    call->is_used = true;
    call->id = waiting->id;
    call->start_us = bb_now_realtime_us();
    call->start_monotonic_us = bb_now_monotonic_us();
    if (limit_ms > limit_ms_max) limit_ms = limit_ms_max;
    if (limit_ms) call->deadline_us = call->start_monotonic_us + (int64_t)limit_ms * 1000;
    running++;
}

static void start_waiting(void) {
    while (first_waiting != NULL && running < BB_CHILDREN_MAX && outgoing.count - outgoing_sent < unread_max
           && !is_over) {
        struct waiting *next = first_waiting;
        first_waiting = next->next;
        if (first_waiting == NULL) last_waiting = &first_waiting;
        waiting_count--;
        start(next);
        free(next);
    }
}

// MARK: Ending

/// Tells burstd how the call ended. The slot is given away, or stays with its child.
static void finish(struct call *call) {
    bool stays = call->stays && !call->is_reaped && !call->ending && !call->is_damaged && idle_count < idle_max;
    // What it wrote before it died is in the pipes. What it started may print on, so there is an end to reading.
    bool may_print_on = call->output >= 0 && read_pipe(call->output, call, true, 4 * read_per_turn);
    if (call->records >= 0 && !stays) read_pipe(call->records, call, false, 2 * record_max);
    if (may_print_on && lingering < lingering_max && !call->ending && !stays) {
        // A pipe that is closed would end by SIGPIPE what still prints.
        struct epoll_event event = {
            .events = EPOLLIN, .data.u64 = tag(what_lingering, 0, (uint32_t)call->output)};
        if (epoll_ctl(epoll, EPOLL_CTL_MOD, call->output, &event) == 0) {
            call->output = -1;
            lingering++;
        }
    }
    if (!stays) {
        forget(&call->output);
        forget(&call->records);
    }
    struct bb_outcome outcome = call->outcome;
    char text[160];
    if (call->ending) {
        outcome = (struct bb_outcome){call->ending, 0, NULL, 0};
    } else if (!call->has_result || call->is_damaged) {
        int status = call->exit_status;
        if (WIFSIGNALED(status)) {
            snprintf(
                text, sizeof text, "its process died of signal %d (%s)", WTERMSIG(status),
                strsignal(WTERMSIG(status)));
        } else if (call->is_damaged) {
            snprintf(text, sizeof text, "its process wrote what is no answer");
        } else {
            snprintf(
                text, sizeof text, "its process ended with status %d before the function returned",
                WEXITSTATUS(status));
        }
        outcome = (struct bb_outcome){BB_END_BROKEN, 0, text, strlen(text)};
    }
    answer(
        call->id, &outcome, &call->printed, &call->log, call->pid, call->start_us,
        bb_now_monotonic_us() - call->start_monotonic_us);
    free(call->outcome.message);
    free(call->seen);
    bb_bytes_free(&call->printed);
    bb_bytes_free(&call->record);
    bb_bytes_free(&call->log.lines);
    running--;
    struct call rest = {.output = -1, .records = -1};
    if (stays) {
        rest = (struct call){
            .serial = call->serial, .pid = call->pid, .memory = call->memory, .output = call->output,
            .records = call->records, .idle_since_us = bb_now_monotonic_us()};
        idle[idle_count++] = (uint16_t)(call - calls);
    }
    *call = rest;
}

static void reap(void) {
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0) return;
        for (size_t i = 0; i < BB_CHILDREN_MAX; i++) {
            struct call *call = &calls[i];
            if (call->pid != pid || call->is_reaped) continue;
            if (!call->is_used) {
                dismiss(i);
                break;
            }
            call->is_reaped = true;
            call->exit_status = status;
            // One that is being ended is answered when all that it started is gone.
            if (!call->ending) finish(call);
            break;
        }
    }
}

/// Whether it is a child that waits for a call.
static bool is_idle(pid_t pid) {
    for (int i = 0; i < idle_count; i++)
        if (calls[idle[i]].pid == pid) return true;
    return false;
}

/// The last `assign` met a process of ours that may be anybody's.
static bool met_unclear;
/// How long after its SIGTERM such a process keeps a call from being answered.
static const int64_t unclear_us = 1000000;

/// The processes that belong to a call, by slot + 1: its child and what descends from it, what is in its group or
/// session, what descended from it before, and what has its marker.
static void assign(struct process *processes, size_t count, uint16_t *owners) {
    met_unclear = false;
    for (size_t i = 0; i < count; i++) {
        owners[i] = 0;
        if (!processes[i].is_ours) continue;
        for (size_t slot = 0; slot < BB_CHILDREN_MAX; slot++) {
            if (calls[slot].is_used && !calls[slot].is_reaped && calls[slot].pid == processes[i].pid)
                owners[i] = (uint16_t)(slot + 1);
        }
    }
    // Descendants of those already assigned, as deep as they go; the parent's number may be above the child's.
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < count; i++) {
            if (!processes[i].is_ours || owners[i] || processes[i].parent == self) continue;
            size_t low = 0, high = count;
            while (low < high) {
                size_t middle = (low + high) / 2;
                if (processes[middle].pid < processes[i].parent) low = middle + 1;
                else high = middle;
            }
            if (low < count && processes[low].pid == processes[i].parent && owners[low]) {
                owners[i] = owners[low];
                changed = true;
            }
        }
        if (changed) continue;
        // Orphans, whose parent is this process.
        for (size_t i = 0; i < count; i++) {
            if (!processes[i].is_ours || owners[i] || processes[i].parent != self) continue;
            if (is_idle(processes[i].pid)) continue;
            uint64_t marker = process_marker(processes[i].pid, instance);
            for (size_t slot = 0; slot < BB_CHILDREN_MAX && !owners[i]; slot++) {
                struct call *call = &calls[slot];
                if (!call->is_used || !call->ending) continue;
                bool belongs =
                    (marker && marker != marker_unclear && marker == call->id) || processes[i].group == call->pid
                    || processes[i].session == call->pid;
                for (size_t k = 0; k < call->seen_count && !belongs; k++)
                    belongs = call->seen[k].pid == processes[i].pid && call->seen[k].start == processes[i].start;
                if (belongs) {
                    owners[i] = (uint16_t)(slot + 1);
                    changed = true;
                }
            }
            if (!owners[i] && marker == marker_unclear) met_unclear = true;
        }
    }
}

/// Remembers what descends from the call and sends SIGTERM to its group.
static void begin_ending(void) {
    static uint16_t *owners;
    struct process *processes;
    size_t count = processes_read(&processes);
    free(owners);
    owners = malloc((count + 1) * sizeof *owners);
    if (owners != NULL) assign(processes, count, owners);
    for (size_t slot = 0; slot < BB_CHILDREN_MAX; slot++) {
        struct call *call = &calls[slot];
        if (!call->is_used || !call->ending || call->kill_us) continue;
        size_t mine = 0;
        for (size_t i = 0; owners != NULL && i < count; i++) mine += owners[i] == slot + 1;
        call->seen = malloc((mine + 1) * sizeof *call->seen);
        for (size_t i = 0; owners != NULL && call->seen != NULL && i < count; i++) {
            if (owners[i] == slot + 1) call->seen[call->seen_count++] = processes[i];
        }
        // Not yet reaped, so the number is still its own.
        if (call->pid > 1 && !call->is_reaped) kill(-call->pid, SIGTERM);
        call->ending_us = bb_now_monotonic_us();
        call->kill_us = call->ending_us + BB_TERM_MS * 1000;
    }
}

static int64_t marked_due;

static bool is_due(uint64_t id) {
    if (!marked_due) return true;
    for (size_t i = 0; i < BB_CHILDREN_MAX; i++) {
        if (calls[i].is_used && calls[i].id == id)
            return calls[i].kill_us && calls[i].kill_us <= marked_due;
    }
    return false;
}

/// Ends all that belongs to the calls whose SIGTERM is old enough: stopped first, until no new process turns up, so
/// that nothing forks away meanwhile. Without `due` everything below this process is ended.
static void end_processes(int64_t due) {
    struct process *processes, *stopped = NULL;
    size_t count, stopped_count = 0, stopped_capacity = 0;
    for (int round = 0; round < rounds_max; round++) {
        count = processes_read(&processes);
        uint16_t *owners = calloc(count + 1, sizeof *owners);
        if (owners == NULL) break;
        if (due) assign(processes, count, owners);
        bool found = false;
        for (size_t i = 0; i < count; i++) {
            if (!processes[i].is_ours || processes[i].pid <= 1) continue;
            if (due) {
                struct call *call = owners[i] ? &calls[owners[i] - 1] : NULL;
                if (call == NULL || !call->kill_us || call->kill_us > due) continue;
                call->has_living = true;
            }
            bool is_known = false;
            for (size_t k = 0; k < stopped_count && !is_known; k++)
                is_known = stopped[k].pid == processes[i].pid && stopped[k].start == processes[i].start;
            if (is_known) continue;
            if (stopped_count == stopped_capacity) {
                size_t capacity = stopped_capacity ? stopped_capacity * 2 : 64;
                struct process *grown = realloc(stopped, capacity * sizeof *stopped);
                if (grown == NULL) {
                    kill(processes[i].pid, SIGKILL);
                    continue;
                }
                stopped = grown;
                stopped_capacity = capacity;
            }
            kill(processes[i].pid, SIGSTOP);
            stopped[stopped_count++] = processes[i];
            found = true;
        }
        free(owners);
        if (!found) break;
    }
    // None of them was reaped meanwhile, since only this thread reaps.
    for (size_t k = 0; k < stopped_count; k++) kill(stopped[k].pid, SIGKILL);
    free(stopped);
    marked_due = due;
    for (int round = 0; round < rounds_max && processes_kill_marked(instance, is_due) > 0; round++) {}
}

static bool any_due(int64_t now) {
    for (size_t i = 0; i < BB_CHILDREN_MAX; i++)
        if (calls[i].is_used && calls[i].kill_us && calls[i].kill_us <= now) return true;
    return false;
}

/// Does what the time asks for. Returns the milliseconds until it asks again, or -1.
static int keep_time(void) {
    int64_t now = bb_now_monotonic_us();
    bool begins = false;
    for (size_t i = 0; i < BB_CHILDREN_MAX; i++) {
        struct call *call = &calls[i];
        if (!call->is_used) continue;
        if (!call->ending && call->deadline_us && call->deadline_us <= now) call->ending = BB_END_TIMED_OUT;
        if (call->ending && !call->kill_us) begins = true;
    }
    if (begins) begin_ending();
    now = bb_now_monotonic_us();
    if (any_due(now)) {
        for (size_t i = 0; i < BB_CHILDREN_MAX; i++) calls[i].has_living = false;
        end_processes(now);
        reap();
        for (size_t i = 0; i < BB_CHILDREN_MAX; i++) {
            struct call *call = &calls[i];
            if (!call->is_used || !call->kill_us || call->kill_us > now) continue;
            // It is answered when a look found nothing of it any more, and nothing that may have been of it.
            bool is_gone =
                call->is_reaped && !call->has_living && !(met_unclear && now - call->ending_us < unclear_us);
            if (is_gone || now - call->ending_us > kill_wait_us) finish(call);
            else call->kill_us = now + BB_TERM_MS * 1000;
        }
    }
    int64_t next = -1;
    now = bb_now_monotonic_us();
    // Those at the front have waited longest for a call.
    while (idle_count > 0 && calls[idle[0]].idle_since_us + idle_us <= now) dismiss(idle[0]);
    if (idle_count > 0) next = calls[idle[0]].idle_since_us + idle_us;
    for (size_t i = 0; i < BB_CHILDREN_MAX; i++) {
        struct call *call = &calls[i];
        if (!call->is_used) continue;
        int64_t at = call->ending ? call->kill_us : call->deadline_us;
        if (call->ending && !at) at = now;
        if (at && (next < 0 || at < next)) next = at;
    }
    if (next < 0) return -1;
    int64_t ms = (next - now + 999) / 1000;
    return ms < 0 ? 0 : ms > 60000 ? 60000 : (int)ms;
}

// MARK: Requests

static void take_frame(const uint8_t *frame, size_t count) {
    struct bb_reader reader = {frame + 4, frame + count, false};
    uint8_t kind = bb_read_u8(&reader);
    uint64_t id = bb_read_u64(&reader);
    if (kind == BB_FRAME_CALL) {
        struct waiting *waiting = NULL;
        if (waiting_count >= BB_WAITING_MAX || (waiting = malloc(sizeof *waiting + count)) == NULL) {
            answer_unstarted(id, BB_END_BROKEN, "too many calls wait in burst-scriptd");
            return;
        }
        waiting->next = NULL;
        waiting->id = id;
        waiting->count = count;
        memcpy(waiting->frame, frame, count);
        *last_waiting = waiting;
        last_waiting = &waiting->next;
        waiting_count++;
    } else if (kind == BB_FRAME_KILL) {
        for (struct waiting **at = &first_waiting; *at != NULL; at = &(*at)->next) {
            if ((*at)->id != id) continue;
            struct waiting *gone = *at;
            *at = gone->next;
            if (last_waiting == &gone->next) last_waiting = at;
            waiting_count--;
            free(gone);
            answer_unstarted(id, BB_END_KILLED, NULL);
            return;
        }
        for (size_t i = 0; i < BB_CHILDREN_MAX; i++) {
            // A call whose child is reaped has been answered, so this one is under way.
            if (calls[i].is_used && calls[i].id == id && !calls[i].ending) calls[i].ending = BB_END_KILLED;
        }
    }
}

static void read_socket(void) {
    static uint8_t buffer[65536];
    ssize_t got = recv(socket_descriptor, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (got <= 0) {
        is_over = true;
        return;
    }
    bb_add(&incoming, buffer, (size_t)got);
    size_t used = 0;
    while (incoming.count - used >= 4) {
        uint32_t count;
        memcpy(&count, incoming.bytes + used, 4);
        // Of a stream that is no longer understood nothing more can be read.
        if (count < 9 || count > BB_FRAME_MAX - 4) {
            fprintf(stderr, "burst-scriptd: a frame of %u bytes, but 9 to %u are possible\n", count, BB_FRAME_MAX - 4);
            is_over = true;
            return;
        }
        if (incoming.count - used - 4 < count) break;
        take_frame(incoming.bytes + used, (size_t)count + 4);
        used += (size_t)count + 4;
    }
    if (used > 0) memmove(incoming.bytes, incoming.bytes + used, incoming.count - used);
    incoming.count -= used;
    if (incoming.failed) is_over = true;
}

// MARK: The loop

static void handle(const struct epoll_event *event) {
    enum what what = (enum what)(event->data.u64 >> 56);
    size_t slot = event->data.u64 >> 32 & 0xffffff;
    uint32_t number = (uint32_t)event->data.u64;
    switch (what) {
    case what_socket:
        if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_socket();
        if (event->events & EPOLLOUT) send_outgoing();
        return;
    case what_signals: {
        struct signalfd_siginfo signal;
        while (read(signals, &signal, sizeof signal) == sizeof signal)
            if (signal.ssi_signo != SIGCHLD) is_over = true;
        reap();
        return;
    }
    case what_lingering: {
        int descriptor = (int)number;
        if (read_pipe(descriptor, NULL, true, read_per_turn)) return;
        forget(&descriptor);
        lingering--;
        return;
    }
    case what_output:
    case what_records: {
        struct call *call = &calls[slot];
        if (call->pid == 0 || call->serial != number) return;
        if (!call->is_used) {
            // A child without a call has nothing to say: it has died.
            dismiss(slot);
            return;
        }
        int *descriptor = what == what_output ? &call->output : &call->records;
        if (*descriptor >= 0 && !read_pipe(*descriptor, call, what == what_output, read_per_turn)) forget(descriptor);
        // The other children are answered when they have ended. One that is being ended is not to get another call.
        if (call->has_result && call->stays && !call->ending) finish(call);
        return;
    }
    }
}

/// burstd is gone or asked for the end: nothing that was started here stays.
static void end_all(void) {
    for (int round = 0; round < 500; round++) {
        end_processes(0);
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
        struct process *processes;
        size_t count = processes_read(&processes), left = 0;
        for (size_t i = 0; i < count; i++) left += processes[i].is_ours;
        if (left == 0) return;
        poll(NULL, 0, 10);
    }
}

int main(int argc, char **argv) {
    struct stat status;
    if (argc != 3 || strlen(argv[1]) != BB_INSTANCE_DIGITS || fstat(socket_descriptor, &status) != 0
        || !S_ISSOCK(status.st_mode)) {
        fprintf(stderr, "burst-scriptd: it is started by burstd, with a socket as descriptor 3, and not by hand\n");
        return 2;
    }
    memcpy(instance, argv[1], sizeof instance);
    idle_us = strtoll(argv[2], NULL, 10) * 1000;
    self = getpid();
    syscall(SYS_close_range, socket_descriptor + 1, ~0u, 0);
    fcntl(socket_descriptor, F_SETFD, FD_CLOEXEC);
    umask(0022);
    signal(SIGPIPE, SIG_IGN);
    // Two pipes a child, and those that linger.
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files_before);
    files = files_before;
    if (files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    sigset_t taken;
    sigemptyset(&taken);
    sigaddset(&taken, SIGCHLD);
    sigaddset(&taken, SIGTERM);
    sigaddset(&taken, SIGINT);
    sigaddset(&taken, SIGHUP);
    sigprocmask(SIG_SETMASK, &taken, NULL);
    signals = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < BB_CHILDREN_MAX; i++) calls[i].output = calls[i].records = -1;
    if (signals < 0 || epoll < 0 || !watch(socket_descriptor, EPOLLIN, tag(what_socket, 0, 0))
        || !watch(signals, EPOLLIN, tag(what_signals, 0, 0))) {
        fprintf(stderr, "burst-scriptd: epoll: %s\n", strerror(errno));
        return 1;
    }
    while (!is_over) {
        start_waiting();
        int timeout = keep_time();
        start_waiting();
        if (outgoing.count > outgoing_sent) send_outgoing();
        if (is_over) break;
        struct epoll_event events[64];
        int count = epoll_wait(epoll, events, 64, timeout);
        for (int i = 0; i < count && !is_over; i++) handle(&events[i]);
    }
    end_all();
    return 0;
}
