// What pools of storage need of Linux and Swift cannot reach: calls relative to descriptors, quotas, loop devices,
// mounts (staging.md §4.2, §4.3).
//
// Functions return 0 or a descriptor, or -1 and errno, unless something else is said.
#ifndef BB_POOL_H
#define BB_POOL_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

// MARK: Paths below a descriptor

/// openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS: `path` leads nowhere but below
/// `folder`.
/// On a kernel without openat2 (before 5.6) step by step.
int bb_open_without_links(int folder, const char *path, int flags, mode_t mode);
/// The same with openat(2) alone: a part of the path at a time, none of them a link or `..`.
int bb_open_by_steps(int folder, const char *path, int flags, mode_t mode);
/// renameat2(2) with RENAME_NOREPLACE: EEXIST where the new name stands already.
int bb_rename_new(int from_folder, const char *from, int to_folder, const char *to);
/// Takes off the flags "immutable" and "append only", which only root can set.
int bb_unlock_flags(int fd);
/// The mode of what an O_PATH descriptor stands for. Never through a symbolic link.
int bb_mode_of_path(int fd, mode_t mode);
/// The calling thread works when nobody else wants to: idle I/O class, nice 19.
void bb_low_priority(void);

// MARK: The file system of a folder

#define BB_UUID_BYTES 16

struct bb_file_system {
    /// f_type of statfs(2)
    uint64_t type;
    uint64_t block_bytes;
    uint64_t blocks;
    /// For everybody, and for root too where that has a reserve.
    uint64_t available_blocks;
    uint64_t inodes;
    uint64_t free_inodes;
    /// Made of the uuid or, where there is none, of what statfs(2) has instead.
    uint64_t fsid;
    uint8_t uuid[BB_UUID_BYTES];
    int has_uuid;
};
int bb_file_system(int folder, struct bb_file_system *facts);
/// Whether a folder lies on the root file system, also in another subvolume of it.
int bb_is_on_root(int folder);

// MARK: btrfs

int bb_btrfs_create(int folder, const char *name);
/// Also a subvolume that is not empty; the kernel frees its space afterwards.
int bb_btrfs_destroy(int folder, const char *name);
/// The id of the subvolume that `folder` is in, and whether `folder` is its top.
int bb_btrfs_subvolume(int folder, uint64_t *id, int *is_top);
/// Commits what was made, without waiting for the data of files as syncfs(2) does.
int bb_btrfs_commit(int folder);
/// Commits, so that figures are those of now, and has the kernel go on with what is being deleted.
int bb_btrfs_sync(int folder);
/// 1 if the tree of that id still exists, also while it is being deleted; 0 if not.
int bb_btrfs_exists(int folder, uint64_t id);
enum { BB_QUOTA_OFF = 0, BB_QUOTA_ON = 1, BB_QUOTA_INCONSISTENT = 2 };
/// How quotas stand: one of BB_QUOTA_*, or -1 and errno.
int bb_btrfs_quota_state(int folder);
/// Simple quotas where the kernel has them (6.7), else quota groups.
int bb_btrfs_quota_enable(int folder);
/// The group of level 1 of a subvolume. With simple quotas a subvolume that is made within one joins its groups of
/// level 1, so that nobody gets out of the limit by making one.
uint64_t bb_btrfs_group(uint64_t id);
/// Makes it and puts the subvolume in.
int bb_btrfs_group_make(int folder, uint64_t id);
/// The most that a group (or a subvolume, which is a group of level 0) may hold; 0 takes the limit away.
int bb_btrfs_limit(int folder, uint64_t id, uint64_t bytes);
/// What a group holds and may hold, as of the last commit; limit 0: none.
int bb_btrfs_usage(int folder, uint64_t id, uint64_t *bytes, uint64_t *limit);
/// Removes a group whose subvolume is no more. EBUSY where something is still in it.
int bb_btrfs_forget(int folder, uint64_t id);
/// Ids of the groups, ascending, at most `max`; the level is in the highest 16 bits. Returns their number.
int bb_btrfs_groups(int folder, uint64_t *ids, int max);

// MARK: Project quotas (XFS, ext4)

/// 1 if project limits are enforced on the folder's file system, 0 if they are not.
int bb_project_enforced(int folder);
/// Puts a folder into a project, with all that will be made in it.
int bb_project_assign(int folder, uint32_t project);
int bb_project_of(int folder, uint32_t *project);
/// Limits, 0: none.
int bb_project_limit(int folder, uint32_t project, uint64_t bytes, uint64_t inodes);
struct bb_project_usage {
    uint32_t project;
    uint64_t bytes, bytes_max, inodes, inodes_max;
};
int bb_project_usage(int folder, uint32_t project, struct bb_project_usage *usage);
/// The first project from `project` on that the file system knows of; ENOENT where there is none.
int bb_project_next(int folder, uint32_t project, struct bb_project_usage *usage);

// MARK: Loop devices

/// A free device, backed by `image`, which goes away with its last user. `path` becomes its name, `/dev/loopN`.
/// `direct`: without a second cache, where the file system below can. Returns a descriptor of the device.
int bb_loop_attach(int image, int direct, char *path, size_t size);
/// The file behind a device: ENXIO where there is none.
int bb_loop_backing(const char *device, uint64_t *file_device, uint64_t *inode, int *is_direct);
/// Detaches a device, at the latest when its last user is gone.
int bb_loop_detach(const char *device);
/// Makes the device as large as its image has become.
int bb_loop_grow(const char *device);
/// Grows a mounted ext4 or XFS to that size.
int bb_file_system_grow(int folder, uint64_t bytes);
/// Ends all writing to a mounted ext4 or XFS, unwritten data are dropped: only what is thrown away is treated so.
int bb_file_system_shut(int folder);

// MARK: Mounts

/// Mounts with nodev and nosuid. `options` are the file system's own.
int bb_mount(const char *source, const char *target, const char *type, const char *options);
/// The size of a tmpfs that is mounted.
int bb_remount(const char *target, const char *options);
/// Shows a folder at a second place, with nodev and nosuid from the first moment on.
int bb_bind(const char *source, const char *target);
/// Also with users inside, where `lazily`; never through a symbolic link.
int bb_unmount(const char *target, int lazily);

// MARK: Programs

/// Runs a program without a shell, with an empty environment and no input; what it prints goes into `output`, with a
/// zero byte at the end. Killed after `limit_milliseconds`: ETIMEDOUT. Returns its wait status.
int bb_run(const char *path, const char *const words[], int limit_milliseconds, char *output, size_t size);

#ifdef __cplusplus
}
#endif
#endif
