/* See backup_folder.h.
 *
 *   DIR/.callboard-backup.lock                 flock; goes with the process, never removed
 *   DIR/.callboard-20261129T030000Z/…          written, fsync of each file and of the folder
 *   DIR/callboard-20261129T030000Z/…           by one rename, then fsync of DIR
 *
 * Retention counts only names of exactly this form and only folders with a manifest.json: whatever else lies in DIR is
 * not ours to remove. Failures: DIR is missing, read-only, full, another user's; another backup is at work. */
#include "operator/backup/backup_folder.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAME_SIZE = 27, NAMES_MAX = 20000 }; /* callboard-20261129T030000Z */

struct backup_folder {
    int directory; /* locked through lock */
    int lock;
    int copy; /* -1: none */
    bool is_committed;
    char name[NAME_SIZE];
    char hidden[NAME_SIZE + 1];
    char taken_at[24];
    char path[PATH_MAX];
};

static bool fail(char ret_error[BACKUP_ERROR_MAX], const char *what, int error) {
    const char *mend = error == EROFS || error == ENOENT    ? ": mount a volume there"
                       : error == EACCES || error == EPERM  ? ": the volume belongs to another user; set fsGroup"
                       : error == ENOSPC || error == EDQUOT ? ": the volume is full; let --keep be smaller"
                                                            : "";
    snprintf(ret_error, BACKUP_ERROR_MAX, "%.300s: %s%s", what, strerror(error), mend);
    return false;
}

static bool name_by_time(backup_folder_t *self, int64_t now_ms) {
    time_t seconds = (time_t) (now_ms / 1000);
    struct tm parts;
    return gmtime_r(&seconds, &parts) != NULL &&
           strftime(self->name, sizeof self->name, "callboard-%Y%m%dT%H%M%SZ", &parts) == NAME_SIZE - 1 &&
           strftime(self->taken_at, sizeof self->taken_at, "%Y-%m-%dT%H:%M:%SZ", &parts) > 0;
}

static bool lock_directory(backup_folder_t *self, const char *directory, bool *ret_is_busy,
                           char ret_error[BACKUP_ERROR_MAX]) {
    self->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->directory < 0) {
        return fail(ret_error, directory, errno);
    }
    self->lock = openat(self->directory, ".callboard-backup.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (self->lock < 0) {
        return fail(ret_error, directory, errno);
    }
    if (flock(self->lock, LOCK_EX | LOCK_NB) != 0) {
        *ret_is_busy = errno == EWOULDBLOCK;
        (void) fail(ret_error, directory, errno);
        if (*ret_is_busy) {
            snprintf(ret_error, BACKUP_ERROR_MAX, "%.300s: another backup is at work there", directory);
        }
        return false;
    }
    return true;
}

static void remove_copy(int directory, const char *name);

static bool begin_copy(backup_folder_t *self, const char *directory, char ret_error[BACKUP_ERROR_MAX]) {
    snprintf(self->hidden, sizeof self->hidden, ".%s", self->name);
    snprintf(self->path, sizeof self->path, "%s/%s", directory, self->name);
    remove_copy(self->directory, self->hidden);
    if (faccessat(self->directory, self->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        return fail(ret_error, self->path, EEXIST);
    }
    if (mkdirat(self->directory, self->hidden, 0700) != 0) {
        return fail(ret_error, self->path, errno);
    }
    self->copy = openat(self->directory, self->hidden, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return self->copy >= 0 || fail(ret_error, self->path, errno);
}

backup_folder_t *backup_folder_begin(const char *directory, int64_t now_ms, bool *ret_is_busy,
                                     char ret_error[BACKUP_ERROR_MAX]) {
    backup_folder_t *self = memory_alloc_zero(sizeof *self);
    self->directory = self->lock = self->copy = -1;
    *ret_is_busy = false;
    bool is_begun = name_by_time(self, now_ms) || fail(ret_error, directory, EOVERFLOW);
    if (!is_begun || !lock_directory(self, directory, ret_is_busy, ret_error) ||
        !begin_copy(self, directory, ret_error)) {
        backup_folder_destroy(&self);
    }
    return self;
}

void backup_folder_destroy(backup_folder_t **self_p) {
    backup_folder_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    if (self->copy >= 0) {
        close(self->copy);
        if (!self->is_committed) {
            remove_copy(self->directory, self->hidden);
        }
    }
    if (self->lock >= 0) {
        close(self->lock);
    }
    if (self->directory >= 0) {
        close(self->directory);
    }
    memory_free(self);
    *self_p = NULL;
}

int backup_folder_open(backup_folder_t *self, const char *name, char ret_error[BACKUP_ERROR_MAX]) {
    int fd = openat(self->copy, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        (void) fail(ret_error, name, errno);
    }
    return fd;
}

bool backup_folder_close(backup_folder_t *self, int fd, const char *name, char ret_error[BACKUP_ERROR_MAX]) {
    (void) self;
    bool is_kept = fsync(fd) == 0;
    int error = errno;
    is_kept &= close(fd) == 0;
    return is_kept || fail(ret_error, name, error);
}

bool backup_folder_commit(backup_folder_t *self, char ret_error[BACKUP_ERROR_MAX]) {
    self->is_committed =
        fsync(self->copy) == 0 && renameat(self->directory, self->hidden, self->directory, self->name) == 0;
    return (self->is_committed && fsync(self->directory) == 0) || fail(ret_error, self->path, errno);
}

/* ---- retention ---- */

static bool has_our_form(const char *name) {
    static const char form[] = "callboard-00000000T000000Z";
    size_t i = 0;
    while (form[i] != '\0' && (form[i] == '0' ? name[i] >= '0' && name[i] <= '9' : name[i] == form[i])) {
        i++;
    }
    return form[i] == '\0' && name[i] == '\0';
}

/* The files of a copy, then its folder: it has no folders of its own. */
static void remove_copy(int directory, const char *name) {
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    /* The manifest first: what is left of a copy that is half removed is no copy. */
    (void) unlinkat(fd, "manifest.json", 0);
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        (void) unlinkat(fd, entry->d_name, 0);
    }
    closedir(entries);
    (void) unlinkat(directory, name, AT_REMOVEDIR);
}

static bool is_whole(int directory, const char *name) {
    char path[NAME_SIZE + 32];
    snprintf(path, sizeof path, "%.*s/manifest.json", NAME_SIZE, name);
    return faccessat(directory, path, R_OK, 0) == 0;
}

static int newest_first(const void *a, const void *b) {
    return strcmp(b, a);
}

struct found {
    char (*names)[NAME_SIZE];
    size_t n;
};

static void note(backup_folder_t *self, struct found *found, const char *name) {
    if (name[0] == '.' && has_our_form(name + 1)) {
        remove_copy(self->directory, name); /* nobody makes it: we have the lock */
    } else if (has_our_form(name) && is_whole(self->directory, name) && found->n < NAMES_MAX) {
        found->names = memory_realloc(found->names, (found->n + 1) * sizeof *found->names);
        memcpy(found->names[found->n++], name, NAME_SIZE);
    }
}

int backup_folder_retain(backup_folder_t *self, size_t keep, char ret_error[BACKUP_ERROR_MAX]) {
    struct found found = {NULL, 0};
    int fd = openat(self->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries == NULL) {
        (void) fail(ret_error, self->path, errno);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        note(self, &found, entry->d_name);
    }
    closedir(entries);
    if (found.n > 1) {
        qsort(found.names, found.n, sizeof *found.names, newest_first);
    }
    int removed = 0;
    for (size_t i = keep; i < found.n; i++) {
        if (strcmp(found.names[i], self->name) != 0) { /* under a clock that was set back ours may be the oldest */
            remove_copy(self->directory, found.names[i]);
            removed++;
        }
    }
    memory_free(found.names);
    return removed;
}

const char *backup_folder_path(const backup_folder_t *self) {
    return self->path;
}

const char *backup_folder_taken_at(const backup_folder_t *self) {
    return self->taken_at;
}
