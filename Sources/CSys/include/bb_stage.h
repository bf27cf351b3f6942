// What the copy worker needs of Linux and glibc does not show to Swift: confined opening, fast copies, extended
// attributes, and becoming the user. All return -1 and set errno where they fail, unless they say otherwise.
#ifndef BURST_STAGE_H
#define BURST_STAGE_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Becomes the user for good: groups, all three ids of both kinds, no capability in any set, no_new_privs, a session of
/// its own, umask 0, no core, as many descriptors as allowed. Before any thread starts.
/// 0; -1 and errno; -2: user 0 could be had again, so this process must end.
/// `changes_ids` 0: an ordinary user stays who he is.
int bb_become(int changes_ids, uid_t uid, gid_t gid, const gid_t *groups, size_t count);

/// The version of Landlock that the kernel has; 0: none.
int bb_landlock_version(void);
/// From now on this thread, and those it starts, may change files only below `writable`, and read them only below those
/// and `readable`, unless `readables` is negative. All are descriptors, O_PATH will do; a file may be `readable`.
/// What is open already stays so. Needs version 2; the thread cannot gain privileges any more.
int bb_confine(const int *readable, int readables, const int *writable, int writables);

/// O_PATH and O_CLOEXEC: something to name it by, whoever may read it.
int bb_open_place(const char *path);

/// openat2 beneath `directory`: no step leaves it, no magic link is followed, O_CLOEXEC. Without openat2 (before Linux
/// 5.6) it goes step by step and refuses symbolic links and `..`.
int bb_open_beneath(int directory, const char *path, int flags, mode_t mode);

/// One name in a directory, never through a symbolic link, O_CLOEXEC.
int bb_open_leaf(int directory, const char *name, int flags, mode_t mode);

/// chmod of a name that is not followed where it is a symbolic link; needs Linux 6.6.
int bb_chmod_leaf(int directory, const char *name, mode_t mode);

/// ioctl FICLONE: the whole file, shared.
int bb_clone(int source, int target);
/// copy_file_range at given places.
ssize_t bb_copy_range(int source, int64_t source_offset, int target, int64_t target_offset, size_t count);
/// lseek SEEK_DATA and SEEK_HOLE; ENXIO: no data from here on.
int64_t bb_seek_data(int fd, int64_t offset);
int64_t bb_seek_hole(int fd, int64_t offset);
/// Allocates a file's blocks without changing its size.
int bb_allocate(int fd, int64_t size);
/// Has the kernel forget a file's clean pages.
void bb_drop_cache(int fd, int64_t offset, int64_t count);
/// 1 where the byte can be had without the disk; 0 where it cannot, -1 where nobody can tell.
int bb_is_cached(int fd, int64_t offset);
/// Has the kernel begin to write what is dirty, and does not wait for it.
void bb_begin_writing_range(int fd, int64_t offset, int64_t count);
/// Waits until that is written. What could not be is told by the next sync of every other descriptor, not by this one.
void bb_wait_for_writing(int fd, int64_t offset, int64_t count);
/// Has the kernel read ahead as far as it does.
void bb_read_in_order(int fd);

/// Directory entries as getdents64 gives them; 0 at the end.
ssize_t bb_directory_entries(int fd, void *buffer, size_t size);
/// Of the entry at `at` in such a buffer.
struct bb_entry {
    const char *name;
    size_t name_length;
    unsigned char type;
    size_t record_length;
};
struct bb_entry bb_entry_at(const void *at);

ssize_t bb_list_attributes(int fd, char *names, size_t size);
ssize_t bb_get_attribute(int fd, const char *name, void *value, size_t size);
int bb_set_attribute(int fd, const char *name, const void *value, size_t size);
int bb_remove_attribute(int fd, const char *name);

/// CRC32C (Castagnoli), by the processor where it can. Begins with 0.
uint32_t bb_crc32c(uint32_t crc, const void *bytes, size_t count);
/// 1 where all bytes are 0.
int bb_is_zero(const void *bytes, size_t count);

/// Blocks SIGTERM, SIGINT and SIGHUP, ignores SIGPIPE, and gives a descriptor on which the former arrive.
int bb_stop_signals(void);
/// Takes one of them off the descriptor; 0: none.
int bb_take_signal(int fd);

/// "EDQUOT" and so on; NULL for a number without a name.
const char *bb_error_name(int number);

#endif
