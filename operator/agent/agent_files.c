/* See agent_files.h. Failures that manifests cause: a ConfigMap mounted where files are written (read-only file
 * system), a volume that belongs to another user, and a single file mounted by subPath, which no rename can replace:
 * Sentinel only warns of that and goes on with nothing saved. All three are refused here, before the server starts. */
#include "operator/agent/agent_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 16384 };

static bool fail(char *ret_error, size_t error_size, const char *directory, const char *name, int error,
                 const char *mend) {
    snprintf(ret_error, error_size, "%s/%s: %s%s%s", directory, name, strerror(error), mend[0] == '\0' ? "" : ": ",
             mend);
    return false;
}

static const char *mend_for(int error) {
    switch (error) {
    case EBUSY:
        return "it is mounted as a single file (subPath), which cannot be replaced; mount the directory";
    case EROFS:
        return "mount a volume or an emptyDir there, not a ConfigMap or Secret";
    case EACCES:
    case EPERM:
        return "the volume belongs to another user; set fsGroup, or mount another one";
    case ENOENT:
        return "mount a volume or an emptyDir there";
    case ENOSPC:
    case EDQUOT:
        return "the volume is full";
    default:
        return "";
    }
}

bool agent_file_read(const char *directory, const char *name, struct buffer *out, bool *ret_is_missing, char *ret_error,
                     size_t error_size) {
    char path[PATH_MAX];
    *ret_is_missing = false;
    if ((size_t) snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path) {
        return fail(ret_error, error_size, directory, name, ENAMETOOLONG, "");
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        *ret_is_missing = errno == ENOENT;
        return fail(ret_error, error_size, directory, name, errno, "");
    }
    char chunk[CHUNK];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof chunk)) > 0 && buffer_append(out, chunk, (size_t) n)) {
    }
    int error = errno;
    close(fd);
    explicit_bzero(chunk, sizeof chunk);
    if (n != 0) {
        return fail(ret_error, error_size, directory, name, out->overflow ? EFBIG : error, "");
    }
    return true;
}

static bool write_all(int fd, struct span bytes) {
    while (bytes.size > 0) {
        ssize_t n = write(fd, bytes.data, bytes.size);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            bytes = span_of(bytes.data + n, bytes.size - (size_t) n);
        }
    }
    return true;
}

bool agent_file_write(const char *directory, const char *name, struct span bytes, mode_t mode, char *ret_error,
                      size_t error_size) {
    char path[PATH_MAX];
    char temporary[PATH_MAX];
    if ((size_t) snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path ||
        (size_t) snprintf(temporary, sizeof temporary, "%s/.%s.new", directory, name) >= sizeof temporary) {
        return fail(ret_error, error_size, directory, name, ENAMETOOLONG, "");
    }
    (void) unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) {
        return fail(ret_error, error_size, directory, name, errno, mend_for(errno));
    }
    bool is_written = write_all(fd, bytes) && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    int error = errno;
    is_written &= close(fd) == 0;
    if (is_written && rename(temporary, path) != 0) {
        error = errno;
        is_written = false;
    }
    if (!is_written) {
        (void) unlink(temporary);
        return fail(ret_error, error_size, directory, name, error, mend_for(error));
    }
    return true;
}

bool agent_directory_check(const char *directory, char *ret_error, size_t error_size) {
    static const char name[] = ".callboard-agent-check";
    char path[PATH_MAX];
    if (!agent_file_write(directory, name, SPAN_LITERAL("ok\n"), 0600, ret_error, error_size)) {
        char why[256];
        snprintf(why, sizeof why, "%s",
                 strrchr(ret_error, '/') == NULL ? ret_error : ret_error + strlen(directory) + 1);
        const char *reason = strstr(why, ": ");
        snprintf(ret_error, error_size, "%s is not writable: %s", directory, reason == NULL ? why : reason + 2);
        return false;
    }
    snprintf(path, sizeof path, "%s/%s", directory, name);
    (void) unlink(path);
    return true;
}
