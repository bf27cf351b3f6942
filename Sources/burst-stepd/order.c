#include "stepd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/// A whole number between 0 and `max`; -1 if the text is anything else.
static long long number(const char *text, long long max) {
    if (*text == 0) return -1;
    long long value = 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return -1;
        value = value * 10 + (*text - '0');
        if (value > max) return -1;
    }
    return value;
}

static const char *rest(const char *field, const char *key) {
    size_t count = strlen(key);
    return strncmp(field, key, count) == 0 && field[count] == '=' ? field + count + 1 : NULL;
}

/// Reads all of a file into memory that is never freed: this process lives for one order.
static char *read_all(int fd, size_t *count) {
    struct stat status;
    if (fstat(fd, &status) != 0 || status.st_size < 0 || status.st_size > ORDER_BYTES_MAX) return NULL;
    char *bytes = malloc((size_t)status.st_size + 1);
    if (bytes == NULL) return NULL;
    size_t done = 0;
    while (done < (size_t)status.st_size) {
        ssize_t got = pread(fd, bytes + done, (size_t)status.st_size - done, (off_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return NULL;
        done += (size_t)got;
    }
    bytes[done] = 0;
    *count = done;
    return bytes;
}

/// Numbers with commas between them.
static bool read_groups(const char *text, struct order *order) {
    while (*text) {
        char digits[16];
        size_t count = strcspn(text, ",");
        if (count == 0 || count >= sizeof digits || order->group_count == GROUPS_MAX) return false;
        memcpy(digits, text, count);
        digits[count] = 0;
        long long gid = number(digits, 0xfffffffe);
        if (gid < 0) return false;
        order->groups[order->group_count++] = (gid_t)gid;
        text += count;
        if (*text == ',') text++;
    }
    return order->group_count > 0;
}

const char *order_read(int fd, struct order *order) {
    size_t count = 0;
    char *bytes = read_all(fd, &count);
    if (bytes == NULL) return "the order cannot be read";
    if (count == 0 || bytes[count - 1] != 0) return "the order is cut off";
    size_t fields = 0;
    for (size_t at = 0; at < count; at += strlen(bytes + at) + 1) fields++;
    if (fields > ORDER_FIELDS_MAX) return "the order has too many fields";
    // Three more than fields: two variables of our own, which come first, and the end.
    char **arguments = calloc(fields + 3, sizeof *arguments);
    char **environment = calloc(fields + 3, sizeof *environment);
    if (arguments == NULL || environment == NULL) return "no memory for the order";
    const char *groups = NULL;
    size_t argument_count = 1; // the first one is the script's path
    order->environment_count = 2;
    long long uid = -1, gid = -1, mask = -1, kill_wait = -1;
    bool is_whole = false;
    for (size_t at = 0; at < count; at += strlen(bytes + at) + 1) {
        char *field = bytes + at;
        const char *value;
        if ((value = rest(field, "env"))) {
            environment[order->environment_count++] = (char *)value;
        } else if ((value = rest(field, "arg"))) {
            arguments[argument_count++] = (char *)value;
        } else if ((value = rest(field, "uid"))) {
            uid = number(value, 0xfffffffe);
        } else if ((value = rest(field, "gid"))) {
            gid = number(value, 0xfffffffe);
        } else if ((value = rest(field, "groups"))) {
            groups = value;
        } else if ((value = rest(field, "umask"))) {
            mask = number(value, 0777);
        } else if ((value = rest(field, "killwait"))) {
            kill_wait = number(value, 1000000);
        } else if ((value = rest(field, "appends"))) {
            order->appends = strcmp(value, "1") == 0;
        } else if ((value = rest(field, "workdir"))) {
            order->work_folder = value;
        } else if ((value = rest(field, "script"))) {
            order->script = value;
        } else if ((value = rest(field, "spool"))) {
            order->spool = value;
        } else if ((value = rest(field, "stdin"))) {
            order->input = value;
        } else if ((value = rest(field, "stdout"))) {
            order->output = value;
        } else if ((value = rest(field, "stderr"))) {
            order->errors = value;
        } else if (strcmp(field, "end") == 0) {
            is_whole = true;
        } else {
            return "the order has a field that is not known";
        }
    }
    order->arguments = arguments;
    order->environment = environment;
    if (!is_whole) return "the order is cut off";
    if (uid < 0 || gid < 0 || mask < 0 || kill_wait < 0) return "a number of the order is missing or wrong";
    const char *paths[] = {order->work_folder, order->script, order->spool, order->input, order->output, order->errors};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (paths[i] == NULL || paths[i][0] != '/') return "a path of the order is missing or does not begin with /";
    }
    if (groups == NULL || !read_groups(groups, order)) return "the order's groups are missing or wrong";
    order->uid = (uid_t)uid;
    order->gid = (gid_t)gid;
    order->mask = (mode_t)mask;
    order->kill_wait_ms = (long)kill_wait * 1000;
    if (geteuid() == 0) {
        if (uid == 0) return "burst-stepd does not run scripts as root";
    } else if (order->uid != geteuid()) {
        return "an ordinary user's burst-stepd runs scripts of that user only";
    }
    return NULL;
}
