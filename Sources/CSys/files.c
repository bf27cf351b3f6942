#define _GNU_SOURCE
#include "csys.h"

#include <fcntl.h>

void bb_begin_writing(int fd) {
    // Where a file system cannot, fsync does all of it.
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}
