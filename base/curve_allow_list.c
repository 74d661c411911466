/* A list of keys that is read whole, beside the old one, and then put in its place.
 *
 * Failure modes: a file that is no public key file: left out, logged once each time the directory changes. The
 * directory gone: nobody is allowed. The directory or a file unreadable for want of descriptors or memory: the last
 * list stays, logged each time, because cutting every link would make it worse. A file rewritten in place changes no
 * directory: seen by the next reading. A key under two names: the first in order. */
#include "base/curve_allow_list.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/curve_keys.h"
#include "base/log.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zmq.h>

enum { KEYS_MAX = 1024, READ_INTERVAL_MS = 1000, PATH_SIZE = 4096 };

struct allowed_key {
    char name[CURVE_NAME_MAX + 1];
    uint8_t key[CURVE_KEY_SIZE];
};

struct allowed_keys {
    struct allowed_key *keys; /* sorted by name */
    size_t n;
};

struct curve_allow_list {
    char *directory;
    pthread_mutex_t mutex; /* guards `current`, which only the reading thread changes */
    struct allowed_keys current;
    struct timespec mtime; /* the directory's, at the last reading */
    uint64_t read_ms;
};

static int compare_names(const void *left, const void *right) {
    return strcmp(((const struct allowed_key *) left)->name, ((const struct allowed_key *) right)->name);
}

static bool is_name(const char *text, size_t size) {
    return size > 0 && size <= CURVE_NAME_MAX &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") >= size;
}

/* The length of NAME when this is NAME.pub; 0 otherwise, also for hidden files, such as Kubernetes' ..data. */
static size_t name_length_of(const char *file_name) {
    size_t size = strlen(file_name);
    if (file_name[0] == '.' || size <= 4 || strcmp(file_name + size - 4, ".pub") != 0) {
        return 0;
    }
    return size - 4;
}

/* Did the last call fail for want of something that will be back? */
static bool is_out_of_resources(void) {
    return errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EIO;
}

static void take_key(struct allowed_key *key, const char *name, size_t name_length, const char *public_text) {
    memset(key, 0, sizeof *key);
    memcpy(key->name, name, name_length);
    void *decoded = zmq_z85_decode(key->key, public_text);
    check(decoded != NULL, "a key that was judged is no Z85");
}

/* Adds the keys of one file. False with errno 0: this file is no key. */
static bool read_keys(const char *directory, const char *file_name, bool is_changed, struct allowed_keys *list) {
    char path[PATH_SIZE];
    char error[512] = "the name may have 1 to 64 of A-Z a-z 0-9 . _ -";
    char keys[CURVE_PUBLIC_KEYS][CURVE_KEY_TEXT_LENGTH + 1];
    size_t name_length = name_length_of(file_name);
    errno = 0;
    if ((size_t) snprintf(path, sizeof path, "%s/%s", directory, file_name) < sizeof path &&
        is_name(file_name, name_length) && curve_keys_read_public(path, keys, error, sizeof error)) {
        for (size_t i = 0; i < CURVE_PUBLIC_KEYS && keys[i][0] != '\0' && list->n < KEYS_MAX; i++) {
            take_key(&list->keys[list->n++], file_name, name_length, keys[i]);
        }
        return true;
    }
    if (!is_out_of_resources()) {
        if (is_changed) { /* not every second anew */
            log_warning("curve_key_ignored", log_text("file", file_name), log_text("reason", error));
        }
        errno = 0;
    }
    return false;
}

/* Reads file after file; false with errno: not to the end. */
static bool read_files(DIR *stream, const char *directory, bool is_changed, struct allowed_keys *list) {
    const struct dirent *entry;
    errno = 0;
    while ((entry = readdir(stream)) != NULL) {
        if (name_length_of(entry->d_name) == 0) {
            continue;
        }
        if (list->n == KEYS_MAX) {
            log_error("curve_keys_over_limit", log_text("directory", directory), log_u64("limit", KEYS_MAX));
            return true;
        }
        if (!read_keys(directory, entry->d_name, is_changed, list) && errno != 0) {
            return false;
        }
        errno = 0;
    }
    return errno == 0;
}

/* A whole new list; false with errno: the directory could not be read to its end. */
static bool read_list(const char *directory, bool is_changed, struct allowed_keys *ret_list) {
    DIR *stream = opendir(directory);
    if (stream == NULL) {
        return false;
    }
    struct allowed_keys list = {memory_alloc_array(KEYS_MAX, sizeof *list.keys), 0};
    bool is_read = read_files(stream, directory, is_changed, &list);
    int reason = errno;
    closedir(stream);
    errno = reason;
    if (!is_read) {
        memory_free(list.keys);
        return false;
    }
    qsort(list.keys, list.n, sizeof *list.keys, compare_names);
    *ret_list = list;
    return true;
}

/* So that later refusals, which know only the key, can be told from strangers'. */
static void tell_revoked(const struct allowed_keys *old, const struct allowed_keys *list) {
    for (size_t i = 0; i < old->n; i++) {
        char key_text[CURVE_KEY_TEXT_LENGTH + 1];
        bool stays = false;
        for (size_t j = 0; j < list->n && !stays; j++) {
            stays = memcmp(old->keys[i].key, list->keys[j].key, CURVE_KEY_SIZE) == 0;
        }
        if (!stays && zmq_z85_encode(key_text, old->keys[i].key, CURVE_KEY_SIZE) != NULL) {
            log_warning("curve_key_revoked", log_text("name", old->keys[i].name), log_text("public_key", key_text));
        }
    }
}

static void replace(curve_allow_list_t *self, struct allowed_keys list) {
    pthread_mutex_lock(&self->mutex);
    struct allowed_keys old = self->current;
    self->current = list;
    pthread_mutex_unlock(&self->mutex);
    tell_revoked(&old, &list);
    if (old.n != list.n) {
        log_info("curve_keys_read", log_text("directory", self->directory), log_u64("keys", list.n));
    }
    memory_free(old.keys);
}

/* Since the last reading; *ret_mtime is what to remember for the next look. */
static bool is_directory_changed(const curve_allow_list_t *self, struct timespec *ret_mtime) {
    struct stat status;
    *ret_mtime = stat(self->directory, &status) == 0 ? status.st_mtim : (struct timespec){0, 0};
    return ret_mtime->tv_sec != self->mtime.tv_sec || ret_mtime->tv_nsec != self->mtime.tv_nsec;
}

/* Takes the directory's time of change first: a change during the reading is seen by the next look. */
static bool read_directory(curve_allow_list_t *self) {
    struct allowed_keys list = {NULL, 0};
    struct timespec mtime;
    bool is_changed = is_directory_changed(self, &mtime);
    self->mtime = mtime;
    self->read_ms = clock_monotonic_ms();
    if (read_list(self->directory, is_changed, &list)) {
        replace(self, list);
        return true;
    }
    int reason = errno;
    log_error("curve_keys_unreadable", log_text("directory", self->directory), log_text("reason", strerror(reason)));
    if (reason == ENOENT || reason == ENOTDIR) {
        replace(self, list);
    }
    errno = reason;
    return false;
}

curve_allow_list_t *curve_allow_list_new(const char *directory) {
    curve_allow_list_t *self = memory_alloc_zero(sizeof *self);
    self->directory = memory_strdup(directory);
    int result = pthread_mutex_init(&self->mutex, NULL);
    check(result == 0, "mutex: %d", result);
    if (!read_directory(self)) {
        int reason = errno;
        curve_allow_list_destroy(&self);
        errno = reason;
    }
    return self;
}

void curve_allow_list_destroy(curve_allow_list_t **self_p) {
    curve_allow_list_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    pthread_mutex_destroy(&self->mutex);
    memory_free(self->current.keys);
    memory_free(self->directory);
    memory_free(self);
}

void curve_allow_list_refresh(curve_allow_list_t *self, bool look) {
    struct timespec mtime;
    bool is_old = clock_monotonic_ms() - self->read_ms >= READ_INTERVAL_MS;
    if (is_old || (look && is_directory_changed(self, &mtime))) {
        read_directory(self);
    }
}

/* Public keys are no secrets: nothing here needs constant time. */
bool curve_allow_list_find(curve_allow_list_t *self, struct span key, char ret_name[CURVE_NAME_MAX + 1]) {
    bool is_found = false;
    if (key.size != CURVE_KEY_SIZE) {
        return false;
    }
    pthread_mutex_lock(&self->mutex);
    for (size_t i = 0; i < self->current.n && !is_found; i++) {
        is_found = memcmp(self->current.keys[i].key, key.data, CURVE_KEY_SIZE) == 0;
        if (is_found) {
            memcpy(ret_name, self->current.keys[i].name, CURVE_NAME_MAX + 1);
        }
    }
    pthread_mutex_unlock(&self->mutex);
    return is_found;
}

bool curve_allow_list_has(curve_allow_list_t *self, const char *name) {
    bool is_found = false;
    pthread_mutex_lock(&self->mutex);
    for (size_t i = 0; i < self->current.n && !is_found; i++) {
        is_found = strcmp(self->current.keys[i].name, name) == 0;
    }
    pthread_mutex_unlock(&self->mutex);
    return is_found;
}
