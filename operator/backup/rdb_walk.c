/* See rdb_walk.h. The window grows where a value does not fit into it, to twice its size each time, and is read no
 * further than the next part needs: memory is that of the largest value. */
#include "operator/backup/rdb_walk.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>

enum { WINDOW = 1024 * 1024, WINDOW_MAX = 1024 * 1024 * 1024 };

struct walk {
    FILE *file;
    struct buffer window;
    size_t at;       /* taken of the window */
    uint64_t offset; /* of the file, where the window begins */
    bool is_ended;
};

static bool fail(char ret_error[BACKUP_ERROR_MAX], const char *path, const char *why) {
    snprintf(ret_error, BACKUP_ERROR_MAX, "%.300s: %s", path, why);
    return false;
}

/* More bytes behind those that are not taken yet. False: there are none, or the bound is reached. */
static bool fill(struct walk *self) {
    buffer_consume(&self->window, self->at);
    self->offset += self->at;
    self->at = 0;
    size_t more = self->window.size < WINDOW ? WINDOW : self->window.size;
    if (self->is_ended || self->window.size + more > WINDOW_MAX || !buffer_reserve(&self->window, more)) {
        return false;
    }
    size_t got = fread(self->window.data + self->window.size, 1, more, self->file);
    self->window.size += got;
    self->is_ended = got < more;
    return got > 0;
}

static bool walk(struct walk *self, const char *path, struct rdb_reader *reader, rdb_visitor_t visitor, void *context,
                 char ret_error[BACKUP_ERROR_MAX]) {
    char text[RDB_ERROR_MAX + 64];
    for (;;) {
        struct rdb_found found;
        struct span left = span_of(self->window.data + self->at, self->window.size - self->at);
        enum rdb_part part = rdb_reader_next(reader, left, &found);
        switch (part) {
        case RDB_PART_KEY:
        case RDB_PART_FUNCTION:
            if (!visitor(context, part, reader, &found)) {
                ret_error[0] = '\0';
                return false;
            }
            self->at += found.size;
            break;
        case RDB_PART_OTHER:
            self->at += found.size;
            break;
        case RDB_PART_END:
            return true;
        case RDB_PART_MORE:
            if (!fill(self)) {
                return fail(ret_error, path, "it ends in the middle of a key, or a key is larger than 1 GiB");
            }
            break;
        case RDB_PART_BROKEN:
            snprintf(text, sizeof text, "at byte %llu: %s", (unsigned long long) (self->offset + self->at),
                     reader->error);
            return fail(ret_error, path, text);
        }
    }
}

bool rdb_walk(const char *path, rdb_visitor_t visitor, void *context, char ret_error[BACKUP_ERROR_MAX]) {
    struct walk self = {.file = fopen(path, "re")};
    struct rdb_reader reader;
    if (self.file == NULL) {
        return fail(ret_error, path, strerror(errno));
    }
    buffer_init(&self.window, WINDOW_MAX);
    (void) fill(&self);
    bool is_walked = rdb_reader_begin(&reader, buffer_span(&self.window)) || fail(ret_error, path, "it is no RDB");
    self.at = RDB_HEAD;
    is_walked = is_walked && walk(&self, path, &reader, visitor, context, ret_error);
    rdb_reader_finish(&reader);
    buffer_finish(&self.window);
    fclose(self.file);
    return is_walked;
}

bool rdb_judge(const char *path, struct backup_file_facts *ret_facts, char ret_error[BACKUP_ERROR_MAX]) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return fail(ret_error, path, strerror(errno));
    }
    backup_file_t *judge = backup_file_new(BACKUP_FILE_NOWHERE);
    uint8_t *bytes = memory_alloc(WINDOW);
    size_t size;
    while ((size = fread(bytes, 1, WINDOW, file)) > 0) {
        (void) backup_file_take(judge, span_of(bytes, size));
    }
    bool is_whole = ferror(file) == 0
                        ? backup_file_finish(judge, ret_facts) || fail(ret_error, path, backup_file_error(judge))
                        : fail(ret_error, path, "it cannot be read");
    memory_free(bytes);
    backup_file_destroy(&judge);
    fclose(file);
    return is_whole;
}
