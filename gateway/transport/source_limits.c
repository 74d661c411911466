/* A bucket is one number: the time at which it will be full again (the generic cell rate algorithm). A source that is
 * forgotten starts with a full bucket: with more than entries_max sources at work at once the limit is no longer the
 * right means, connections_max is.
 * The hash is seeded, for whoever owns many /64 chooses the keys. */
#include "gateway/transport/source_limits.h"

#include "base/list.h"
#include "base/memory.h"
#include "base/random.h"

#include <netinet/in.h>
#include <string.h>
#include <xxhash.h>

enum { US_PER_SECOND = 1000000, BUCKETS = 8192 };

struct source {
    struct source *next;   /* in its bucket */
    struct list_link used; /* latest last */
    uint64_t full_at_us;
    uint32_t bucket;
    uint8_t key[8]; /* the /64; for IPv4 four zeros and the address (a /64 of zeros holds no public host) */
};

struct source_limits {
    size_t entries_max;
    size_t n;
    uint64_t seed;
    struct list_link used;
    struct source *buckets[BUCKETS];
};

source_limits_t *source_limits_new(size_t entries_max) {
    source_limits_t *self = memory_alloc_zero(sizeof(*self));
    self->entries_max = entries_max;
    self->seed = random_u64();
    list_init(&self->used);
    return self;
}

static void forget(source_limits_t *self, struct source *source) {
    struct source **place = &self->buckets[source->bucket];
    while (*place != source) {
        place = &(*place)->next;
    }
    *place = source->next;
    list_remove(&source->used);
    self->n--;
    memory_free(source);
}

void source_limits_destroy(source_limits_t **self_p) {
    source_limits_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    while (!list_is_empty(&self->used)) {
        forget(self, list_entry(self->used.next, struct source, used));
    }
    memory_free(self);
}

static void make_key(const struct sockaddr_storage *peer, uint8_t ret_key[8]) {
    memset(ret_key, 0, 8);
    if (peer->ss_family == AF_INET) {
        memcpy(ret_key + 4, &((const struct sockaddr_in *) peer)->sin_addr, 4);
    } else if (peer->ss_family == AF_INET6) {
        const struct in6_addr *address = &((const struct sockaddr_in6 *) peer)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(address)) {
            memcpy(ret_key + 4, &address->s6_addr[12], 4);
        } else {
            memcpy(ret_key, address->s6_addr, 8);
        }
    }
}

static struct source *find(source_limits_t *self, uint32_t bucket, const uint8_t key[8]) {
    struct source *source = self->buckets[bucket];
    while (source != NULL && memcmp(source->key, key, sizeof(source->key)) != 0) {
        source = source->next;
    }
    return source;
}

static struct source *add(source_limits_t *self, uint32_t bucket, const uint8_t key[8]) {
    if (self->n >= self->entries_max) {
        forget(self, list_entry(self->used.next, struct source, used));
    }
    struct source *source = memory_alloc_zero(sizeof(*source));
    source->bucket = bucket;
    memcpy(source->key, key, sizeof(source->key));
    source->next = self->buckets[bucket];
    self->buckets[bucket] = source;
    list_init(&source->used);
    self->n++;
    return source;
}

bool source_limits_take(source_limits_t *self, const struct sockaddr_storage *peer, uint32_t per_second,
                        uint64_t now_us) {
    if (per_second == 0) {
        return true;
    }
    uint8_t key[8];
    make_key(peer, key);
    uint32_t bucket = (uint32_t) (XXH3_64bits_withSeed(key, sizeof(key), self->seed) % BUCKETS);
    struct source *source = find(self, bucket, key);
    if (source == NULL) {
        source = add(self, bucket, key);
    }
    list_remove(&source->used);
    list_push_back(&self->used, &source->used);
    uint64_t start = source->full_at_us > now_us ? source->full_at_us : now_us;
    uint64_t full_at = start + US_PER_SECOND / per_second;
    if (full_at > now_us + (uint64_t) SOURCE_LIMITS_BURST_SECONDS * US_PER_SECOND) {
        return false;
    }
    source->full_at_us = full_at;
    return true;
}

size_t source_limits_count(const source_limits_t *self) {
    return self->n;
}
