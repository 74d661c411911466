/* Two hash tables: members by client id, users by name with a count. A member's bytes lie behind its struct.
 *
 * Failure modes. An event lost with a link, or an opening that lost the store: the channel is loaded again, and whoever
 * the load does not know is in doubt, not gone: the gateways are asked to set their members again (RESYNC), so one
 * that lives is confirmed within the grace. A lease that lapsed and came back under a new number: entries of the old
 * number are swept only if a fresh load still says so. */
#include "broker/presence.h"

#include "base/check.h"
#include "base/memory.h"

#include <uthash.h>

struct user {
    UT_hash_handle by_name;
    uint32_t clients;
    size_t size;
    char name[];
};

struct member {
    UT_hash_handle by_client;
    struct user *user;
    uint64_t lease_number;
    uint64_t since_ms;  /* set or confirmed last */
    bool doubtful;      /* the last load did not know it */
    uint64_t load_seen; /* number of the load that confirmed it */
    struct span info;
    struct span gateway_id;
    struct span client; /* inside info */
    uint8_t bytes[];
};

/* A client that left while a load was out. */
struct departure {
    UT_hash_handle by_client;
    size_t size;
    char client[];
};

struct presence {
    struct member *members;
    struct user *users;
    struct departure *departures;
    size_t bytes;
    uint64_t load_number;
    bool loading;
    bool ready; /* a load came back once */
};

/* Never NULL, also for an empty name. */
static const void *key_of(struct span text) {
    return text.size == 0 ? (const void *) "" : text.data;
}

presence_t *presence_new(void) {
    return memory_alloc_zero(sizeof(presence_t));
}

static void release_user(presence_t *self, struct user *user) {
    if (--user->clients == 0) {
        HASH_DELETE(by_name, self->users, user);
        self->bytes -= sizeof *user + user->size;
        memory_free(user);
    }
}

static void drop_member(presence_t *self, struct member *member) {
    HASH_DELETE(by_client, self->members, member);
    self->bytes -= sizeof *member + member->info.size + member->gateway_id.size;
    release_user(self, member->user);
    memory_free(member);
}

static void drop_departures(presence_t *self) {
    struct departure *departure = NULL;
    struct departure *next = NULL;
    HASH_ITER(by_client, self->departures, departure, next) {
        HASH_DELETE(by_client, self->departures, departure);
        memory_free(departure);
    }
}

void presence_destroy(presence_t **self_p) {
    presence_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    struct member *member = NULL;
    struct member *next = NULL;
    HASH_ITER(by_client, self->members, member, next) {
        drop_member(self, member);
    }
    drop_departures(self);
    check(self->users == NULL, "users without members");
    memory_free(self);
    *self_p = NULL;
}

bool presence_is_ready(const presence_t *self) {
    return self->ready && !self->loading;
}

bool presence_is_loading(const presence_t *self) {
    return self->loading;
}

bool presence_was_ready(const presence_t *self) {
    return self->ready;
}

/* ---- members ---- */

static struct user *hold_user(presence_t *self, struct span name) {
    struct user *user = NULL;
    HASH_FIND(by_name, self->users, key_of(name), name.size, user);
    if (user == NULL) {
        user = memory_alloc_zero(sizeof *user + name.size + 1);
        user->size = name.size;
        if (name.size > 0) {
            memcpy(user->name, name.data, name.size);
        }
        HASH_ADD_KEYPTR(by_name, self->users, user->name, user->size, user);
        self->bytes += sizeof *user + name.size;
    }
    user->clients++;
    return user;
}

static struct member *find_member(const presence_t *self, struct span client) {
    struct member *member = NULL;
    HASH_FIND(by_client, self->members, key_of(client), client.size, member);
    return member;
}

static struct member *new_member(const struct engine_presence_entry *entry) {
    struct member *member = memory_alloc_zero(sizeof *member + entry->info.size + entry->gateway_id.size);
    memcpy(member->bytes, entry->info.data, entry->info.size);
    if (entry->gateway_id.size > 0) {
        memcpy(member->bytes + entry->info.size, entry->gateway_id.data, entry->gateway_id.size);
    }
    member->info = span_of(member->bytes, entry->info.size);
    member->gateway_id = span_of(member->bytes + entry->info.size, entry->gateway_id.size);
    member->lease_number = entry->lease_number;
    return member;
}

static void add_member(presence_t *self, const struct engine_presence_entry *entry, uint64_t now_ms) {
    struct member *member = new_member(entry);
    struct wire_client_info info;
    bool read = wire_read_client_info(member->info, &info);
    check(read, "checked before");
    member->client = info.client;
    member->user = hold_user(self, info.user);
    member->since_ms = now_ms;
    member->load_seen = self->load_number;
    HASH_ADD_KEYPTR(by_client, self->members, key_of(member->client), member->client.size, member);
    self->bytes += sizeof *member + entry->info.size + entry->gateway_id.size;
}

static bool put(presence_t *self, const struct engine_presence_entry *entry, struct span client, uint64_t now_ms) {
    struct member *known = find_member(self, client);
    if (known != NULL) {
        /* Known already: whatever is new about it is taken over, silently. */
        drop_member(self, known);
    }
    add_member(self, entry, now_ms);
    return known == NULL;
}

bool presence_join(presence_t *self, const struct engine_presence_entry *entry, uint64_t now_ms) {
    struct wire_client_info info;
    if (!wire_read_client_info(entry->info, &info)) {
        return false;
    }
    struct departure *departure = NULL;
    HASH_FIND(by_client, self->departures, key_of(info.client), info.client.size, departure);
    if (departure != NULL) {
        HASH_DELETE(by_client, self->departures, departure);
        memory_free(departure);
    }
    return put(self, entry, info.client, now_ms);
}

static void note_departure(presence_t *self, struct span client) {
    struct departure *departure = NULL;
    HASH_FIND(by_client, self->departures, key_of(client), client.size, departure);
    if (departure != NULL) {
        return;
    }
    departure = memory_alloc_zero(sizeof *departure + client.size + 1);
    departure->size = client.size;
    if (client.size > 0) {
        memcpy(departure->client, client.data, client.size);
    }
    HASH_ADD_KEYPTR(by_client, self->departures, departure->client, departure->size, departure);
}

bool presence_leave(presence_t *self, struct span client) {
    if (self->loading) {
        note_departure(self, client);
    }
    struct member *member = find_member(self, client);
    if (member == NULL) {
        return false;
    }
    drop_member(self, member);
    return true;
}

/* ---- loads ---- */

void presence_begin_load(presence_t *self) {
    check(!self->loading, "two loads");
    self->loading = true;
    self->load_number++;
}

bool presence_load(presence_t *self, const struct engine_presence_entry *entry, uint64_t now_ms) {
    struct wire_client_info info;
    if (!wire_read_client_info(entry->info, &info)) {
        return false;
    }
    struct departure *departure = NULL;
    HASH_FIND(by_client, self->departures, key_of(info.client), info.client.size, departure);
    if (departure != NULL) {
        return false;
    }
    struct member *known = find_member(self, info.client);
    uint64_t since_ms = known == NULL ? now_ms : known->since_ms;
    return put(self, entry, info.client, since_ms);
}

void presence_end_load(presence_t *self, uint64_t now_ms) {
    for (struct member *member = self->members; member != NULL; member = member->by_client.next) {
        bool seen = member->load_seen == self->load_number;
        if (!seen && !member->doubtful) {
            member->since_ms = now_ms;
        }
        member->doubtful = !seen;
    }
    drop_departures(self);
    self->loading = false;
    self->ready = true;
}

void presence_fail_load(presence_t *self) {
    drop_departures(self);
    self->loading = false;
}

struct presence_stats presence_count(const presence_t *self) {
    return (struct presence_stats){HASH_CNT(by_client, self->members), HASH_CNT(by_name, self->users)};
}

/* ---- sweeping ---- */

static bool is_gone(const struct member *member, const struct presence_lives *lives, uint64_t now_ms) {
    if (now_ms - member->since_ms < PRESENCE_GRACE_MS) {
        return false;
    }
    return member->doubtful || !lives->is_alive(lives->context, member->gateway_id, member->lease_number);
}

bool presence_needs_sweep(const presence_t *self, const struct presence_lives *lives, uint64_t now_ms) {
    for (const struct member *member = self->members; member != NULL; member = member->by_client.next) {
        if (is_gone(member, lives, now_ms)) {
            return true;
        }
    }
    return false;
}

void presence_sweep(presence_t *self, const struct presence_lives *lives, uint64_t now_ms,
                    void (*on_gone)(void *context, struct span client, struct span info, bool in_store),
                    void *context) {
    struct member *member = NULL;
    struct member *next = NULL;
    HASH_ITER(by_client, self->members, member, next) {
        if (is_gone(member, lives, now_ms)) {
            on_gone(context, member->client, member->info, !member->doubtful);
        }
    }
}

uint32_t presence_append(const presence_t *self, struct buffer *out, bool *ret_fits) {
    uint32_t n = 0;
    for (const struct member *member = self->members; member != NULL; member = member->by_client.next) {
        buffer_append_sized(out, member->info);
        n++;
    }
    *ret_fits = !out->overflow;
    return n;
}

size_t presence_footprint(const presence_t *self) {
    return sizeof *self + self->bytes;
}
