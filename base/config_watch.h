/* Has the settings' file become another one? By its status: also where it is a link that now leads elsewhere, as in a
 * folder that Kubernetes mounts from a ConfigMap. Told once, and only when two looks in a row saw the same, so that a
 * file that is being written is not read half. Thread: one. */
#ifndef CALLBOARD_BASE_CONFIG_WATCH_H
#define CALLBOARD_BASE_CONFIG_WATCH_H

#include <stdbool.h>
#include <sys/stat.h>

struct config_watch {
    const char *path; /* the caller's */
    struct stat taken;
    struct stat seen;
};

void config_watch_init(struct config_watch *self, const char *path);
/* To be called once a second or so. A file that is not there is no change: it may come back. */
bool config_watch_changed(struct config_watch *self);

#endif
