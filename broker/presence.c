/* Two hash tables: members by client id, users by name with a count. A member's bytes lie behind its struct.
 *
 * Bounds. A member costs about 200 bytes, and its infos where there are at most infos_max; a shard bounds the members
 * of all its channels by what its gateways may hold.
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
    bool is_unheard;    /* set here, and neither an event nor a load told of it yet */
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
    uint32_t infos_max;
    bool is_slim;    /* infos are left out */
    bool gets_infos; /* by the load that is out */
    struct buffer scratch;
    uint64_t load_number;
    bool loading;
    bool ready; /* a load came back once */
};

/* Never NULL, also for an empty name. */
static const void *key_of(struct span text) {
    return text.size == 0 ? (const void *) "" : text.data;
}

presence_t *presence_new(uint32_t infos_max) {
    presence_t *self = memory_alloc_zero(sizeof *self);
    self->infos_max = infos_max;
    self->scratch = BUFFER_EMPTY;
    return self;
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
    buffer_finish(&self->scratch);
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

static void add_member(presence_t *self, struct member *member) {
    struct wire_client_info info;
    bool read = wire_read_client_info(member->info, &info);
    check(read, "checked before");
    member->client = info.client;
    member->user = hold_user(self, info.user);
    HASH_ADD_KEYPTR(by_client, self->members, key_of(member->client), member->client.size, member);
    self->bytes += sizeof *member + member->info.size + member->gateway_id.size;
}

/* The entry with who it is only; inside the scratch buffer. */
static struct engine_presence_entry slim(presence_t *self, struct span info, struct span gateway_id,
                                         uint64_t lease_number) {
    struct wire_client_info whole;
    bool read = wire_read_client_info(info, &whole);
    check(read, "checked before");
    buffer_clear(&self->scratch);
    wire_append_client_info(&self->scratch, &(struct wire_client_info){.user = whole.user, .client = whole.client});
    return (struct engine_presence_entry){buffer_span(&self->scratch), gateway_id, lease_number};
}

/* One too many: every member's infos go. */
static void become_slim(presence_t *self) {
    struct member *former = self->members; /* in the order in which they came; new ones stand behind the last */
    for (unsigned n = HASH_CNT(by_client, self->members); n > 0; n--) {
        struct member *next = former->by_client.next;
        struct engine_presence_entry entry = slim(self, former->info, former->gateway_id, former->lease_number);
        struct member *member = new_member(&entry);
        member->since_ms = former->since_ms;
        member->doubtful = former->doubtful;
        member->is_unheard = former->is_unheard;
        member->load_seen = former->load_seen;
        former->user->clients++; /* it stays for the new one */
        drop_member(self, former);
        add_member(self, member);
        member->user->clients--;
        former = next;
    }
    self->is_slim = true;
}

static bool put(presence_t *self, const struct engine_presence_entry *entry, struct span client, uint64_t now_ms) {
    struct member *known = find_member(self, client);
    bool is_news = known == NULL || known->is_unheard;
    if (known != NULL) {
        /* Known already: whatever is new about it is taken over, silently. */
        drop_member(self, known);
    }
    struct engine_presence_entry kept =
        self->is_slim ? slim(self, entry->info, entry->gateway_id, entry->lease_number) : *entry;
    struct member *member = new_member(&kept);
    member->since_ms = now_ms;
    member->load_seen = self->load_number;
    add_member(self, member);
    if (!self->is_slim && HASH_CNT(by_client, self->members) > self->infos_max) {
        become_slim(self);
    }
    return is_news;
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

void presence_set(presence_t *self, const struct engine_presence_entry *entry, uint64_t now_ms) {
    struct wire_client_info info;
    if (!wire_read_client_info(entry->info, &info)) {
        return;
    }
    const struct member *known = find_member(self, info.client);
    bool says_the_same = known != NULL && (self->is_slim || span_equal(known->info, entry->info));
    if (!says_the_same && put(self, entry, info.client, now_ms)) {
        find_member(self, info.client)->is_unheard = true;
    }
}

void presence_clear(presence_t *self, struct span client) {
    struct member *member = find_member(self, client);
    if (member != NULL && member->is_unheard) {
        drop_member(self, member);
    }
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
    bool was_told = !member->is_unheard;
    drop_member(self, member);
    return was_told;
}

/* ---- loads ---- */

void presence_begin_load(presence_t *self) {
    check(!self->loading, "two loads");
    self->gets_infos = presence_wants_infos(self);
    self->is_slim = self->is_slim && !self->gets_infos;
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
    bool is_same =
        known != NULL && known->lease_number == entry->lease_number && span_equal(known->gateway_id, entry->gateway_id);
    return put(self, entry, info.client, is_same ? known->since_ms : now_ms);
}

void presence_end_load(presence_t *self, uint64_t now_ms) {
    for (struct member *member = self->members; member != NULL; member = member->by_client.next) {
        bool seen = member->load_seen == self->load_number;
        if (!seen && !member->doubtful && !member->is_unheard) {
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
    self->is_slim = self->is_slim || self->gets_infos;
}

bool presence_has_infos(const presence_t *self) {
    return !self->is_slim;
}

bool presence_wants_infos(const presence_t *self) {
    return self->is_slim && HASH_CNT(by_client, self->members) <= self->infos_max / 2;
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

bool presence_sweeps_the_living(const presence_t *self, const struct presence_lives *lives, uint64_t now_ms,
                                bool (*is_known)(void *context, struct span gateway_id)) {
    for (const struct member *member = self->members; member != NULL; member = member->by_client.next) {
        if (is_gone(member, lives, now_ms) && is_known(lives->context, member->gateway_id)) {
            return true;
        }
    }
    return false;
}

void presence_sweep(presence_t *self, const struct presence_lives *lives, uint64_t now_ms,
                    void (*on_gone)(void *context, const struct presence_gone *gone), void *context) {
    struct member *member = NULL;
    struct member *next = NULL;
    HASH_ITER(by_client, self->members, member, next) {
        if (is_gone(member, lives, now_ms)) {
            const struct presence_gone gone = {
                .client = member->client,
                .entry = {member->info, member->gateway_id, member->lease_number},
                .in_store = !member->doubtful,
                .is_told = !member->is_unheard,
            };
            on_gone(context, &gone);
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
