/* One server: its links.
 *
 *   command link up ─▶ examined (redis_examination.c) ─▶ ready: its partitions hear COMMAND_UP
 *   pub/sub link    ─▶ made when the server is known to have sharded pub/sub or not: PUBSUB_UP, TOPIC_CONFIRMED
 *   confirm link    ─▶ made when the first thing waits to be confirmed (redis_gate.c)
 *
 * Failures: a server that is no primary, is loading, holds data of another number of partitions, or does not write
 * through where that is what safe channels rely on, is left again; the map is asked anew, and it is tried again with
 * back-off. */
#include "broker/redis/engine_redis_parts.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "broker/redis/link/redis_request.h"

#include <stdio.h>

enum { PROBE_MS = 5000 };

static void step_all(struct redis_node *self, enum partition_event event) {
    list_for_each_safe (link, &self->partitions) {
        redis_partition_step(list_entry(link, struct redis_partition, of_node), event);
    }
}

/* ---- the command link ---- */

void redis_node_become_ready(struct redis_node *self) {
    self->is_ready = true;
    self->reason = "connected";
    if (!list_is_empty(&self->partitions)) {
        redis_node_listen(self);
    }
    engine_redis_tell_state(self->engine);
    list_for_each_safe (link, &self->partitions) {
        struct redis_partition *partition = list_entry(link, struct redis_partition, of_node);
        partition->away_since_ms = 0;
        redis_partition_step(partition, PARTITION_COMMAND_UP);
        redis_partition_mark_busy(partition);
    }
    if (self == self->engine->home) {
        redis_leases_on_ready(self->engine->leases);
    }
    redis_watch_new(self);
}

static void on_command_up(void *context) {
    redis_node_examine(context);
}

static void on_command_down(void *context, const char *reason) {
    struct redis_node *self = context;
    struct engine_redis *engine = self->engine;
    bool was_ready = self->is_ready;
    self->is_ready = false;
    self->replid_asked = false;
    self->sent_scripts = 0;
    if (engine->is_closing || self->is_closing) {
        return;
    }
    metric_count(engine->metrics, REDIS_METRIC_RECONNECTS);
    uint64_t now_ms = clock_monotonic_ms();
    list_for_each_safe (link, &self->partitions) {
        struct redis_partition *partition = list_entry(link, struct redis_partition, of_node);
        partition->away_since_ms = partition->away_since_ms == 0 ? now_ms : partition->away_since_ms;
        if (was_ready) {
            redis_partition_step(partition, PARTITION_COMMAND_DOWN);
        }
    }
    if (was_ready || self->reason != reason) {
        char where[REDIS_ADDRESS_TEXT_MAX + 1];
        redis_address_describe(&self->address, where, sizeof where);
        log_warning("redis_link_down", log_u64("shard", engine->options.shard), log_text("redis", where),
                    log_text("reason", reason));
        self->reason = reason;
    }
    engine_redis_tell_state(engine);
    redis_routing_doubt(engine);
}

static void no_push(void *context, const struct redis_reply *reply) {
    (void) context;
    (void) reply;
}

static const struct redis_link_events command_events = {on_command_up, on_command_down, no_push};

/* ---- the pub/sub link ---- */

/* A topic that the server took back is forgotten by the link. Where that was followed by a cut before
 * redis_routing_tick came by, the partition is still here and would wait for ever for a topic that nobody asked for. */
static void want_topics(struct redis_node *self) {
    list_for_each (link, &self->partitions) {
        const struct redis_partition *partition = list_entry(link, struct redis_partition, of_node);
        if (partition->state.phase != PARTITION_CLOSED && !redis_pubsub_is_wanted(self->pubsub, partition->number)) {
            redis_pubsub_subscribe(self->pubsub, partition->number, span_of_text(partition->topic));
        }
    }
}

static void on_pubsub_up(void *context) {
    struct redis_node *self = context;
    want_topics(self);
    step_all(self, PARTITION_PUBSUB_UP);
    engine_redis_tell_state(self->engine);
}

static void on_pubsub_down(void *context, const char *reason) {
    struct redis_node *self = context;
    (void) reason;
    if (self->is_closing) {
        return;
    }
    metric_count(self->engine->metrics, REDIS_METRIC_RECONNECTS);
    step_all(self, PARTITION_PUBSUB_DOWN);
    engine_redis_tell_state(self->engine);
}

/* Of what this node still serves: topics cross the partition's moving away. */
static struct redis_partition *served(struct redis_node *self, uint32_t topic) {
    struct redis_partition *partition = engine_redis_partition(self->engine, topic);
    return partition->node == self ? partition : NULL;
}

static void on_topic_confirmed(void *context, uint32_t topic) {
    struct redis_partition *partition = served(context, topic);
    if (partition != NULL) {
        redis_partition_step(partition, PARTITION_TOPIC_CONFIRMED);
    }
}

static void on_topic_message(void *context, uint32_t topic, struct span message) {
    struct redis_partition *partition = served(context, topic);
    if (partition != NULL) {
        redis_partition_on_message(partition, message);
    }
}

static void on_topic_lost(void *context, uint32_t topic) {
    struct redis_node *self = context;
    struct redis_partition *partition = served(self, topic);
    if (partition == NULL) {
        return;
    }
    log_info("redis_topic_lost", log_u64("partition", topic));
    redis_partition_step(partition, PARTITION_PUBSUB_DOWN);
    redis_routing_doubt(self->engine);
}

static uint32_t find_moved(void *context, struct span error) {
    struct redis_node *self = context;
    struct redis_partition *partition = redis_routing_moved_topic(self->engine, error);
    return partition == NULL ? UINT32_MAX : partition->number;
}

/* One that is served here: in a cluster the probe's slot must be. */
static struct redis_partition *choose_probe(struct redis_node *self) {
    if (self->probe == NULL || self->probe->node != self) {
        self->probe = list_is_empty(&self->partitions)
                          ? NULL
                          : list_entry(self->partitions.next, struct redis_partition, of_node);
    }
    return self->probe;
}

static struct span probe_topic(void *context) {
    struct redis_node *self = context;
    const struct redis_partition *probe = choose_probe(self);
    buffer_clear(&self->probe_topic);
    buffer_append_text(&self->probe_topic, probe == NULL ? self->engine->prefix : probe->topic);
    buffer_append_text(&self->probe_topic, ":probe:");
    buffer_append_text(&self->probe_topic, self->engine->boot_id + 2);
    return buffer_span(&self->probe_topic);
}

static void ignore_reply(void *context, void *request, const struct redis_reply *reply) {
    (void) context;
    (void) request;
    (void) reply;
}

static bool send_probe(void *context, struct span topic) {
    struct redis_node *self = context;
    if (!redis_node_is_up(self)) {
        return false;
    }
    struct buffer *out = redis_link_out(self->command);
    redis_request_begin(out, 3);
    redis_request_text(out, self->sharded ? "SPUBLISH" : "PUBLISH");
    redis_request_bytes(out, topic);
    redis_request_text(out, "?");
    redis_link_sent(self->command, ignore_reply, NULL);
    return true;
}

/* prefix:{tag} → the partition that owns the tag's slot. */
static uint32_t find_topic(void *context, struct span name) {
    const struct engine_redis *engine = ((struct redis_node *) context)->engine;
    size_t prefix = strlen(engine->prefix) + 2;
    if (name.size <= prefix + 1 || name.size > prefix + 1 + PARTITION_TAG_MAX) {
        return UINT32_MAX;
    }
    uint32_t slot = partition_redis_slot(span_of(name.data + prefix, name.size - prefix - 1));
    uint32_t number = slot * (engine->options.n_partitions / 64) / (REDIS_SLOTS / 64);
    return number >= engine->first_partition && number - engine->first_partition < engine->n_partitions ? number
                                                                                                        : UINT32_MAX;
}

static const struct redis_pubsub_events pubsub_events = {.on_up = on_pubsub_up,
                                                         .on_down = on_pubsub_down,
                                                         .on_confirmed = on_topic_confirmed,
                                                         .on_message = on_topic_message,
                                                         .on_lost = on_topic_lost,
                                                         .find_moved = find_moved,
                                                         .probe_topic = probe_topic,
                                                         .send_probe = send_probe,
                                                         .find_topic = find_topic};

static struct redis_link_options link_options(const struct redis_node *self) {
    struct redis_link_options options = self->engine->link_options;
    redis_url_set_address(&options.url, &self->address);
    return options;
}

void redis_node_listen(struct redis_node *self) {
    if (self->pubsub != NULL) {
        redis_pubsub_set_sharded(self->pubsub, self->sharded);
        return;
    }
    const struct redis_pubsub_options options = {.link = link_options(self),
                                                 .sharded = self->sharded,
                                                 .n_topics = self->engine->options.n_partitions,
                                                 .probe_ms = PROBE_MS,
                                                 .events = &pubsub_events,
                                                 .context = self};
    self->pubsub = redis_pubsub_new(&options);
    list_for_each (link, &self->partitions) {
        struct redis_partition *partition = list_entry(link, struct redis_partition, of_node);
        if (partition->state.phase != PARTITION_CLOSED) {
            redis_pubsub_subscribe(self->pubsub, partition->number, span_of_text(partition->topic));
        }
    }
}

/* ---- the confirm link ---- */

static void on_confirmed(void *context, uint64_t cycle, struct span replid, uint64_t us) {
    struct redis_node *self = context;
    metric_observe_us(self->engine->metrics, REDIS_METRIC_CONFIRM_LATENCY, us);
    redis_gate_on_confirmed(self, cycle, replid);
}

static void on_confirm_short(void *context, uint64_t n_replicas, const char *reason) {
    struct redis_node *self = context;
    metric_count(self->engine->metrics, REDIS_METRIC_CONFIRMS_SHORT);
    redis_routing_doubt(self->engine); /* a replica that is gone is to be counted no more */
    log_warning("redis_not_confirmed", log_u64("shard", self->engine->options.shard), log_u64("replicas", n_replicas),
                log_text("reason", reason == NULL ? "too few replicas answered in time" : reason));
}

/* Where no number is set: all that the topology holds for up, since any of these may be promoted, also by order and
 * while this primary still lives; and whoever else follows, since nobody can tell whose confirmation came. A fixed
 * server's replicas are nobody's to count: one. */
static unsigned replicas_needed(void *context, bool *ret_all, uint64_t *ret_asked_ms) {
    const struct redis_node *self = context;
    const struct engine_redis *engine = self->engine;
    *ret_all = engine->confirm_replicas == 0 && engine->url.kind != REDIS_URL_STANDALONE;
    *ret_asked_ms = redis_topology_asked_ms(engine->topology);
    if (engine->confirm_replicas > 0) {
        return engine->confirm_replicas;
    }
    unsigned up = 0;
    if (!list_is_empty(&self->partitions)) {
        uint32_t slot = list_entry(self->partitions.next, struct redis_partition, of_node)->slot;
        up = redis_topology_replicas(engine->topology, slot);
    }
    return up == 0 ? 1 : up;
}

static void on_follower_missed(void *context) {
    struct redis_node *self = context;
    redis_routing_doubt(self->engine);
}

/* Beside the probe's topic, which lies in the same slot. */
static struct span confirm_key(void *context) {
    struct redis_node *self = context;
    if (choose_probe(self) == NULL) {
        return SPAN_EMPTY;
    }
    return probe_topic(self);
}

static const struct redis_confirm_events confirm_events = {on_confirmed, on_confirm_short, replicas_needed,
                                                           on_follower_missed, confirm_key};

redis_confirm_t *redis_node_confirm(struct redis_node *self) {
    if (self->confirm == NULL) {
        const struct redis_confirm_options options = {.link = link_options(self),
                                                      .scripts = self->engine->scripts,
                                                      .wait_ms = self->engine->confirm_wait_ms,
                                                      .events = &confirm_events,
                                                      .context = self};
        self->confirm = redis_confirm_new(&options);
    }
    return self->confirm;
}

/* ---- turns, life ---- */

void redis_node_flush(struct redis_node *self) {
    self->replid_asked = false;
    redis_link_flush(self->command);
    if (self->pubsub != NULL) {
        redis_pubsub_flush(self->pubsub);
    }
    if (self->confirm != NULL) {
        redis_confirm_flush(self->confirm);
    }
}

struct redis_node *redis_node_new(struct engine_redis *engine, const struct redis_address *address) {
    struct redis_node *self = memory_alloc_zero(sizeof *self);
    self->engine = engine;
    self->address = *address;
    self->reason = "Redis is being connected";
    buffer_init(&self->probe_topic, 0);
    list_init(&self->partitions);
    list_init(&self->gated);
    list_init(&self->link);
    list_push_back(&engine->nodes, &self->link);
    struct redis_link_options link = link_options(self);
    link.events = &command_events;
    link.context = self;
    self->command = redis_link_new(&link);
    metric_change(engine->metrics, REDIS_METRIC_NODES, 1);
    return self;
}

static void on_link_closed(void *context) {
    struct redis_node *self = context;
    if (--self->n_closing > 0) {
        return;
    }
    struct engine_redis *engine = self->engine;
    buffer_finish(&self->probe_topic);
    memory_free(self);
    engine_redis_part_closed(engine);
}

/* Replies still owed come as NULL before it is gone: partitions have left it by then, or the engine closes. */
void redis_node_close(struct redis_node *self) {
    check(!self->is_closing, "closed twice");
    self->is_closing = true;
    self->is_ready = false;
    metric_change(self->engine->metrics, REDIS_METRIC_NODES, -1);
    list_remove(&self->link);
    self->engine->n_closing++;
    self->n_closing = 1u + (self->pubsub != NULL) + (self->confirm != NULL);
    redis_link_close(self->command, on_link_closed, self);
    if (self->pubsub != NULL) {
        redis_pubsub_close(self->pubsub, on_link_closed, self);
    }
    if (self->confirm != NULL) {
        redis_confirm_close(self->confirm, on_link_closed, self);
    }
}
