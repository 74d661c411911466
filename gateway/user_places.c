/* What is told is always how many the worker has, never that there is one more or one less: said twice or late it does
 * no harm, and the last word on a lane is right. Telling everybody takes a copy of who is there and goes as far as the
 * lanes' credit, then on with the next; how many each has is looked up when it is told.
 *
 * Failure modes: no broker, none that answers within brokers.request_timeout, or one that does not know the question:
 * the gateway's own count has judged already and decides alone (a metric counts it); what was let in so is told with
 * the next change of links, or at once where there is one. */
#include "gateway/user_places.h"

#include "base/log.h"
#include "base/memory.h"
#include "gateway/broker_links.h"

enum {
    FRAME_USERS = 512, /* of one USER_COUNTS: 6 KiB, so that it fits a batch */
    FRAME_BYTES = 64,  /* beside them */
};

struct user_places {
    struct user_places_options options;
    broker_links_t *links;
    metric_values_t *metrics;
    uint32_t most;                  /* 0: no bound */
    struct broker_deferred telling; /* everybody, anew */
    struct broker_deferred going_on;
    uint64_t *to_tell; /* users; NULL: all was told */
    uint32_t n_to_tell;
    uint32_t n_partitions; /* when that began */
    struct buffer counts;  /* scratch */
    bool is_alone;         /* the last one was judged without a broker */
};

enum place_metric { METRIC_REFUSED, METRIC_ALONE };

static const struct metric_description metric_table[] = {
    {"callboard_client_user_limit_refused_total",
     "Connections over client.connections_per_user that this gateway alone would have let in.", METRIC_COUNTER, NULL},
    {"callboard_client_user_limit_alone_total",
     "Connections judged by this gateway's own count of the user, because no broker answered.", METRIC_COUNTER, NULL},
};

/* ---- telling ---- */

static void append_count(user_places_t *self, uint64_t user) {
    buffer_append_u64(&self->counts, user);
    buffer_append_u32(&self->counts, user_count_at(self->options.users, user));
}

static void send_counts(const struct broker_route *lane, uint8_t flags, struct span counts) {
    struct buffer *batch = uplink_batch(lane->uplink, lane->shard);
    size_t start = batch->size;
    bool encoded = wire_encode_user_counts(batch, &(struct wire_user_counts){.flags = flags, .counts = counts});
    uplink_frame_added(lane->uplink, lane->shard, wire_mark_skippable(batch, start, encoded));
}

static void tell_key(user_places_t *self, uint64_t user) {
    struct broker_route lane;
    if (broker_links_route(self->links, broker_user_hash(user), &lane)) {
        buffer_clear(&self->counts);
        append_count(self, user);
        send_counts(&lane, 0, buffer_span(&self->counts));
    }
}

void user_places_tell(user_places_t *self, struct span user) {
    if (self != NULL && self->most > 0) {
        tell_key(self, user_count_key(user));
    }
}

/* ---- telling everybody ---- */

static uint32_t partition_of_user(const user_places_t *self, uint64_t user) {
    return broker_user_hash(user) & (self->n_partitions - 1);
}

/* In order of their partitions, so that one frame tells of many. */
static void copy_users(user_places_t *self) {
    uint32_t n = 0;
    uint32_t at = 0;
    uint32_t connections;
    uint64_t user;
    uint32_t *ends = memory_alloc_array(self->n_partitions, sizeof *ends);
    while (user_count_next(self->options.users, &at, &user, &connections)) {
        ends[partition_of_user(self, user)]++;
    }
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        n += ends[i];
        ends[i] = n;
    }
    self->to_tell = memory_alloc_array(n + 1, sizeof *self->to_tell);
    self->n_to_tell = n;
    at = 0;
    while (user_count_next(self->options.users, &at, &user, &connections)) {
        self->to_tell[--ends[partition_of_user(self, user)]] = user;
    }
    memory_free(ends);
}

static void stop_telling(user_places_t *self) {
    memory_free(self->to_tell);
    self->to_tell = NULL;
    self->n_to_tell = 0;
}

/* Those of one partition, from the end. False: its lane has no credit. */
static bool tell_some(user_places_t *self, const struct broker_route *lane) {
    uint32_t n = self->n_to_tell;
    uint32_t partition = partition_of_user(self, self->to_tell[n - 1]);
    if (!uplink_admits(lane->uplink, lane->shard, (size_t) FRAME_USERS * WIRE_USER_COUNT_SIZE + FRAME_BYTES)) {
        return false;
    }
    buffer_clear(&self->counts);
    while (n > 0 && self->n_to_tell - n < FRAME_USERS && partition_of_user(self, self->to_tell[n - 1]) == partition) {
        append_count(self, self->to_tell[--n]);
    }
    self->n_to_tell = n;
    send_counts(lane, 0, buffer_span(&self->counts));
    return true;
}

static void go_on(user_places_t *self) {
    struct broker_route lane;
    while (self->n_to_tell > 0 &&
           broker_links_route(self->links, broker_user_hash(self->to_tell[self->n_to_tell - 1]), &lane)) {
        if (!tell_some(self, &lane)) {
            return; /* on_credit follows */
        }
    }
    stop_telling(self); /* all of it, or no broker is left: on_ranks follows */
}

static void forget_lane(void *context, const struct broker_route *lane) {
    (void) context;
    send_counts(lane, WIRE_USER_COUNTS_ANEW, SPAN_EMPTY);
}

static void tell_everybody(struct broker_deferred *deferred) {
    user_places_t *self = list_entry(deferred, user_places_t, telling);
    stop_telling(self);
    self->n_partitions = broker_links_partitions(self->links);
    broker_links_each_lane(self->links, forget_lane, NULL);
    if (self->n_partitions > 0 && self->most > 0) {
        copy_users(self);
        go_on(self);
    }
}

static void tell_the_rest(struct broker_deferred *deferred) {
    go_on(list_entry(deferred, user_places_t, going_on));
}

static void on_ranks(void *context) {
    user_places_t *self = context;
    if (self->most > 0) {
        broker_links_defer(self->links, &self->telling);
    }
}

static void on_credit(void *context) {
    user_places_t *self = context;
    if (self->n_to_tell > 0) {
        broker_links_defer(self->links, &self->going_on);
    }
}

/* ---- asking ---- */

static void note_alone(user_places_t *self, enum error_code error) {
    metric_count(self->metrics, METRIC_ALONE);
    if (!self->is_alone) {
        log_warning("user_limit_alone", log_u64("code", error),
                    log_text("help", "no broker says how many connections a user has elsewhere: "
                                     "client.connections_per_user holds for this gateway alone until one does"));
    }
    self->is_alone = true;
}

/* What the broker took down is what was asked for, or one less. */
static void on_answer(struct broker_request *request, const struct broker_answer *answer) {
    struct user_place *place = list_entry(request, struct user_place, request);
    user_places_t *self = place->places;
    bool may = answer->error != ERROR_NONE || answer->n != 0;
    place->places = NULL;
    if (answer->error != ERROR_NONE) {
        note_alone(self, answer->error);
    } else {
        self->is_alone = false;
    }
    if (!may) {
        metric_count(self->metrics, METRIC_REFUSED);
    } else if (answer->error != ERROR_NONE || user_count_at(self->options.users, place->user) != place->asked) {
        tell_key(self, place->user);
    }
    place->on_judged(place, may);
}

static bool has_broker(const user_places_t *self, uint64_t user) {
    struct broker_route lane;
    return broker_links_route(self->links, broker_user_hash(user), &lane);
}

bool user_places_ask(user_places_t *self, struct user_place *place, struct span user) {
    if (self == NULL || self->most == 0) {
        return false;
    }
    place->user = user_count_key(user);
    if (!has_broker(self, place->user)) {
        note_alone(self, ERROR_NOT_AVAILABLE);
        return false;
    }
    place->places = self;
    place->asked = user_count_at(self->options.users, place->user);
    place->request = (struct broker_request){.on_done = on_answer};
    broker_take_user(self->options.brokers, &place->request, place->user, place->asked, self->most);
    return true;
}

void user_place_cancel(struct user_place *place) {
    if (place->places != NULL) {
        broker_request_cancel(place->places->options.brokers, &place->request);
        place->places = NULL;
    }
}

/* ---- life ---- */

user_places_t *user_places_new(const struct user_places_options *options) {
    user_places_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    self->links = broker_requests_links(options->brokers);
    self->metrics = metric_values_new(options->metrics, metric_table, sizeof metric_table / sizeof metric_table[0]);
    list_init(&self->telling.link);
    list_init(&self->going_on.link);
    self->telling.run = tell_everybody;
    self->going_on.run = tell_the_rest;
    broker_links_listen(self->links, BROKER_LISTENER_USERS,
                        &(struct broker_listener){.context = self, .on_ranks = on_ranks, .on_credit = on_credit});
    return self;
}

void user_places_destroy(user_places_t **self_p) {
    user_places_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    broker_links_listen(self->links, BROKER_LISTENER_USERS, NULL);
    list_remove(&self->telling.link);
    list_remove(&self->going_on.link);
    stop_telling(self);
    buffer_finish(&self->counts);
    metric_values_destroy(&self->metrics);
    memory_free(self);
}

void user_places_configure(user_places_t *self, int64_t most) {
    if (self == NULL) {
        return;
    }
    bool was_on = self->most > 0;
    self->most = (uint32_t) most;
    if (was_on != (most > 0)) {
        broker_links_defer(self->links, &self->telling); /* off: nobody counts there any more */
    }
}
