/* See file_watch.h. */
#include "base/file_watch.h"

static bool is_same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void file_watch_init(struct file_watch *self, const char *path) {
    *self = (struct file_watch){.path = path};
    if (stat(path, &self->taken) == 0) {
        self->seen = self->taken;
    }
}

bool file_watch_changed(struct file_watch *self) {
    struct stat now;
    if (stat(self->path, &now) != 0) {
        return false;
    }
    bool is_settled = is_same(&now, &self->seen);
    bool is_new = !is_same(&now, &self->taken);
    self->seen = now;
    if (!is_settled || !is_new) {
        return false;
    }
    self->taken = now;
    return true;
}

bool file_watch_differs(struct file_watch *self) {
    struct stat now;
    if (stat(self->path, &now) != 0 || is_same(&now, &self->taken)) {
        return false;
    }
    self->taken = now;
    self->seen = now;
    return true;
}
