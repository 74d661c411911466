/* The slot map of a cluster, asked of one node after the other until one gives an answer that counts.
 *
 *           due                    up                        CLUSTER INFO, CLUSTER SLOTS
 *   idle ─────────▶ connecting ─────────▶ asking ──────────▶ the answer counts ─▶ map, on_changed ─▶ idle (link kept)
 *    ▲                  │ refused, silent     │ cut, error, cluster_state:fail, an epoch of yesterday
 *    │                  ▼                     ▼
 *    └── back-off ── all asked? ◀──────── next candidate
 *
 * Candidates are the node of the last good answer, then those of the map, then those of the URL; after MOVED the node
 * it named comes first, for it knows best. A node that was cut off from the others tells an old map: cluster_state says
 * so after node-timeout, and cluster_current_epoch, which only grows, at once. Where a whole round finds lower epochs
 * only, the cluster was made anew, and the next round takes them.
 *
 * Asked: when due (POLL_MS, each second after a doubt of our user, in trouble with back-off), never more often than
 * each REFRESH_GAP_MS. What is known stays while nobody answers. */
#include "base/backoff.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "broker/redis/link/redis_request.h"
#include "broker/redis/topology/redis_cluster_map.h"
#include "broker/redis/topology/redis_topology_parts.h"

enum {
    POLL_MS = 5000,
    REFRESH_GAP_MS = 1000,
    HURRY_MS = 5000, /* a doubt of our user keeps us asking each second for so long: a failover takes its time */
    ASK_MS = 1000,   /* a candidate has so long to be reached and to answer */
    BACKOFF_FIRST_MS = 100,
    BACKOFF_CAP_MS = 3000,
    CANDIDATES_MAX = REDIS_URL_SEEDS_MAX + REDIS_CLUSTER_NODES_MAX + 2,
};

enum phase { CLUSTER_IDLE, CLUSTER_CONNECTING, CLUSTER_ASKING };

/* A link that is being closed may outlive the use of it. */
struct informant {
    struct redis_cluster *topology;
    struct redis_address address;
    redis_link_t *link;
    bool is_gone;
};

struct redis_cluster {
    redis_topology_t base;
    redis_cluster_map_t *map;
    uint64_t epoch;      /* of the map */
    uint64_t best_epoch; /* seen in this round, of nodes that are well but have old news */
    bool found_old;
    struct redis_address preferred; /* asked first; host empty: nobody */
    struct redis_address *candidates;
    size_t n_candidates;
    size_t next_candidate;
    struct informant *informant; /* NULL: no link */
    enum phase phase;
    struct redis_cluster_condition condition; /* first half of the answer */
    bool has_condition;
    const char *reason; /* why a candidate of this round gave no answer; NULL: they are silent */
    uint64_t asked_ms;
    uint64_t ask_ends_ms;
    uint64_t due_ms;
    uint64_t hurry_until_ms;
    bool has_moved; /* on_changed is owed */
    struct backoff backoff;
    uv_timer_t timer;
    bool timer_closed;
    unsigned n_closing; /* links */
};

static struct redis_cluster *cluster_of(redis_topology_t *base) {
    return (struct redis_cluster *) (void *) base;
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer);

static void arm(struct redis_cluster *self) {
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t next_ms = self->has_moved ? 0 : self->phase == CLUSTER_IDLE ? self->due_ms : self->ask_ends_ms;
    uv_update_time(self->base.options.loop);
    uv_timer_start(&self->timer, on_timer, next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

/* ---- the informant's link ---- */

static void finish_close(struct redis_cluster *self) {
    if (self->base.is_closing && self->n_closing == 0 && self->timer_closed) {
        redis_cluster_map_destroy(&self->map);
        memory_free(self->candidates);
        redis_topology_closed(&self->base);
    }
}

static void on_informant_closed(void *context) {
    struct informant *informant = context;
    struct redis_cluster *self = informant->topology;
    memory_free(informant);
    self->n_closing--;
    finish_close(self);
}

static void leave_informant(struct redis_cluster *self) {
    struct informant *informant = self->informant;
    if (informant != NULL) {
        self->informant = NULL;
        self->n_closing++;
        informant->is_gone = true;
        redis_link_close(informant->link, on_informant_closed, informant);
    }
}

static void ask(struct redis_cluster *self);
static void ask_next(struct redis_cluster *self);

static void on_up(void *context) {
    struct informant *informant = context;
    if (!informant->is_gone && informant->topology->phase == CLUSTER_CONNECTING) {
        ask(informant->topology);
    }
}

static void on_down(void *context, const char *reason) {
    struct informant *informant = context;
    struct redis_cluster *self = informant->topology;
    if (informant->is_gone) {
        return;
    }
    self->reason = redis_link_is_refused(informant->link) ? reason : self->reason;
    leave_informant(self);
    if (self->phase != CLUSTER_IDLE) {
        ask_next(self);
    }
}

static void on_push(void *context, const struct redis_reply *reply) {
    (void) context;
    (void) reply;
}

static const struct redis_link_events events = {on_up, on_down, on_push};

static void connect_to(struct redis_cluster *self, const struct redis_address *address) {
    struct informant *informant = memory_alloc_zero(sizeof *informant);
    informant->topology = self;
    informant->address = *address;
    struct redis_link_options options = redis_topology_link_options(&self->base, address, false);
    options.context = informant;
    options.events = &events;
    informant->link = redis_link_new(&options);
    self->informant = informant;
    self->phase = CLUSTER_CONNECTING;
}

/* ---- candidates ---- */

static void add_candidate(struct redis_cluster *self, const struct redis_address *address) {
    for (size_t i = 0; i < self->n_candidates; i++) {
        if (redis_address_equal(&self->candidates[i], address)) {
            return;
        }
    }
    check(self->n_candidates < CANDIDATES_MAX, "more candidates than nodes and seeds");
    self->candidates[self->n_candidates++] = *address;
}

static void gather_candidates(struct redis_cluster *self) {
    size_t n_nodes = redis_cluster_map_count(self->map);
    self->candidates =
        memory_realloc(self->candidates, (self->base.url.n_seeds + n_nodes + 2) * sizeof *self->candidates);
    self->n_candidates = 0;
    self->next_candidate = 0;
    if (self->preferred.host[0] != '\0') {
        add_candidate(self, &self->preferred);
    }
    if (self->informant != NULL) {
        add_candidate(self, &self->informant->address);
    }
    for (size_t i = 0; i < n_nodes; i++) {
        add_candidate(self, redis_cluster_map_node(self->map, i));
    }
    for (size_t i = 0; i < self->base.url.n_seeds; i++) {
        add_candidate(self, &self->base.url.seeds[i]);
    }
}

static void begin_round(struct redis_cluster *self) {
    gather_candidates(self);
    self->preferred.host[0] = '\0';
    self->best_epoch = 0;
    self->found_old = false;
    self->reason = NULL;
    self->asked_ms = clock_monotonic_ms();
    ask_next(self);
}

static void rest(struct redis_cluster *self, uint64_t due_ms) {
    self->phase = CLUSTER_IDLE;
    self->due_ms = due_ms;
    arm(self);
}

static void end_round_in_vain(struct redis_cluster *self) {
    if (self->found_old) {
        log_warning("redis_cluster_made_anew", log_u64("known_epoch", self->epoch),
                    log_u64("found_epoch", self->best_epoch));
        self->epoch = self->best_epoch;
    }
    redis_topology_set_trouble(
        &self->base,
        self->reason != NULL
            ? self->reason
            : "no node of the cluster answers; do they run, and are the hosts and ports in redis.url theirs?");
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t due_ms = now_ms + backoff_next_ms(&self->backoff);
    rest(self, due_ms);
}

static void ask_next(struct redis_cluster *self) {
    while (self->next_candidate < self->n_candidates && !self->base.is_closing) {
        const struct redis_address *address = &self->candidates[self->next_candidate++];
        self->ask_ends_ms = clock_monotonic_ms() + ASK_MS;
        bool is_here = self->informant != NULL && redis_address_equal(&self->informant->address, address);
        if (is_here && redis_link_is_up(self->informant->link)) {
            ask(self);
            arm(self);
            return;
        }
        leave_informant(self);
        connect_to(self, address);
        arm(self);
        return;
    }
    leave_informant(self);
    if (!self->base.is_closing) {
        end_round_in_vain(self);
    }
}

/* This one gave no answer that counts. A reason says more than silence. */
static void pass_over(struct redis_cluster *self, const char *reason) {
    self->reason = reason != NULL ? reason : self->reason;
    leave_informant(self);
    ask_next(self);
}

/* ---- the answer ---- */

static void on_condition(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    struct informant *informant = context;
    if (informant->is_gone || reply == NULL) {
        return;
    }
    struct redis_cluster *self = informant->topology;
    self->has_condition =
        reply->type != REDIS_ERROR && redis_cluster_condition_parse(redis_reply_string(reply), &self->condition);
}

static void adopt(struct redis_cluster *self, redis_cluster_map_t *map) {
    bool is_same = redis_cluster_map_equal(self->map, map);
    redis_cluster_map_destroy(&self->map);
    self->map = map;
    self->epoch = self->condition.epoch;
    self->base.asked_ms = self->asked_ms;
    size_t unserved = redis_cluster_map_unserved(map);
    backoff_reset(&self->backoff);
    redis_topology_set_trouble(&self->base, unserved == 0 ? NULL : "some slots of the cluster are served by nobody");
    uint64_t now_ms = clock_monotonic_ms();
    bool is_wrong = unserved > 0 || now_ms < self->hurry_until_ms;
    uint64_t due_ms = now_ms + (is_wrong ? REFRESH_GAP_MS : POLL_MS);
    rest(self, due_ms);
    if (!is_same) {
        log_info("redis_cluster_map", log_u64("nodes", redis_cluster_map_count(map)),
                 log_u64("unserved_slots", unserved), log_u64("epoch", self->epoch));
        self->has_moved = false;
        self->base.options.events->on_changed(self->base.options.context);
    }
}

static void on_slots(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    struct informant *informant = context;
    struct redis_cluster *self = informant->topology;
    if (informant->is_gone || reply == NULL || self->phase != CLUSTER_ASKING) {
        return; /* on_down follows, where there is no reply */
    }
    if (reply->type == REDIS_ERROR) {
        bool is_single = memmem(reply->text.data, reply->text.size, "cluster support disabled", 24) != NULL;
        pass_over(self,
                  is_single
                      ? "what redis.url names is no cluster; write redis://host:port there"
                      : "a node refuses CLUSTER SLOTS or CLUSTER INFO; let our user run them (ACL: +cluster|slots "
                        "+cluster|info)");
        return;
    }
    if (!self->has_condition) {
        pass_over(self, "a node refuses CLUSTER SLOTS or CLUSTER INFO; let our user run them (ACL: +cluster|slots "
                        "+cluster|info)");
        return;
    }
    if (!self->condition.is_ok) {
        pass_over(self, "the cluster says that it is down (cluster_state:fail)");
        return;
    }
    if (self->condition.epoch < self->epoch) {
        self->found_old = true;
        self->best_epoch = self->condition.epoch > self->best_epoch ? self->condition.epoch : self->best_epoch;
        pass_over(self, "only nodes of the cluster with old news answer");
        return;
    }
    redis_cluster_map_t *map = redis_cluster_map_parse(reply, &informant->address);
    if (map == NULL) {
        pass_over(self, "a node's answer to CLUSTER SLOTS is not understood");
        return;
    }
    adopt(self, map);
}

static void ask(struct redis_cluster *self) {
    redis_link_t *link = self->informant->link;
    self->phase = CLUSTER_ASKING;
    self->has_condition = false;
    redis_request_texts(redis_link_out(link), 2, (const char *const[]){"CLUSTER", "INFO"});
    redis_link_sent(link, on_condition, NULL);
    redis_request_texts(redis_link_out(link), 2, (const char *const[]){"CLUSTER", "SLOTS"});
    redis_link_sent(link, on_slots, NULL);
    redis_link_flush(link);
}

static void on_timer(uv_timer_t *timer) {
    struct redis_cluster *self = timer->data;
    if (self->base.is_closing) {
        return;
    }
    if (self->has_moved) {
        self->has_moved = false;
        self->base.options.events->on_changed(self->base.options.context);
    }
    uint64_t now_ms = clock_monotonic_ms();
    if (self->phase == CLUSTER_IDLE && now_ms >= self->due_ms) {
        begin_round(self);
    } else if (self->phase != CLUSTER_IDLE && now_ms >= self->ask_ends_ms) {
        pass_over(self, NULL);
    } else {
        arm(self);
    }
}

/* ---- methods ---- */

static const struct redis_address *cluster_find(const redis_topology_t *base, uint32_t slot) {
    const struct redis_cluster_node *node =
        redis_cluster_map_find(((const struct redis_cluster *) (const void *) base)->map, slot);
    return node == NULL ? NULL : &node->address;
}

static unsigned cluster_replicas(const redis_topology_t *base, uint32_t slot) {
    const struct redis_cluster_node *node =
        redis_cluster_map_find(((const struct redis_cluster *) (const void *) base)->map, slot);
    return node == NULL ? 0 : node->replicas;
}

static void cluster_refresh(redis_topology_t *base) {
    struct redis_cluster *self = cluster_of(base);
    uint64_t soon_ms = self->asked_ms + REFRESH_GAP_MS;
    self->hurry_until_ms = clock_monotonic_ms() + HURRY_MS;
    /* While nobody answers the back-off stands. */
    if (self->phase == CLUSTER_IDLE && self->backoff.attempt == 0 && soon_ms < self->due_ms) {
        self->due_ms = soon_ms;
        arm(self);
    }
}

static void cluster_moved(redis_topology_t *base, uint32_t slot, struct span text) {
    struct redis_cluster *self = cluster_of(base);
    struct redis_address address;
    if (redis_address_parse(&address, text)) {
        const struct redis_cluster_node *owner = redis_cluster_map_find(self->map, slot);
        if (address.host[0] == '\0' && owner != NULL) { /* "as you reached me": the one who said it was the owner */
            memcpy(address.host, owner->address.host, sizeof address.host);
        }
        if (address.host[0] != '\0') {
            self->preferred = address;
            self->has_moved |= redis_cluster_map_move(self->map, slot, &address);
            arm(self);
        }
    }
    cluster_refresh(base);
}

static void on_timer_closed(uv_handle_t *handle) {
    struct redis_cluster *self = handle->data;
    self->timer_closed = true;
    finish_close(self);
}

static void cluster_close(redis_topology_t *base) {
    struct redis_cluster *self = cluster_of(base);
    leave_informant(self);
    uv_close((uv_handle_t *) &self->timer, on_timer_closed);
}

static const struct redis_topology_methods methods = {
    .find = cluster_find,
    .replicas = cluster_replicas,
    .moved = cluster_moved,
    .refresh = cluster_refresh,
    .close = cluster_close,
};

redis_topology_t *redis_cluster_new(const struct redis_topology_options *options) {
    struct redis_cluster *self = memory_alloc_zero(sizeof *self);
    redis_topology_init(&self->base, &methods, options);
    self->map = redis_cluster_map_new();
    backoff_init(&self->backoff, BACKOFF_FIRST_MS, BACKOFF_CAP_MS, 0);
    uv_timer_init(options->loop, &self->timer);
    self->timer.data = self;
    arm(self);
    return &self->base;
}
