/* A bucket is one number: the time at which it will be full again (the generic cell rate algorithm). A source that is
 * forgotten starts with a full bucket: with more than idle_max sources at work at once the limit is no longer the right
 * means, connections_max is.
 * The hash is seeded, for whoever owns many /64 chooses the keys. */
#include "gateway/transport/source_limits.h"

#include "base/check.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/random.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>
#include <xxhash.h>

enum { US_PER_SECOND = 1000000, BUCKETS = 16384, V6_PREFIX_BYTES = 8 };

struct source {
    struct source *next;   /* in its bucket */
    struct list_link idle; /* linked while no connection is open; seen latest last */
    uint64_t full_at_us;
    uint32_t bucket;
    uint32_t n_open;
    struct ip_address address; /* of IPv6 the first half */
};

struct source_limits {
    uv_mutex_t mutex; /* of everything below, and of the sources */
    size_t idle_max;
    size_t n_idle;
    size_t n;
    uint64_t seed;
    struct list_link idle;
    struct source *buckets[BUCKETS];
};

source_limits_t *source_limits_new(size_t idle_max) {
    source_limits_t *self = memory_alloc_zero(sizeof(*self));
    check(uv_mutex_init(&self->mutex) == 0, "a mutex");
    self->idle_max = idle_max;
    self->seed = random_u64();
    list_init(&self->idle);
    return self;
}

static void leave_idle(source_limits_t *self, struct source *source) {
    if (list_is_linked(&source->idle)) {
        list_remove(&source->idle);
        self->n_idle--;
    }
}

static void forget(source_limits_t *self, struct source *source) {
    struct source **place = &self->buckets[source->bucket];
    while (*place != source) {
        place = &(*place)->next;
    }
    *place = source->next;
    leave_idle(self, source);
    self->n--;
    memory_free(source);
}

static struct source *oldest_idle(source_limits_t *self) {
    return list_entry(self->idle.next, struct source, idle);
}

void source_limits_destroy(source_limits_t **self_p) {
    source_limits_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    while (!list_is_empty(&self->idle)) {
        forget(self, oldest_idle(self));
    }
    check(self->n == 0, "connections of %zu sources outlive their table", self->n);
    uv_mutex_destroy(&self->mutex);
    memory_free(self);
}

static struct ip_address key_of(const struct ip_address *from) {
    struct ip_address key = *from;
    if (!ip_address_is_v4(from)) {
        memset(key.bytes + V6_PREFIX_BYTES, 0, sizeof key.bytes - V6_PREFIX_BYTES);
    }
    return key;
}

static struct source *find(const source_limits_t *self, uint32_t bucket, const struct ip_address *key) {
    struct source *source = self->buckets[bucket];
    while (source != NULL && memcmp(&source->address, key, sizeof *key) != 0) {
        source = source->next;
    }
    return source;
}

static struct source *find_or_add(source_limits_t *self, const struct ip_address *key) {
    uint32_t bucket = (uint32_t) (XXH3_64bits_withSeed(key->bytes, sizeof key->bytes, self->seed) % BUCKETS);
    struct source *source = find(self, bucket, key);
    if (source != NULL) {
        return source;
    }
    source = memory_alloc_zero(sizeof(*source));
    source->bucket = bucket;
    source->address = *key;
    source->next = self->buckets[bucket];
    self->buckets[bucket] = source;
    list_init(&source->idle);
    self->n++;
    return source;
}

/* Behind all others; the one seen longest ago goes when there are too many. */
static void become_idle(source_limits_t *self, struct source *source) {
    leave_idle(self, source);
    list_push_back(&self->idle, &source->idle);
    self->n_idle++;
    if (self->n_idle > self->idle_max) {
        forget(self, oldest_idle(self));
    }
}

static bool take_handshake(struct source *source, uint32_t per_second, uint64_t now_us) {
    if (per_second == 0) {
        return true;
    }
    uint64_t start = source->full_at_us > now_us ? source->full_at_us : now_us;
    uint64_t full_at = start + US_PER_SECOND / per_second;
    if (full_at > now_us + (uint64_t) SOURCE_LIMITS_BURST_SECONDS * US_PER_SECOND) {
        return false;
    }
    source->full_at_us = full_at;
    return true;
}

static enum source_verdict judge(struct source *source, const struct source_bounds *bounds, uint64_t now_us) {
    if (!take_handshake(source, bounds->handshakes_per_second, now_us)) {
        return SOURCE_TOO_FAST;
    }
    return bounds->connections > 0 && source->n_open >= bounds->connections ? SOURCE_TOO_MANY : SOURCE_ADMITTED;
}

enum source_verdict source_limits_take(source_limits_t *self, const struct ip_address *from,
                                       const struct source_bounds *bounds, uint64_t now_us,
                                       struct source **ret_source) {
    struct ip_address key = key_of(from);
    *ret_source = NULL;
    uv_mutex_lock(&self->mutex);
    struct source *source = find_or_add(self, &key);
    enum source_verdict verdict = judge(source, bounds, now_us);
    if (verdict == SOURCE_ADMITTED) {
        source->n_open++;
        leave_idle(self, source);
        *ret_source = source;
    } else if (source->n_open == 0) {
        become_idle(self, source);
    }
    uv_mutex_unlock(&self->mutex);
    return verdict;
}

void source_limits_release(source_limits_t *self, struct source **source_p) {
    struct source *source = *source_p;
    if (source == NULL) {
        return;
    }
    *source_p = NULL;
    uv_mutex_lock(&self->mutex);
    source->n_open--;
    if (source->n_open == 0) {
        become_idle(self, source);
    }
    uv_mutex_unlock(&self->mutex);
}

void source_print(const struct source *source, char ret_text[SOURCE_TEXT]) {
    ip_address_print(&source->address, ret_text);
    if (!ip_address_is_v4(&source->address)) {
        strcat(ret_text, "/64");
    }
}

size_t source_limits_count(source_limits_t *self) {
    uv_mutex_lock(&self->mutex);
    size_t n = self->n;
    uv_mutex_unlock(&self->mutex);
    return n;
}
