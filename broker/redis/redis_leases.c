/* The leases of gateways: {<prefix>}:gw:<id> lives for lease_ms from its last renewal and says which number it has and
 * how many connections there are; {<prefix>}:gws names all gateways that ever renewed one. They live on one node, home,
 * which an engine speaks to also where it serves no partition of ours. Every second the set is read, then each lease;
 * what is gone leaves the set, in one step with a look at its lease: another broker may have renewed it meanwhile.
 * Redis away: nothing is told. */
#include "broker/redis/engine_redis_parts.h"

#include "base/clock.h"
#include "base/memory.h"
#include "broker/redis/link/redis_request.h"

#include <inttypes.h>
#include <stdio.h>

enum { GATEWAYS_MAX = 65536 };

struct lease {
    struct buffer id;
    bool is_alive;
    struct engine_lease lease;
};

/* One reading of all leases. */
struct lease_reading {
    struct redis_leases *leases;
    size_t n;
    size_t n_owed;
    bool is_broken; /* an answer is missing: nothing is told of this reading */
    struct lease items[];
};

/* A renewal under way, or waiting for Redis. */
struct renewal {
    struct list_link link;
    struct redis_leases *leases;
    struct engine_lease lease;
    uint64_t until_ms; /* a waiting one is worth nothing after that */
    bool with_text;
    size_t id_size;
    char id[];
};

struct redis_leases {
    struct engine_redis *engine;
    struct list_link waiting; /* renewals that came while Redis was away, one a gateway */
    bool is_reading;
    bool read_again;
    /* What was told last, to see when a renewal got another number. */
    struct lease *known;
    size_t n_known;
};

/* ---- telling ---- */

static void lease_list_free(struct lease *items, size_t n) {
    for (size_t i = 0; i < n; i++) {
        buffer_finish(&items[i].id);
    }
}

static void forget_known(struct redis_leases *self) {
    lease_list_free(self->known, self->n_known);
    memory_free(self->known);
    self->known = NULL;
    self->n_known = 0;
}

static void tell(struct redis_leases *self, struct lease_reading *reading) {
    struct engine_redis *engine = self->engine;
    forget_known(self);
    self->known = memory_alloc_array(reading->n + 1, sizeof *self->known);
    struct engine_lease *alive = memory_alloc_array(reading->n + 1, sizeof *alive);
    for (size_t i = 0; i < reading->n; i++) {
        struct lease *item = &reading->items[i];
        if (item->is_alive) {
            item->lease.gateway_id = buffer_span(&item->id);
            alive[self->n_known] = item->lease;
            self->known[self->n_known++] = *item;
            item->id = BUFFER_EMPTY; /* moved */
        }
    }
    engine->options.events->on_leases(engine->options.context, alive, self->n_known);
    memory_free(alive);
}

static void reading_over(struct lease_reading *reading, bool is_whole) {
    struct redis_leases *self = reading->leases;
    self->is_reading = false;
    if (is_whole) {
        tell(self, reading);
    }
    lease_list_free(reading->items, reading->n);
    memory_free(reading);
    if (self->read_again && redis_node_is_up(self->engine->home)) {
        redis_leases_read(self);
    }
}

/* ---- reading ---- */

static bool take_number(struct span *rest, uint64_t *ret_value) {
    size_t size = 0;
    while (size < rest->size && rest->data[size] != ' ') {
        size++;
    }
    bool is_number = span_parse_u64(span_of(rest->data, size), ret_value);
    size_t taken = size < rest->size ? size + 1 : size;
    *rest = span_of(rest->data + taken, rest->size - taken);
    return is_number;
}

/* "number nonce connections users alive dead" */
static bool parse_lease(struct span text, struct engine_lease *ret_lease) {
    uint64_t values[6];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (!take_number(&text, &values[i]) || (i > 1 && values[i] > UINT32_MAX)) {
            return false;
        }
    }
    *ret_lease = (struct engine_lease){.number = values[0],
                                       .boot_nonce = values[1],
                                       .connections = (uint32_t) values[2],
                                       .users = (uint32_t) values[3],
                                       .alive = (uint32_t) values[4],
                                       .dead = (uint32_t) values[5]};
    return values[0] != 0 && text.size == 0;
}

/* {prefix}:what id */
static void append_key(const struct engine_redis *engine, struct buffer *out, const char *what, struct span id) {
    const struct span parts[] = {SPAN_LITERAL("{"), span_of_text(engine->prefix), SPAN_LITERAL("}"), span_of_text(what),
                                 id};
    redis_request_parts(out, parts, 5);
}

/* Its lease and the list, the keys of both scripts. */
static void append_keys(const struct engine_redis *engine, struct buffer *out, struct span id) {
    append_key(engine, out, ":gw:", id);
    append_key(engine, out, ":gws", SPAN_EMPTY);
}

/* Rare and short: always with its text. */
static void unlist(struct engine_redis *engine, struct span id) {
    redis_link_t *link = engine->home->command;
    struct buffer *out = redis_link_out(link);
    redis_scripts_begin(engine->scripts, out, REDIS_SCRIPT_UNLIST, true, 2, 1);
    append_keys(engine, out, id);
    redis_request_bytes(out, id);
    redis_link_sent(link, NULL, NULL);
}

static void on_lease(void *context, void *request, const struct redis_reply *reply) {
    struct engine_redis *engine = ((struct redis_node *) context)->engine;
    struct lease_reading *reading = request;
    /* Replies come in the order of the commands. */
    struct lease *item = &reading->items[reading->n - reading->n_owed];
    reading->n_owed--;
    bool is_cut = reply == NULL || engine->is_closing || reply->type == REDIS_ERROR;
    reading->is_broken = reading->is_broken || is_cut;
    if (!is_cut && reply->type == REDIS_STRING) {
        item->is_alive = parse_lease(reply->text, &item->lease);
    } else if (!is_cut && reply->type == REDIS_NIL && redis_node_is_up(engine->home)) {
        unlist(engine, buffer_span(&item->id));
    }
    if (reading->n_owed == 0) {
        reading_over(reading, !reading->is_broken);
    }
}

static void read_each(struct engine_redis *engine, struct lease_reading *reading) {
    for (size_t i = 0; i < reading->n; i++) {
        struct buffer *out = redis_link_out(engine->home->command);
        redis_request_begin(out, 2);
        redis_request_text(out, "GET");
        append_key(engine, out, ":gw:", buffer_span(&reading->items[i].id));
        redis_link_sent(engine->home->command, on_lease, reading);
    }
}

static bool is_listed(const struct lease_reading *reading, size_t n, struct span id) {
    for (size_t i = 0; i < n; i++) {
        if (span_equal(buffer_span(&reading->items[i].id), id)) {
            return true;
        }
    }
    return false;
}

/* Whose lease was alive a second ago is asked for as well: the list may have been lost, and who is only not on it until
 * the next renewal is not dead. */
static void add_known(struct redis_leases *self, struct lease_reading *reading) {
    size_t n_listed = reading->n;
    for (size_t i = 0; i < self->n_known; i++) {
        struct span id = buffer_span(&self->known[i].id);
        if (!is_listed(reading, n_listed, id)) {
            buffer_append_span(&reading->items[reading->n++].id, id);
        }
    }
}

static void on_gateways(void *context, void *request, const struct redis_reply *reply) {
    struct engine_redis *engine = ((struct redis_node *) context)->engine;
    struct redis_leases *self = request;
    if (reply == NULL || engine->is_closing || reply->type != REDIS_ARRAY || reply->n > GATEWAYS_MAX ||
        context != engine->home || !redis_node_is_up(engine->home)) {
        self->is_reading = false;
        return;
    }
    struct lease_reading *reading =
        memory_alloc_zero(sizeof *reading + (reply->n + self->n_known) * sizeof *reading->items);
    reading->leases = self;
    for (size_t i = 0; i < reply->n; i++) {
        struct span id = redis_reply_string(&reply->elements[i]);
        if (id.size > 0) {
            buffer_append_span(&reading->items[reading->n++].id, id);
        }
    }
    add_known(self, reading);
    reading->n_owed = reading->n;
    if (reading->n == 0) {
        reading_over(reading, true);
    } else {
        read_each(engine, reading);
    }
}

void redis_leases_read(struct redis_leases *self) {
    struct engine_redis *engine = self->engine;
    if (self->is_reading || !redis_node_is_up(engine->home)) {
        self->read_again = true;
        return;
    }
    self->is_reading = true;
    self->read_again = false;
    struct buffer *out = redis_link_out(engine->home->command);
    redis_request_begin(out, 2);
    redis_request_text(out, "SMEMBERS");
    append_key(engine, out, ":gws", SPAN_EMPTY);
    redis_link_sent(engine->home->command, on_gateways, self);
}

/* ---- renewing ---- */

static bool is_known(const struct redis_leases *self, struct span id, uint64_t number) {
    for (size_t i = 0; i < self->n_known; i++) {
        if (span_equal(buffer_span(&self->known[i].id), id)) {
            return self->known[i].lease.number == number;
        }
    }
    return false;
}

static void send_renewal(struct engine_redis *engine, struct renewal *renewal);

static void on_renewed(void *context, void *request, const struct redis_reply *reply) {
    struct engine_redis *engine = ((struct redis_node *) context)->engine;
    struct renewal *renewal = request;
    uint64_t number = 0;
    if (reply != NULL && !engine->is_closing && redis_node_is_up(engine->home)) {
        if (reply->type == REDIS_ERROR && redis_error_classify(reply->text) == REDIS_ERROR_NO_SCRIPT &&
            !renewal->with_text) {
            renewal->with_text = true;
            send_renewal(engine, renewal);
            return;
        }
        if (reply->type == REDIS_ERROR) {
            redis_routing_take_moved(engine, reply->text);
        }
        if (span_parse_u64(redis_reply_string(reply), &number) &&
            !is_known(renewal->leases, span_of(renewal->id, renewal->id_size), number)) {
            redis_leases_read(renewal->leases); /* a new number is told at once */
        }
    }
    memory_free(renewal);
}

static void send_renewal(struct engine_redis *engine, struct renewal *renewal) {
    const struct engine_lease *lease = &renewal->lease;
    struct span id = span_of(renewal->id, renewal->id_size);
    char number[24];
    char nonce[24];
    char figures[64];
    snprintf(number, sizeof number, "%" PRIu64, engine_lease_number());
    snprintf(nonce, sizeof nonce, "%" PRIu64, lease->boot_nonce);
    snprintf(figures, sizeof figures, "%u %u %u %u", lease->connections, lease->users, lease->alive, lease->dead);
    redis_link_t *link = engine->home->command;
    struct buffer *out = redis_link_out(link);
    redis_scripts_begin(engine->scripts, out, REDIS_SCRIPT_LEASE, renewal->with_text, 2, 5);
    append_keys(engine, out, id);
    redis_request_text(out, number);
    redis_request_text(out, nonce);
    redis_request_text(out, figures);
    redis_request_u64(out, engine->lease_ms);
    redis_request_bytes(out, id);
    redis_link_sent(link, on_renewed, renewal);
}

static void forget_waiting(struct redis_leases *self, struct span id) {
    list_for_each_safe (link, &self->waiting) {
        struct renewal *renewal = list_entry(link, struct renewal, link);
        if (id.size == 0 || span_equal(span_of(renewal->id, renewal->id_size), id)) {
            list_remove(link);
            memory_free(renewal);
        }
    }
}

void redis_leases_renew(struct redis_leases *self, const struct engine_lease *lease) {
    struct engine_redis *engine = self->engine;
    if (lease->gateway_id.size == 0) {
        return;
    }
    struct renewal *renewal = memory_alloc_zero(sizeof *renewal + lease->gateway_id.size);
    list_init(&renewal->link);
    renewal->leases = self;
    renewal->lease = *lease;
    renewal->until_ms = clock_monotonic_ms() + engine->lease_ms;
    renewal->id_size = lease->gateway_id.size;
    memcpy(renewal->id, lease->gateway_id.data, lease->gateway_id.size);
    if (redis_node_is_up(engine->home)) {
        send_renewal(engine, renewal);
    } else {
        forget_waiting(self, lease->gateway_id);
        list_push_back(&self->waiting, &renewal->link);
    }
}

void redis_leases_on_ready(struct redis_leases *self) {
    uint64_t now_ms = clock_monotonic_ms();
    while (!list_is_empty(&self->waiting)) {
        struct renewal *renewal = list_entry(list_pop_front(&self->waiting), struct renewal, link);
        if (renewal->until_ms > now_ms) {
            send_renewal(self->engine, renewal);
        } else {
            memory_free(renewal);
        }
    }
    redis_leases_read(self);
}

/* ---- life ---- */

struct redis_leases *redis_leases_new(struct engine_redis *engine) {
    struct redis_leases *self = memory_alloc_zero(sizeof *self);
    self->engine = engine;
    list_init(&self->waiting);
    return self;
}

void redis_leases_destroy(struct redis_leases **self_p) {
    struct redis_leases *self = *self_p;
    if (self == NULL) {
        return;
    }
    forget_known(self);
    forget_waiting(self, SPAN_EMPTY);
    memory_free(self);
    *self_p = NULL;
}
