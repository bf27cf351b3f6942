#define _GNU_SOURCE
#include "bb_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/openat2.h>
#include <linux/quota.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// The kernel's headers of a build may be older than the kernel that runs.
struct bb_fsuuid2 {
    uint8_t length;
    uint8_t uuid[16];
};
#define BB_IOC_GETFSUUID _IOR(0x15, 0, struct bb_fsuuid2)
#define BB_EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)
#define BB_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define BB_SHUTDOWN_NO_LOG 2
struct bb_xfs_grow {
    uint64_t blocks;
    uint32_t inode_percent;
};
// What XFS said of itself in 2003 and still does.
struct bb_xfs_geometry {
    uint32_t sizes[8];
    uint64_t counts[4];
    uint8_t uuid[16];
    uint32_t more[8];
};
#define BB_XFS_IOC_GEOMETRY _IOR('X', 100, struct bb_xfs_geometry)
#define BB_XFS_IOC_GROW _IOW('X', 110, struct bb_xfs_grow)
#define BB_QUOTA_CTL_ENABLE_SIMPLE 4
#define BB_STATUS_FLAG_ON (1ULL << 0)
#define BB_STATUS_FLAG_INCONSISTENT (1ULL << 2)
#define BB_GROUP_LEVEL_SHIFT 48
#define BB_PRJQUOTA 2
#define BB_FS_BLOCK 512
#define BB_OPEN_TREE_CLONE 1
#define BB_OPEN_TREE_CLOEXEC O_CLOEXEC
#define BB_MOVE_MOUNT_F_EMPTY_PATH 0x00000004
#define BB_MOUNT_ATTR_NOSUID 0x00000002
#define BB_MOUNT_ATTR_NODEV 0x00000004
struct bb_mount_attributes {
    uint64_t set, clear, propagation, userns;
};
#define BB_BTRFS_MAGIC 0x9123683e
#define BB_XFS_MAGIC 0x58465342
#define BB_EXT_MAGIC 0xef53

// MARK: Paths below a descriptor

int bb_open_by_steps(int folder, const char *path, int flags, mode_t mode) {
    char part[NAME_MAX + 1];
    int at = folder;
    for (;;) {
        const char *slash = strchr(path, '/');
        size_t length = slash == NULL ? strlen(path) : (size_t)(slash - path);
        int next = -1;
        int error = 0;
        if (length > NAME_MAX) {
            error = ENAMETOOLONG;
        } else if (length == 0 || (length == 2 && memcmp(path, "..", 2) == 0)) {
            // An absolute path, an empty one, or one that leads up.
            error = length == 0 && at == folder && slash == NULL ? ENOENT : EXDEV;
        } else {
            memcpy(part, path, length);
            part[length] = 0;
            int how = slash == NULL ? flags : O_PATH | O_DIRECTORY;
            next = openat(at, part, how | O_CLOEXEC | O_NOFOLLOW, mode);
            error = errno;
        }
        if (at != folder) close(at);
        if (next < 0 || slash == NULL) {
            errno = error;
            return next;
        }
        at = next;
        path = slash + 1;
    }
}

int bb_open_without_links(int folder, const char *path, int flags, mode_t mode) {
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    int fd;
    do {
        fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
        // EAGAIN: a rename elsewhere kept the kernel from being sure.
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    if (fd >= 0 || errno != ENOSYS) return fd;
    return bb_open_by_steps(folder, path, flags, mode);
}

int bb_rename_new(int from_folder, const char *from, int to_folder, const char *to) {
    return renameat2(from_folder, from, to_folder, to, RENAME_NOREPLACE);
}

int bb_unlock_flags(int fd) {
    int flags = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return -1;
    flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
    return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

int bb_mode_of_path(int fd, mode_t mode) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return chmod(path, mode);
}

void bb_low_priority(void) {
    enum { who_process = 1, class_idle = 3, class_shift = 13 };
    syscall(SYS_ioprio_set, who_process, 0, class_idle << class_shift);
    // Of this thread alone, on Linux.
    setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
}

// MARK: The file system of a folder

int bb_file_system(int folder, struct bb_file_system *facts) {
    memset(facts, 0, sizeof *facts);
    struct statfs status;
    if (fstatfs(folder, &status) != 0) return -1;
    facts->type = (uint64_t)status.f_type & 0xffffffff;
    facts->block_bytes = (uint64_t)status.f_bsize;
    facts->blocks = status.f_blocks;
    facts->available_blocks = status.f_bavail;
    facts->inodes = status.f_files;
    facts->free_inodes = status.f_ffree;
    memcpy(&facts->fsid, &status.f_fsid, sizeof facts->fsid);
    struct bb_fsuuid2 uuid;
    memset(&uuid, 0, sizeof uuid);
    if (facts->type == BB_BTRFS_MAGIC) {
        // Its own call: the general one is younger.
        struct btrfs_ioctl_fs_info_args info;
        memset(&info, 0, sizeof info);
        if (ioctl(folder, BTRFS_IOC_FS_INFO, &info) == 0) {
            memcpy(facts->uuid, info.fsid, BB_UUID_BYTES);
            facts->has_uuid = 1;
        }
    } else if (facts->type == BB_XFS_MAGIC) {
        struct bb_xfs_geometry geometry;
        if (ioctl(folder, BB_XFS_IOC_GEOMETRY, &geometry) == 0) {
            memcpy(facts->uuid, geometry.uuid, BB_UUID_BYTES);
            facts->has_uuid = 1;
        }
    } else if (ioctl(folder, BB_IOC_GETFSUUID, &uuid) == 0 && uuid.length == BB_UUID_BYTES) {
        memcpy(facts->uuid, uuid.uuid, BB_UUID_BYTES);
        facts->has_uuid = 1;
    }
    return 0;
}

int bb_is_on_root(int folder) {
    struct stat root, own;
    if (stat("/", &root) != 0 || fstat(folder, &own) != 0) return -1;
    if (root.st_dev == own.st_dev) return 1;
    int top = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top < 0) return -1;
    struct bb_file_system of_top, of_folder;
    int result = bb_file_system(top, &of_top) == 0 && bb_file_system(folder, &of_folder) == 0 && of_top.has_uuid &&
                 of_folder.has_uuid && memcmp(of_top.uuid, of_folder.uuid, BB_UUID_BYTES) == 0;
    close(top);
    return result;
}

// MARK: btrfs

static int btrfs_named(int folder, unsigned long request, const char *name) {
    struct btrfs_ioctl_vol_args arguments;
    memset(&arguments, 0, sizeof arguments);
    if (strlen(name) >= sizeof arguments.name) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(arguments.name, name);
    return ioctl(folder, request, &arguments);
}

int bb_btrfs_create(int folder, const char *name) { return btrfs_named(folder, BTRFS_IOC_SUBVOL_CREATE, name); }
int bb_btrfs_destroy(int folder, const char *name) { return btrfs_named(folder, BTRFS_IOC_SNAP_DESTROY, name); }

int bb_btrfs_subvolume(int folder, uint64_t *id, int *is_top) {
    struct stat status;
    if (fstat(folder, &status) != 0) return -1;
    struct btrfs_ioctl_ino_lookup_args arguments;
    memset(&arguments, 0, sizeof arguments);
    arguments.objectid = BTRFS_FIRST_FREE_OBJECTID;
    if (ioctl(folder, BTRFS_IOC_INO_LOOKUP, &arguments) != 0) return -1;
    *id = arguments.treeid;
    *is_top = status.st_ino == BTRFS_FIRST_FREE_OBJECTID;
    return 0;
}

// Looks up items of one type; calls `each` until it returns nonzero. 0 or what it returned, -1 and errno.
static int btrfs_search(int folder, struct btrfs_ioctl_search_key key,
                        int (*each)(const struct btrfs_ioctl_search_header *, const void *, void *), void *state) {
    struct btrfs_ioctl_search_args arguments;
    struct btrfs_ioctl_search_key start = key;
    for (;;) {
        memset(&arguments, 0, sizeof arguments);
        arguments.key = start;
        arguments.key.nr_items = 4096;
        if (ioctl(folder, BTRFS_IOC_TREE_SEARCH, &arguments) != 0) return -1;
        if (arguments.key.nr_items == 0) return 0;
        size_t at = 0;
        struct btrfs_ioctl_search_header header = {0};
        for (uint32_t index = 0; index < arguments.key.nr_items; index++) {
            memcpy(&header, arguments.buf + at, sizeof header);
            at += sizeof header;
            // The search is over whole keys in order, so that other types come in between.
            if (header.type >= key.min_type && header.type <= key.max_type && header.objectid >= key.min_objectid &&
                header.objectid <= key.max_objectid && header.offset >= key.min_offset &&
                header.offset <= key.max_offset) {
                int result = each(&header, arguments.buf + at, state);
                if (result != 0) return result;
            }
            at += header.len;
        }
        start.min_objectid = header.objectid;
        start.min_type = header.type;
        if (header.offset == UINT64_MAX) return 0;
        start.min_offset = header.offset + 1;
    }
}

int bb_btrfs_commit(int folder) {
    uint64_t transaction = 0;
    if (ioctl(folder, BTRFS_IOC_START_SYNC, &transaction) != 0) return -1;
    return ioctl(folder, BTRFS_IOC_WAIT_SYNC, &transaction);
}

// Wakes the kernel's cleaner as well, which syncfs(2) does not.
int bb_btrfs_sync(int folder) { return ioctl(folder, BTRFS_IOC_SYNC, NULL); }

static int found_any(const struct btrfs_ioctl_search_header *header, const void *item, void *state) {
    (void)header, (void)item, (void)state;
    return 1;
}

int bb_btrfs_exists(int folder, uint64_t id) {
    struct btrfs_ioctl_search_key key = {
        .tree_id = BTRFS_ROOT_TREE_OBJECTID,
        .min_objectid = id,
        .max_objectid = id,
        .min_type = BTRFS_ROOT_ITEM_KEY,
        .max_type = BTRFS_ROOT_ITEM_KEY,
        .max_offset = UINT64_MAX,
        .max_transid = UINT64_MAX,
    };
    return btrfs_search(folder, key, found_any, NULL);
}

static int take_status(const struct btrfs_ioctl_search_header *header, const void *item, void *state) {
    (void)header;
    // version, generation, flags
    uint64_t flags;
    memcpy(&flags, (const char *)item + 16, sizeof flags);
    *(uint64_t *)state = le64toh(flags);
    return 1;
}

int bb_btrfs_quota_state(int folder) {
    struct btrfs_ioctl_search_key key = {
        .tree_id = BTRFS_QUOTA_TREE_OBJECTID,
        .min_type = BTRFS_QGROUP_STATUS_KEY,
        .max_type = BTRFS_QGROUP_STATUS_KEY,
        .max_offset = UINT64_MAX,
        .max_transid = UINT64_MAX,
    };
    uint64_t flags = 0;
    int result = btrfs_search(folder, key, take_status, &flags);
    // There is no such tree while quotas are off.
    if (result < 0) return errno == ENOENT ? BB_QUOTA_OFF : -1;
    if (result == 0 || !(flags & BB_STATUS_FLAG_ON)) return BB_QUOTA_OFF;
    return flags & BB_STATUS_FLAG_INCONSISTENT ? BB_QUOTA_INCONSISTENT : BB_QUOTA_ON;
}

int bb_btrfs_quota_enable(int folder) {
    struct btrfs_ioctl_quota_ctl_args arguments = {.cmd = BB_QUOTA_CTL_ENABLE_SIMPLE};
    if (ioctl(folder, BTRFS_IOC_QUOTA_CTL, &arguments) == 0) return 0;
    if (errno != EINVAL && errno != EOPNOTSUPP) return -1;
    arguments = (struct btrfs_ioctl_quota_ctl_args){.cmd = BTRFS_QUOTA_CTL_ENABLE};
    return ioctl(folder, BTRFS_IOC_QUOTA_CTL, &arguments);
}

uint64_t bb_btrfs_group(uint64_t id) { return (1ULL << BB_GROUP_LEVEL_SHIFT) | id; }

int bb_btrfs_group_make(int folder, uint64_t id) {
    struct btrfs_ioctl_qgroup_create_args group = {.create = 1, .qgroupid = bb_btrfs_group(id)};
    if (ioctl(folder, BTRFS_IOC_QGROUP_CREATE, &group) != 0 && errno != EEXIST) return -1;
    struct btrfs_ioctl_qgroup_assign_args assign = {.assign = 1, .src = id, .dst = bb_btrfs_group(id)};
    // Positive: done, but the figures are to be counted anew. The group is empty, so there is nothing to count.
    if (ioctl(folder, BTRFS_IOC_QGROUP_ASSIGN, &assign) < 0 && errno != EEXIST) return -1;
    return 0;
}

int bb_btrfs_limit(int folder, uint64_t id, uint64_t bytes) {
    struct btrfs_ioctl_qgroup_limit_args arguments;
    memset(&arguments, 0, sizeof arguments);
    arguments.qgroupid = id;
    arguments.lim.flags = BTRFS_QGROUP_LIMIT_MAX_RFER;
    arguments.lim.max_rfer = bytes == 0 ? UINT64_MAX : bytes;
    return ioctl(folder, BTRFS_IOC_QGROUP_LIMIT, &arguments);
}

static int take_second(const struct btrfs_ioctl_search_header *header, const void *item, void *state) {
    (void)header;
    // Of an info item: generation, referenced; of a limit item: flags, referenced.
    uint64_t value;
    memcpy(&value, (const char *)item + 8, sizeof value);
    *(uint64_t *)state = le64toh(value);
    return 1;
}

int bb_btrfs_usage(int folder, uint64_t id, uint64_t *bytes, uint64_t *limit) {
    struct btrfs_ioctl_search_key key = {
        .tree_id = BTRFS_QUOTA_TREE_OBJECTID,
        .min_offset = id,
        .max_offset = id,
        .min_type = BTRFS_QGROUP_INFO_KEY,
        .max_type = BTRFS_QGROUP_INFO_KEY,
        .max_transid = UINT64_MAX,
    };
    int result = btrfs_search(folder, key, take_second, bytes);
    if (result < 0) return -1;
    if (result == 0) {
        errno = ENOENT;
        return -1;
    }
    key.min_type = key.max_type = BTRFS_QGROUP_LIMIT_KEY;
    *limit = 0;
    if (btrfs_search(folder, key, take_second, limit) < 0) return -1;
    if (*limit == UINT64_MAX) *limit = 0;
    return 0;
}

int bb_btrfs_forget(int folder, uint64_t id) {
    struct btrfs_ioctl_qgroup_create_args arguments = {.create = 0, .qgroupid = id};
    return ioctl(folder, BTRFS_IOC_QGROUP_CREATE, &arguments);
}

struct group_list {
    uint64_t *ids;
    int count, max;
};

static int take_group(const struct btrfs_ioctl_search_header *header, const void *item, void *state) {
    (void)item;
    struct group_list *list = state;
    if (list->count == list->max) return 1;
    list->ids[list->count++] = header->offset;
    return 0;
}

int bb_btrfs_groups(int folder, uint64_t *ids, int max) {
    struct btrfs_ioctl_search_key key = {
        .tree_id = BTRFS_QUOTA_TREE_OBJECTID,
        .min_type = BTRFS_QGROUP_INFO_KEY,
        .max_type = BTRFS_QGROUP_INFO_KEY,
        .max_offset = UINT64_MAX,
        .max_transid = UINT64_MAX,
    };
    struct group_list list = {.ids = ids, .max = max};
    return btrfs_search(folder, key, take_group, &list) < 0 ? -1 : list.count;
}

// MARK: Project quotas

static int project_call(int folder, int command, uint32_t id, void *argument) {
    return (int)syscall(SYS_quotactl_fd, (unsigned)folder, (unsigned)QCMD(command, BB_PRJQUOTA), id, argument);
}

int bb_project_enforced(int folder) {
    struct fs_quota_statv status;
    memset(&status, 0, sizeof status);
    status.qs_version = FS_QSTATV_VERSION1;
    if (project_call(folder, Q_XGETQSTATV, 0, &status) != 0) return 0;
    return (status.qs_flags & FS_QUOTA_PDQ_ENFD) != 0;
}

int bb_project_assign(int folder, uint32_t project) {
    struct fsxattr attributes;
    if (ioctl(folder, FS_IOC_FSGETXATTR, &attributes) != 0) return -1;
    attributes.fsx_projid = project;
    attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    return ioctl(folder, FS_IOC_FSSETXATTR, &attributes);
}

int bb_project_of(int folder, uint32_t *project) {
    struct fsxattr attributes;
    if (ioctl(folder, FS_IOC_FSGETXATTR, &attributes) != 0) return -1;
    *project = attributes.fsx_projid;
    return 0;
}

int bb_project_limit(int folder, uint32_t project, uint64_t bytes, uint64_t inodes) {
    struct fs_disk_quota quota;
    memset(&quota, 0, sizeof quota);
    quota.d_version = FS_DQUOT_VERSION;
    quota.d_flags = FS_PROJ_QUOTA;
    quota.d_id = project;
    quota.d_fieldmask = FS_DQ_BHARD | FS_DQ_BSOFT | FS_DQ_IHARD | FS_DQ_ISOFT;
    quota.d_blk_hardlimit = bytes / BB_FS_BLOCK;
    quota.d_ino_hardlimit = inodes;
    return project_call(folder, Q_XSETQLIM, project, &quota);
}

static void take_quota(const struct fs_disk_quota *quota, struct bb_project_usage *usage) {
    usage->project = quota->d_id;
    usage->bytes = quota->d_bcount * BB_FS_BLOCK;
    usage->bytes_max = quota->d_blk_hardlimit * BB_FS_BLOCK;
    usage->inodes = quota->d_icount;
    usage->inodes_max = quota->d_ino_hardlimit;
}

int bb_project_usage(int folder, uint32_t project, struct bb_project_usage *usage) {
    struct fs_disk_quota quota;
    memset(&quota, 0, sizeof quota);
    if (project_call(folder, Q_XGETQUOTA, project, &quota) != 0) return -1;
    take_quota(&quota, usage);
    return 0;
}

int bb_project_next(int folder, uint32_t project, struct bb_project_usage *usage) {
    struct fs_disk_quota quota;
    memset(&quota, 0, sizeof quota);
    if (project_call(folder, Q_XGETNEXTQUOTA, project, &quota) != 0) return -1;
    take_quota(&quota, usage);
    return 0;
}

// MARK: Loop devices

// As often as another program may snatch the device between the two calls.
#define BB_LOOP_TRIES 64

int bb_loop_attach(int image, int direct, char *path, size_t size) {
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0) return -1;
    int device = -1, error = 0;
    for (int attempt = 0; attempt < BB_LOOP_TRIES; attempt++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0) {
            error = errno;
            break;
        }
        snprintf(path, size, "/dev/loop%d", number);
        device = open(path, O_RDWR | O_CLOEXEC);
        if (device < 0) {
            error = errno;
            break;
        }
        struct loop_config config;
        memset(&config, 0, sizeof config);
        config.fd = (uint32_t)image;
        config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (direct ? LO_FLAGS_DIRECT_IO : 0);
        if (ioctl(device, LOOP_CONFIGURE, &config) == 0) {
            close(control);
            return device;
        }
        error = errno;
        close(device);
        if (error == EINVAL && direct) {
            direct = 0;
        } else if (error != EBUSY) {
            break;
        }
    }
    close(control);
    errno = error;
    return -1;
}

int bb_loop_backing(const char *device, uint64_t *file_device, uint64_t *inode, int *is_direct) {
    int fd = open(device, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return -1;
    struct loop_info64 info;
    memset(&info, 0, sizeof info);
    int result = ioctl(fd, LOOP_GET_STATUS64, &info);
    int error = errno;
    close(fd);
    errno = error;
    if (result != 0) return -1;
    // The kernel's long form of a device number, as makedev(3) has it too.
    *file_device = info.lo_device;
    *inode = info.lo_inode;
    *is_direct = (info.lo_flags & LO_FLAGS_DIRECT_IO) != 0;
    return 0;
}

int bb_loop_detach(const char *device) {
    int fd = open(device, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return -1;
    int result = ioctl(fd, LOOP_CLR_FD);
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

int bb_loop_grow(const char *device) {
    int fd = open(device, O_RDWR | O_CLOEXEC);
    if (fd < 0) return -1;
    int result = ioctl(fd, LOOP_SET_CAPACITY);
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

int bb_file_system_grow(int folder, uint64_t bytes) {
    struct statfs status;
    if (fstatfs(folder, &status) != 0) return -1;
    uint64_t blocks = bytes / (uint64_t)status.f_bsize;
    if (((uint64_t)status.f_type & 0xffffffff) == BB_XFS_MAGIC) {
        struct bb_xfs_grow grow = {.blocks = blocks, .inode_percent = 100};
        return ioctl(folder, BB_XFS_IOC_GROW, &grow);
    }
    return ioctl(folder, BB_EXT4_IOC_RESIZE_FS, &blocks);
}

int bb_file_system_shut(int folder) {
    uint32_t how = BB_SHUTDOWN_NO_LOG;
    return ioctl(folder, BB_IOC_SHUTDOWN, &how);
}

// MARK: Mounts

int bb_mount(const char *source, const char *target, const char *type, const char *options) {
    return mount(source, target, type, MS_NODEV | MS_NOSUID, options);
}

int bb_remount(const char *target, const char *options) {
    return mount("none", target, NULL, MS_REMOUNT | MS_NODEV | MS_NOSUID, options);
}

int bb_bind(const char *source, const char *target) {
    int tree = (int)syscall(SYS_open_tree, AT_FDCWD, source,
                            BB_OPEN_TREE_CLONE | BB_OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
    if (tree >= 0) {
        struct bb_mount_attributes attributes = {.set = BB_MOUNT_ATTR_NOSUID | BB_MOUNT_ATTR_NODEV};
        int result = (int)syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
        if (result == 0) {
            result = (int)syscall(SYS_move_mount, tree, "", AT_FDCWD, target, BB_MOVE_MOUNT_F_EMPTY_PATH);
        }
        int error = errno;
        close(tree);
        errno = error;
        if (result == 0 || error != ENOSYS) return result;
    } else if (errno != ENOSYS) {
        return -1;
    }
    // Before 5.12: in two steps.
    if (mount(source, target, NULL, MS_BIND, NULL) != 0) return -1;
    if (mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_NODEV | MS_NOSUID, NULL) == 0) return 0;
    int error = errno;
    umount2(target, MNT_DETACH);
    errno = error;
    return -1;
}

int bb_unmount(const char *target, int lazily) {
    return umount2(target, UMOUNT_NOFOLLOW | (lazily ? MNT_DETACH : 0));
}

// MARK: Programs

static int64_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int bb_run(const char *path, const char *const words[], int limit_milliseconds, char *output, size_t size) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    char *environment[] = {NULL};
    pid_t pid = 0;
    int error = posix_spawn_file_actions_init(&files);
    if (error == 0) {
        error = posix_spawnattr_init(&attributes);
        if (error != 0) posix_spawn_file_actions_destroy(&files);
    }
    if (error != 0) {
        close(ends[0]);
        close(ends[1]);
        errno = error;
        return -1;
    }
    sigset_t signals;
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], 1);
    posix_spawn_file_actions_adddup2(&files, ends[1], 2);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    error = posix_spawn(&pid, path, &files, &attributes, (char *const *)words, environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    close(ends[1]);
    if (error != 0) {
        close(ends[0]);
        errno = error;
        return -1;
    }
    int64_t deadline = milliseconds() + limit_milliseconds;
    size_t count = 0;
    int is_late = 0;
    for (;;) {
        int64_t left = deadline - milliseconds();
        struct pollfd wait = {.fd = ends[0], .events = POLLIN};
        int ready = left > 0 ? poll(&wait, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0) {
            is_late = 1;
            // It is a child of ours that nobody has buried, so the number is still its own; its group goes with it.
            kill(-pid, SIGKILL);
            break;
        }
        char piece[4096];
        ssize_t got = read(ends[0], piece, sizeof piece);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        for (ssize_t index = 0; index < got && count + 1 < size; index++) output[count++] = piece[index];
    }
    close(ends[0]);
    if (size > 0) output[count] = 0;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    while (!is_late && pidfd >= 0) {
        // It may close its outputs and go on.
        int64_t left = deadline - milliseconds();
        struct pollfd wait = {.fd = pidfd, .events = POLLIN};
        int ready = poll(&wait, 1, left > 0 ? (int)left : 0);
        if (ready > 0 || (ready < 0 && errno != EINTR)) break;
        if (ready == 0) {
            is_late = 1;
            kill(-pid, SIGKILL);
        }
    }
    if (pidfd >= 0) close(pidfd);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) return -1;
    }
    if (is_late) {
        errno = ETIMEDOUT;
        return -1;
    }
    return status;
}
