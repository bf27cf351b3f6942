// What the parts of burst-stepd share. One process per batch script; nothing here is ever run by burstd itself.
#ifndef BURST_STEPD_H
#define BURST_STEPD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// The most bytes that an order may have: Slurm's own limit for a job's environment and script is far below.
#define ORDER_BYTES_MAX (16 << 20)
/// Variables, arguments and other lines of an order.
#define ORDER_FIELDS_MAX 65536
/// Groups that a user is in; those beyond are left out by burstd. Slurm and NFS send fewer.
#define GROUPS_MAX 1024
/// A script that is larger is refused (Slurm: max_script_size, 4 MiB unless set).
#define SCRIPT_BYTES_MAX (64 << 20)
/// What a notice for the script's standard error may hold.
#define NOTICE_BYTES_MAX 1024
/// After SIGTSTP a suspended step has as long to react until SIGSTOP comes (Slurm waits two seconds too).
#define STOP_AFTER_MS 2000
/// How often SIGKILL is repeated while processes are left, and how long at most (Slurm: UnkillableStepTimeout).
#define KILL_AGAIN_MS 20
#define UNKILLABLE_MS 60000
/// The wait status "killed by signal 53" by which Slurm reports a script that could not be launched.
#define LAUNCH_FAILED_STATUS 53

/// What burstd wants done.
struct order {
    uid_t uid;
    gid_t gid;
    mode_t mask;
    long kill_wait_ms;
    bool appends;
    /// Looked up by burstd: here it would cost a millisecond a script, or for ever where a name service hangs.
    gid_t groups[GROUPS_MAX];
    size_t group_count;
    const char *work_folder;
    const char *script; // the stored one
    const char *spool;  // the folder that is made for the copy
    const char *input;
    const char *output;
    const char *errors; // equal to output: the same open file
    char **arguments;   // of the script, NULL at the end
    char **environment; // NULL at the end
    size_t environment_count;
};

/// Why a script did not start: what was done, with which file, and errno.
struct launch_failure {
    char what[48];
    int number;
};

// order.c
/// Reads and checks the order, which is all that is in the file before something is added. Returns NULL, or what is
/// wrong with it.
const char *order_read(int fd, struct order *order);

// files.c
int64_t now_microseconds(void);
int64_t monotonic_ms(void);
/// The job's folder, in which `step.log` is made when there is something to say.
void log_to(int folder);
/// One line to the step's log, with the time.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/// Writes all of it. What is added to the order begins with a line feed, after whatever was cut off before it, and ends
/// with a line `end`: a reader takes what has none for nothing.
int append(int fd, const char *bytes, size_t count);
/// Copies the script to `order->spool`/slurm_script, 0700 and its owner's. Returns NULL or what went wrong.
const char *hand_over(const struct order *order, char *path, size_t size);
void take_back(const struct order *order);
/// Reads at most `size` bytes of a small file, 0-terminated. Returns their number or -1.
ssize_t read_small(int folder, const char *name, char *into, size_t size);

// launch.c
/// Starts the script as its owner in a process group of its own. `failure` is the reading end of a pipe that holds a
/// `launch_failure` if it did not come to run. Returns its pid or -1.
pid_t launch(const struct order *order, const char *path, int *failure);
/// Appends a line to the script's standard error, opened as its owner, by a short-lived process.
pid_t tell_owner(const struct order *order, const char *text);

// family.c
/// When a process started, in clock ticks since boot (field 22 of /proc/PID/stat); 0 if there is no such process.
uint64_t start_time(pid_t pid);
/// Sends a signal once to each process that descends from this one. Returns how many there are.
int signal_family(int number);

#endif
