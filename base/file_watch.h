/* Has a file become another one? By its status: also where it is a link that now leads elsewhere, as in a folder that
 * Kubernetes mounts from a ConfigMap or a Secret. Thread: one. */
#ifndef CALLBOARD_BASE_FILE_WATCH_H
#define CALLBOARD_BASE_FILE_WATCH_H

#include <stdbool.h>
#include <sys/stat.h>

struct file_watch {
    const char *path; /* the caller's */
    struct stat taken;
    struct stat seen;
};

/* What stands there now is taken. */
void file_watch_init(struct file_watch *self, const char *path);
/* To be called once a second or so. Told once, and only when two looks in a row saw the same, so that a file that is
 * being written is not read half. A file that is not there is no change: it may come back. */
bool file_watch_changed(struct file_watch *self);
/* For who looks now and then only: is it another one than that of the last such look, or of the beginning? */
bool file_watch_differs(struct file_watch *self);

#endif
