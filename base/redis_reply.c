/* See redis_reply.h.
 *
 *   feed ─▶ hiredis's buffer ─▶ object functions ─▶ nodes and texts in the arena ─▶ one tree a reply
 *
 * The arena is emptied when the next reply is asked for; its first block is kept, so that small replies cost no
 * allocation. Array elements lie side by side in their parent: an object function fills the place that its task names.
 * Failures: over a cap, or out of memory for a peer-sized block: the object function returns NULL, hiredis calls that
 * "out of memory", and we say what it was. */
#include "base/redis_reply.h"

#include "base/check.h"
#include "base/memory.h"

#include <stddef.h>

#include <hiredis/read.h>

enum { BLOCK_SIZE = 16 * 1024 };

struct block {
    struct block *next;
    size_t size;
    size_t used;
    max_align_t data[];
};

struct redis_reader {
    redisReader *reader;
    struct redis_reply_limits limits;
    struct block *first; /* kept; the others are of the reply being built */
    struct block *current;
    size_t bytes;    /* of the arena in use */
    size_t elements; /* of this reply */
    const char *error;
    bool is_broken;
};

/* ---- arena ---- */

static struct block *block_new(size_t size) {
    struct block *block = memory_try_alloc(sizeof *block + size);
    if (block != NULL) {
        *block = (struct block){.size = size};
    }
    return block;
}

static void arena_clear(redis_reader_t *self) {
    struct block *block = self->first->next;
    while (block != NULL) {
        struct block *next = block->next;
        memory_free(block);
        block = next;
    }
    self->first->next = NULL;
    self->first->used = 0;
    self->current = self->first;
    self->bytes = 0;
    self->elements = 0;
}

static void *arena_alloc(redis_reader_t *self, size_t size) {
    size_t rounded = (size + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
    if (rounded < size || rounded > self->limits.bytes || self->bytes > self->limits.bytes - rounded) {
        self->error = "a reply is larger than redis.reply_bytes";
        return NULL;
    }
    if (rounded > self->current->size - self->current->used) {
        struct block *block = block_new(rounded > BLOCK_SIZE ? rounded : BLOCK_SIZE);
        if (block == NULL) {
            self->error = "no memory for a reply";
            return NULL;
        }
        self->current->next = block;
        self->current = block;
    }
    void *place = (char *) self->current->data + self->current->used;
    self->current->used += rounded;
    self->bytes += rounded;
    return place;
}

/* ---- hiredis's object functions ---- */

/* Where the object of this task belongs: an element of its parent, or a new root. */
static struct redis_reply *place_of(const redisReadTask *task) {
    redis_reader_t *self = task->privdata;
    if (task->parent != NULL) {
        struct redis_reply *array = task->parent->obj;
        return &array->elements[task->idx];
    }
    if (++self->elements > self->limits.elements) {
        self->error = "a reply has too many elements";
        return NULL;
    }
    return arena_alloc(self, sizeof(struct redis_reply));
}

static enum redis_reply_type type_of(int hiredis_type) {
    return hiredis_type == REDIS_REPLY_ERROR    ? REDIS_ERROR
           : hiredis_type == REDIS_REPLY_STATUS ? REDIS_STATUS
                                                : REDIS_STRING;
}

static void *create_string(const redisReadTask *task, char *text, size_t size) {
    struct redis_reply *reply = place_of(task);
    char *copy = reply == NULL ? NULL : arena_alloc(task->privdata, size);
    if (copy == NULL) {
        return NULL;
    }
    if (size > 0) {
        memcpy(copy, text, size);
    }
    *reply = (struct redis_reply){.type = type_of(task->type), .text = span_of(copy, size)};
    return reply;
}

static void *create_array(const redisReadTask *task, int n) {
    redis_reader_t *self = task->privdata;
    struct redis_reply *reply = place_of(task);
    if (reply == NULL || n < 0) {
        return NULL;
    }
    size_t count = (size_t) n;
    if (count > self->limits.elements - self->elements) {
        self->error = "a reply has too many elements";
        return NULL;
    }
    self->elements += count;
    struct redis_reply *elements = arena_alloc(self, count * sizeof *elements);
    if (elements == NULL) {
        return NULL;
    }
    memset(elements, 0, count * sizeof *elements);
    *reply = (struct redis_reply){.type = REDIS_ARRAY, .n = count, .elements = elements};
    return reply;
}

static void *create_integer(const redisReadTask *task, long long value) {
    struct redis_reply *reply = place_of(task);
    if (reply != NULL) {
        *reply = (struct redis_reply){.type = REDIS_INTEGER, .integer = value};
    }
    return reply;
}

static void *create_nil(const redisReadTask *task) {
    struct redis_reply *reply = place_of(task);
    if (reply != NULL) {
        *reply = (struct redis_reply){.type = REDIS_NIL};
    }
    return reply;
}

static void free_object(void *object) {
    (void) object; /* the arena frees all at once */
}

static redisReplyObjectFunctions object_functions = {create_string, create_array, create_integer, create_nil,
                                                     free_object};

/* ---- the reader ---- */

redis_reader_t *redis_reader_new(const struct redis_reply_limits *limits) {
    redis_reader_t *self = memory_alloc_zero(sizeof *self);
    self->limits = *limits;
    self->first = memory_alloc_zero(sizeof *self->first + BLOCK_SIZE);
    self->first->size = BLOCK_SIZE;
    self->current = self->first;
    self->reader = redisReaderCreateWithFunctions(&object_functions);
    if (self->reader == NULL) {
        unreachable("no memory for a reader");
    }
    self->reader->privdata = self;
    self->reader->maxbuf = 0; /* keep the buffer: freeing it each time costs more than it holds */
    return self;
}

void redis_reader_destroy(redis_reader_t **self_p) {
    redis_reader_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    redisReaderFree(self->reader);
    arena_clear(self);
    memory_free(self->first);
    memory_free(self);
    *self_p = NULL;
}

static bool broken(redis_reader_t *self, const char *error) {
    self->is_broken = true;
    if (self->error == NULL) {
        self->error = error;
    }
    return false;
}

bool redis_reader_feed(redis_reader_t *self, struct span bytes) {
    if (self->is_broken) {
        return false;
    }
    /* What waits in hiredis's buffer is part of replies too; twice, so that several large ones may wait behind. */
    if (self->reader->len - self->reader->pos > 2 * self->limits.bytes) {
        return broken(self, "a reply is larger than redis.reply_bytes");
    }
    if (bytes.size > 0 && redisReaderFeed(self->reader, (const char *) bytes.data, bytes.size) != REDIS_OK) {
        return broken(self, "no memory for a reply");
    }
    return true;
}

enum redis_read_result redis_reader_next(redis_reader_t *self, const struct redis_reply **ret_reply) {
    if (self->is_broken) {
        return REDIS_READ_BROKEN;
    }
    if (self->reader->ridx < 0) {
        arena_clear(self); /* between two replies: the last one is not needed any more */
    }
    void *reply = NULL;
    if (redisReaderGetReply(self->reader, &reply) != REDIS_OK) {
        broken(self, self->reader->errstr);
        return REDIS_READ_BROKEN;
    }
    if (reply == NULL) {
        return REDIS_READ_MORE;
    }
    *ret_reply = reply;
    return REDIS_READ_REPLY;
}

const char *redis_reader_error(const redis_reader_t *self) {
    return self->error == NULL ? "" : self->error;
}

bool redis_reply_is_text(const struct redis_reply *self, const char *text) {
    return (self->type == REDIS_STRING || self->type == REDIS_STATUS) && span_equal_text(self->text, text);
}

struct span redis_reply_string(const struct redis_reply *self) {
    return self->type == REDIS_STRING || self->type == REDIS_STATUS ? self->text : SPAN_EMPTY;
}
