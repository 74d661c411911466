/* See backend_rights.h. Rights are read when a key is met first, and kept while its NAME.pub lies there.
 *
 * Failure modes: a file that is malformed, too long or unreadable: no right at all, logged once for each change of it.
 */
#include "broker/backend/backend_rights.h"

#include "base/channel_name.h"
#include "base/curve_allow_list.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uthash.h>

enum { PATH_SIZE = 4096 };

enum state { RIGHTS_ALL, RIGHTS_SOME, RIGHTS_NONE };

struct key_rights {
    UT_hash_handle hh;
    enum state state;
    struct stat seen; /* of the file; zero: there was none */
    struct buffer text;
    size_t n[2]; /* by is_method */
    struct span patterns[2][BACKEND_RIGHTS_PATTERNS_MAX];
    char name[CURVE_NAME_MAX + 1];
};

struct backend_rights {
    char *directory;
    bool required;
    struct key_rights *keys;
};

/* ---- the text ---- */

static struct span trim(struct span text) {
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = span_of(text.data + 1, text.size - 1);
    }
    while (text.size > 0 && strchr(" \t\r", text.data[text.size - 1]) != NULL) {
        text.size--;
    }
    return text;
}

/* Cuts off what stands before the mark; without one all of it. */
static struct span cut(struct span *text, char mark) {
    const uint8_t *end = text->size == 0 ? NULL : memchr(text->data, mark, text->size);
    size_t size = end == NULL ? text->size : (size_t) (end - text->data);
    struct span part = span_of(text->data, size);
    size_t taken = end == NULL ? size : size + 1;
    *text = span_of(text->data + taken, text->size - taken);
    return trim(part);
}

static bool is_pattern(struct span text) {
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~' || strchr("{}?[]\\\"'`", text.data[i]) != NULL) {
            return false;
        }
    }
    return text.size > 0 && text.size <= CHANNEL_NAME_MAX;
}

const char *backend_rights_parse(struct span text, void (*judge)(void *context, bool is_method, struct span pattern),
                                 void *context) {
    bool seen[2] = {false, false};
    if (text.size > BACKEND_RIGHTS_FILE_MAX) {
        return "it is longer than 16,384 bytes";
    }
    while (text.size > 0) {
        struct span line = cut(&text, '\n');
        if (line.size == 0 || line.data[0] == '#') {
            continue;
        }
        struct span name = cut(&line, '=');
        bool is_method = span_equal_text(name, "methods");
        if ((!is_method && !span_equal_text(name, "channels")) || seen[is_method]) {
            return "a line is neither \"methods = LIST\" nor \"channels = LIST\", or stands twice";
        }
        seen[is_method] = true;
        for (unsigned n = 0; line.size > 0; n++) {
            struct span pattern = cut(&line, ',');
            if (!is_pattern(pattern) || n == BACKEND_RIGHTS_PATTERNS_MAX) {
                return "a list has more than 256 patterns, or one that is empty or has a byte that no name may have";
            }
            if (judge != NULL) {
                judge(context, is_method, pattern);
            }
        }
    }
    return seen[0] && seen[1] ? NULL : "it needs both, methods and channels";
}

static void keep_pattern(void *context, bool is_method, struct span pattern) {
    struct key_rights *rights = context;
    rights->patterns[is_method][rights->n[is_method]++] = pattern;
}

/* ---- files ---- */

/* False with errno. */
static bool read_file(const char *path, struct buffer *text) {
    uint8_t bytes[BACKEND_RIGHTS_FILE_MAX + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, bytes, sizeof bytes);
    int reason = errno;
    close(fd);
    errno = reason;
    if (n >= 0) {
        buffer_append(text, bytes, (size_t) n);
    }
    return n >= 0;
}

static void refuse_all(struct key_rights *rights, const char *path, const char *reason) {
    log_error("backend_rights_bad", log_text("file", path), log_text("reason", reason),
              log_text("help", "the key has no right until the file is mended; docs/backend-api.md says how it looks"));
    rights->state = RIGHTS_NONE;
}

static void read_rights(const backend_rights_t *self, struct key_rights *rights) {
    char path[PATH_SIZE];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s.rights", self->directory, rights->name);
    bool is_there = stat(path, &status) == 0;
    if (!is_there) {
        bool is_absent = errno == ENOENT;
        memset(&rights->seen, 0, sizeof rights->seen);
        rights->state = is_absent && !self->required ? RIGHTS_ALL : RIGHTS_NONE;
        return;
    }
    buffer_clear(&rights->text);
    rights->n[0] = rights->n[1] = 0;
    rights->seen = status;
    if (!read_file(path, &rights->text)) {
        refuse_all(rights, path, strerror(errno));
        return;
    }
    const char *wrong = backend_rights_parse(buffer_span(&rights->text), keep_pattern, rights);
    if (wrong != NULL) {
        refuse_all(rights, path, wrong);
        return;
    }
    rights->state = RIGHTS_SOME;
    log_info("backend_rights_read", log_text("key", rights->name), log_u64("methods", rights->n[1]),
             log_u64("channels", rights->n[0]));
}

static bool is_changed(const backend_rights_t *self, const struct key_rights *rights) {
    char path[PATH_SIZE];
    struct stat now;
    snprintf(path, sizeof path, "%s/%s.rights", self->directory, rights->name);
    if (stat(path, &now) != 0) {
        memset(&now, 0, sizeof now);
    }
    return now.st_ino != rights->seen.st_ino || now.st_size != rights->seen.st_size ||
           now.st_mtim.tv_sec != rights->seen.st_mtim.tv_sec || now.st_mtim.tv_nsec != rights->seen.st_mtim.tv_nsec;
}

static bool is_key_gone(const backend_rights_t *self, const struct key_rights *rights) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s.pub", self->directory, rights->name);
    return access(path, F_OK) != 0 && errno == ENOENT;
}

static struct key_rights *rights_of(backend_rights_t *self, struct span key) {
    struct key_rights *rights = NULL;
    if (key.size == 0 || key.size > CURVE_NAME_MAX) {
        return NULL;
    }
    HASH_FIND(hh, self->keys, key.data, key.size, rights);
    if (rights == NULL) {
        rights = memory_alloc_zero(sizeof *rights);
        memcpy(rights->name, key.data, key.size);
        buffer_init(&rights->text, BACKEND_RIGHTS_FILE_MAX + 1);
        HASH_ADD_KEYPTR(hh, self->keys, rights->name, key.size, rights);
        read_rights(self, rights);
    }
    return rights;
}

/* ---- asking ---- */

static bool may(backend_rights_t *self, struct span key, bool is_method, struct span name) {
    const struct key_rights *rights = rights_of(self, key);
    if (rights == NULL || rights->state != RIGHTS_SOME) {
        return rights != NULL && rights->state == RIGHTS_ALL;
    }
    for (size_t i = 0; i < rights->n[is_method]; i++) {
        if (channel_name_matches(rights->patterns[is_method][i], name)) {
            return true;
        }
    }
    return false;
}

bool backend_rights_method(backend_rights_t *self, struct span key, struct span method) {
    return may(self, key, true, method);
}

bool backend_rights_channel(backend_rights_t *self, struct span key, struct span channel) {
    return may(self, key, false, channel);
}

/* ---- life ---- */

backend_rights_t *backend_rights_new(const char *directory, bool required) {
    backend_rights_t *self = memory_alloc_zero(sizeof *self);
    self->directory = memory_strdup(directory);
    self->required = required;
    return self;
}

static void forget(backend_rights_t *self, struct key_rights *rights) {
    HASH_DEL(self->keys, rights);
    buffer_finish(&rights->text);
    memory_free(rights);
}

void backend_rights_refresh(backend_rights_t *self) {
    struct key_rights *rights;
    struct key_rights *next;
    HASH_ITER(hh, self->keys, rights, next) {
        if (is_key_gone(self, rights)) {
            forget(self, rights);
        } else if (is_changed(self, rights)) {
            read_rights(self, rights);
        }
    }
}

void backend_rights_destroy(backend_rights_t **self_p) {
    backend_rights_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    while (self->keys != NULL) {
        forget(self, self->keys);
    }
    memory_free(self->directory);
    memory_free(self);
    *self_p = NULL;
}
