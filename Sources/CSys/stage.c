#define _GNU_SOURCE
#include "bb_stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

// MARK: Becoming the user

static int drop_capabilities(void) {
    // The bounding set needs CAP_SETPCAP; who has no capability has nothing to lose there.
    for (int capability = 0; capability < 64; capability++) {
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EINVAL && errno != EPERM) return -1;
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) return -1;
    return 0;
}

static int clear_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof none);
    return (int)syscall(SYS_capset, &header, none);
}

int bb_become(int changes_ids, uid_t uid, gid_t gid, const gid_t *groups, size_t count) {
    if (drop_capabilities() != 0) return -1;
    if (changes_ids) {
        if (setgroups(count, groups) != 0) return -1;
        if (setresgid(gid, gid, gid) != 0) return -1;
        if (setresuid(uid, uid, uid) != 0) return -1;
    }
    if (clear_capabilities() != 0) return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
    setsid();
    umask(0);
    struct rlimit limit = {.rlim_cur = 0, .rlim_max = 0};
    setrlimit(RLIMIT_CORE, &limit);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    uid_t real, effective, saved;
    gid_t real_group, effective_group, saved_group;
    if (getresuid(&real, &effective, &saved) != 0) return -1;
    if (getresgid(&real_group, &effective_group, &saved_group) != 0) return -1;
    if (real == 0 || effective == 0 || saved == 0 || real != effective || real != saved) return -2;
    if (real_group != effective_group || real_group != saved_group) return -2;
    if (changes_ids && (real != uid || real_group != gid)) return -2;
    if (setuid(0) == 0 || seteuid(0) == 0 || setresuid(-1, 0, -1) == 0) return -2;
    return 0;
}

// MARK: Landlock

// Of version 3, which the headers of Debian 12 do not have.
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

int bb_landlock_version(void) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version > 0 ? (int)version : 0;
}

static int allow_beneath(int rules, int fd, uint64_t access) {
    struct stat status;
    if (fstat(fd, &status) != 0) return -1;
    if (!S_ISDIR(status.st_mode)) {
        access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE;
    }
    if (access == 0) return 0;
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
    return (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

int bb_confine(const int *readable, int readables, const int *writable, int writables) {
    int version = bb_landlock_version();
    // Version 1 allows no link from one folder to another.
    if (version < 2) {
        errno = ENOSYS;
        return -1;
    }
    uint64_t reads = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    uint64_t writes = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                      LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                      LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                      LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3) writes |= LANDLOCK_ACCESS_FS_TRUNCATE;
    if (readables < 0) reads = 0;
    struct landlock_ruleset_attr handled = {.handled_access_fs = reads | writes};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (rules < 0) return -1;
    int result = 0;
    for (int i = 0; i < readables && result == 0; i++) result = allow_beneath(rules, readable[i], reads);
    for (int i = 0; i < writables && result == 0; i++) result = allow_beneath(rules, writable[i], reads | writes);
    if (result == 0) result = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (result == 0) result = (int)syscall(SYS_landlock_restrict_self, rules, 0);
    int number = errno;
    close(rules);
    errno = number;
    return result;
}

// MARK: Opening

int bb_open_place(const char *path) { return open(path, O_PATH | O_CLOEXEC); }

static int open_step_by_step(int directory, const char *path, int flags, mode_t mode) {
    char name[256];
    int at = directory;
    while (1) {
        while (*path == '/') path++;
        size_t length = strcspn(path, "/");
        if (length >= sizeof name) {
            if (at != directory) close(at);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(name, path, length);
        name[length] = 0;
        path += length;
        while (*path == '/') path++;
        int next = -1;
        if (strcmp(name, "..") == 0) {
            errno = EXDEV;
        } else if (*path == 0) {
            next = openat(at, length == 0 ? "." : name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
        } else {
            next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        int number = errno;
        if (at != directory) close(at);
        if (next < 0 || *path == 0) {
            errno = number;
            return next;
        }
        at = next;
    }
}

int bb_open_beneath(int directory, const char *path, int flags, mode_t mode) {
    struct open_how how;
    memset(&how, 0, sizeof how);
    how.flags = (uint64_t)(flags | O_CLOEXEC);
    how.mode = (flags & (O_CREAT | O_TMPFILE)) ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    // A rename elsewhere in the tree makes the kernel give up now and then.
    for (int attempt = 0; attempt < 128; attempt++) {
        int fd = (int)syscall(SYS_openat2, directory, *path ? path : ".", &how, sizeof how);
        if (fd >= 0) return fd;
        if (errno == ENOSYS) return open_step_by_step(directory, path, flags, mode);
        if (errno != EAGAIN) return -1;
    }
    return -1;
}

int bb_open_leaf(int directory, const char *name, int flags, mode_t mode) {
    return openat(directory, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
}

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

int bb_chmod_leaf(int directory, const char *name, mode_t mode) {
    return (int)syscall(SYS_fchmodat2, directory, name, mode, AT_SYMLINK_NOFOLLOW);
}

// MARK: Bytes

int bb_clone(int source, int target) { return ioctl(target, FICLONE, source); }

ssize_t bb_copy_range(int source, int64_t source_offset, int target, int64_t target_offset, size_t count) {
    off64_t from = source_offset, to = target_offset;
    return copy_file_range(source, &from, target, &to, count, 0);
}

int64_t bb_seek_data(int fd, int64_t offset) { return lseek(fd, offset, SEEK_DATA); }

int64_t bb_seek_hole(int fd, int64_t offset) { return lseek(fd, offset, SEEK_HOLE); }

int bb_allocate(int fd, int64_t size) { return fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size); }

void bb_drop_cache(int fd, int64_t offset, int64_t count) {
    (void)posix_fadvise(fd, offset, count, POSIX_FADV_DONTNEED);
}

int bb_is_cached(int fd, int64_t offset) {
    char byte;
    struct iovec place = {.iov_base = &byte, .iov_len = 1};
    ssize_t count = preadv2(fd, &place, 1, offset, RWF_NOWAIT);
    return count >= 0 ? 1 : errno == EAGAIN ? 0 : -1;
}

void bb_begin_writing_range(int fd, int64_t offset, int64_t count) {
    // Where a file system cannot, the sync does all of it.
    (void)sync_file_range(fd, offset, count, SYNC_FILE_RANGE_WRITE);
}

void bb_wait_for_writing(int fd, int64_t offset, int64_t count) {
    (void)sync_file_range(
        fd, offset, count, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

void bb_read_in_order(int fd) { (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); }

// MARK: Directories

ssize_t bb_directory_entries(int fd, void *buffer, size_t size) {
    return syscall(SYS_getdents64, fd, buffer, size);
}

struct bb_entry bb_entry_at(const void *at) {
    const struct dirent64 *entry = at;
    struct bb_entry found = {
        .name = entry->d_name,
        .name_length = strlen(entry->d_name),
        .type = entry->d_type,
        .record_length = entry->d_reclen,
    };
    return found;
}

// MARK: Extended attributes

ssize_t bb_list_attributes(int fd, char *names, size_t size) { return flistxattr(fd, names, size); }

ssize_t bb_get_attribute(int fd, const char *name, void *value, size_t size) {
    return fgetxattr(fd, name, value, size);
}

int bb_set_attribute(int fd, const char *name, const void *value, size_t size) {
    return fsetxattr(fd, name, value, size, 0);
}

int bb_remove_attribute(int fd, const char *name) { return fremovexattr(fd, name); }

// MARK: Sums

static uint32_t crc_table[8][256];

__attribute__((constructor(199))) static void fill_crc_table(void) {
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t crc = n;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
        crc_table[0][n] = crc;
    }
    for (uint32_t n = 0; n < 256; n++) {
        for (int k = 1; k < 8; k++) {
            crc_table[k][n] = (crc_table[k - 1][n] >> 8) ^ crc_table[0][crc_table[k - 1][n] & 0xff];
        }
    }
}

static uint32_t crc_by_table(uint32_t crc, const unsigned char *at, size_t count) {
    crc = ~crc;
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        word ^= crc;
        crc = crc_table[7][word & 0xff] ^ crc_table[6][(word >> 8) & 0xff] ^ crc_table[5][(word >> 16) & 0xff] ^
              crc_table[4][(word >> 24) & 0xff] ^ crc_table[3][(word >> 32) & 0xff] ^
              crc_table[2][(word >> 40) & 0xff] ^ crc_table[1][(word >> 48) & 0xff] ^ crc_table[0][word >> 56];
        at += 8;
        count -= 8;
    }
    while (count-- > 0) crc = (crc >> 8) ^ crc_table[0][(crc ^ *at++) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)
// The processor begins a sum every cycle but takes three for it: three runs of this length are summed at once.
enum { crc_run = 2048 };

// By byte of a sum: what it becomes where crc_run zeros follow.
static uint32_t crc_shifted[4][256];

__attribute__((constructor(200))) static void fill_crc_shifted(void) {
    static const unsigned char zeros[crc_run];
    uint32_t of_bit[32];
    for (int bit = 0; bit < 32; bit++) of_bit[bit] = ~crc_by_table(~(1u << bit), zeros, crc_run);
    for (int k = 0; k < 4; k++) {
        for (uint32_t n = 0; n < 256; n++) {
            uint32_t sum = 0;
            for (int bit = 0; bit < 8; bit++) sum ^= n >> bit & 1 ? of_bit[8 * k + bit] : 0;
            crc_shifted[k][n] = sum;
        }
    }
}

static uint32_t crc_shift(uint32_t sum) {
    return crc_shifted[0][sum & 0xff] ^ crc_shifted[1][sum >> 8 & 0xff] ^ crc_shifted[2][sum >> 16 & 0xff] ^
           crc_shifted[3][sum >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc_by_processor(
    uint32_t crc, const unsigned char *at, size_t count) {
    uint64_t sum = (uint32_t)~crc;
    while (count >= 3 * crc_run) {
        uint64_t second = 0, third = 0;
        for (size_t i = 0; i < crc_run; i += 8) {
            uint64_t words[3];
            memcpy(&words[0], at + i, 8);
            memcpy(&words[1], at + crc_run + i, 8);
            memcpy(&words[2], at + 2 * crc_run + i, 8);
            sum = __builtin_ia32_crc32di(sum, words[0]);
            second = __builtin_ia32_crc32di(second, words[1]);
            third = __builtin_ia32_crc32di(third, words[2]);
        }
        sum = crc_shift(crc_shift((uint32_t)sum) ^ (uint32_t)second) ^ (uint32_t)third;
        at += 3 * crc_run;
        count -= 3 * crc_run;
    }
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        sum = __builtin_ia32_crc32di(sum, word);
        at += 8;
        count -= 8;
    }
    uint32_t rest = (uint32_t)sum;
    while (count-- > 0) rest = __builtin_ia32_crc32qi(rest, *at++);
    return ~rest;
}
#endif

uint32_t bb_crc32c(uint32_t crc, const void *bytes, size_t count) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return crc_by_processor(crc, bytes, count);
#endif
    return crc_by_table(crc, bytes, count);
}

int bb_is_zero(const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    if (count == 0) return 1;
    return at[0] == 0 && memcmp(at, at + 1, count - 1) == 0;
}

// MARK: Signals and errors

int bb_stop_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigprocmask(SIG_SETMASK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0) return -1;
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

int bb_take_signal(int fd) {
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) != (ssize_t)sizeof info) return 0;
    return (int)info.ssi_signo;
}

const char *bb_error_name(int number) { return strerrorname_np(number); }
