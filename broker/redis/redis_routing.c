/* Which node serves which partition. The topology says who is the primary of a slot; here nodes are made and closed
 * for it, and partitions go from one to the other.
 *
 *   topology changed, MOVED ─▶ target of each partition ─▶ nothing owed by the old node? ─▶ leaves it (COMMAND_DOWN,
 *   PUBSUB_DOWN), joins the new one (PUBSUB_UP, COMMAND_UP: hello, which meets another reign and opens)
 *
 * A partition moves only when the old node owes it no reply that counts: what is on its way is bounded by the link's
 * deadline, and no late answer can be taken for the new node's. Where the whole node is left, its links are cut first,
 * and nothing is owed any more at once. Between refusal (TRYAGAIN, CLUSTERDOWN, BUSY; MOVED to where we are) and the
 * next try stand REDIS_AGAIN_MS. */
#include "broker/redis/engine_redis_parts.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

static struct redis_node *find_node(const struct engine_redis *self, const struct redis_address *address) {
    list_for_each (link, &self->nodes) {
        struct redis_node *node = list_entry(link, struct redis_node, link);
        if (redis_address_equal(&node->address, address)) {
            return node;
        }
    }
    return NULL;
}

static struct redis_node *node_for(struct engine_redis *self, uint32_t slot) {
    const struct redis_address *address = redis_topology_find(self->topology, slot);
    if (address == NULL) {
        return NULL;
    }
    struct redis_node *node = find_node(self, address);
    return node != NULL ? node : redis_node_new(self, address);
}

/* ---- a partition's move ---- */

static void leave(struct redis_partition *partition) {
    struct redis_node *node = partition->node;
    if (node == NULL) {
        return;
    }
    if (node->pubsub != NULL && partition->state.phase != PARTITION_CLOSED) {
        redis_pubsub_unsubscribe(node->pubsub, partition->number);
    }
    list_remove(&partition->of_node);
    list_remove(&partition->gate_link);
    partition->node = NULL;
    if (partition->away_since_ms == 0) {
        partition->away_since_ms = clock_monotonic_ms();
    }
    if (partition->state.pubsub_up) {
        redis_partition_step(partition, PARTITION_PUBSUB_DOWN);
    }
    if (partition->state.command_up) {
        redis_partition_step(partition, PARTITION_COMMAND_DOWN);
    }
    metric_count(partition->engine->metrics, REDIS_METRIC_MOVES);
}

void redis_routing_let_go(struct redis_partition *partition) {
    list_remove(&partition->of_node);
    list_remove(&partition->gate_link);
    partition->node = NULL;
    partition->target = NULL;
}

static void join(struct redis_partition *partition, struct redis_node *node) {
    partition->node = node;
    list_push_back(&node->partitions, &partition->of_node);
    redis_gate_on_node(partition);
    if (node->is_ready) {
        redis_node_listen(node);
    }
    if (node->pubsub != NULL && partition->state.phase != PARTITION_CLOSED) {
        redis_pubsub_subscribe(node->pubsub, partition->number, span_of_text(partition->topic));
    }
    if (redis_node_hears(node)) {
        redis_partition_step(partition, PARTITION_PUBSUB_UP);
    }
    if (node->is_ready) {
        partition->away_since_ms = 0;
        redis_partition_step(partition, PARTITION_COMMAND_UP);
        redis_partition_mark_busy(partition);
    }
}

void redis_routing_settle(struct redis_partition *partition) {
    if (partition->node == partition->target || partition->n_owed > 0 || partition->engine->is_closing) {
        return;
    }
    leave(partition);
    if (partition->target != NULL) {
        join(partition, partition->target);
    }
}

void redis_routing_paid(struct redis_partition *partition) {
    check(partition->n_owed > 0, "partition %u was owed nothing", partition->number);
    partition->n_owed--;
    redis_routing_settle(partition);
}

/* ---- the map ---- */

/* Nodes that nobody needs go; one that all leave is cut first: nothing it still says counts. */
static void sweep(struct engine_redis *self) {
    list_for_each (link, &self->nodes) {
        list_entry(link, struct redis_node, link)->is_wanted = false;
    }
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        if (self->partitions[i].target != NULL) {
            self->partitions[i].target->is_wanted = true;
        }
    }
    if (self->home != NULL) {
        self->home->is_wanted = true;
    }
    list_for_each_safe (link, &self->nodes) {
        struct redis_node *node = list_entry(link, struct redis_node, link);
        if (!node->is_wanted && list_is_empty(&node->partitions)) {
            redis_node_close(node);
        } else if (!node->is_wanted) {
            redis_link_drop(node->command, "the primary is another server now");
        }
    }
}

/* A topic that the server took back, and that has stayed here all the same, is subscribed again. */
static void listen_again(struct redis_partition *partition) {
    struct redis_node *node = partition->node;
    bool is_deaf = partition->state.phase != PARTITION_CLOSED && !partition->state.pubsub_up;
    if (is_deaf && node == partition->target && node != NULL && redis_node_hears(node)) {
        redis_pubsub_subscribe(node->pubsub, partition->number, span_of_text(partition->topic));
        redis_partition_step(partition, PARTITION_PUBSUB_UP);
    }
}

void redis_routing_tick(struct engine_redis *self) {
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        listen_again(&self->partitions[i]);
    }
    sweep(self);
}

static void read_map(struct engine_redis *self) {
    struct redis_node *home = node_for(self, self->home_slot);
    if (home != self->home) {
        self->home = home;
        if (home != NULL && home->is_ready) {
            redis_link_drop(home->command, "this server has the number of partitions now: it is examined again");
        }
    }
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        struct redis_partition *partition = &self->partitions[i];
        partition->target = node_for(self, partition->slot);
        redis_routing_settle(partition);
    }
    sweep(self);
    engine_redis_tell_state(self);
}

static void on_changed(void *context) {
    struct engine_redis *self = context;
    if (!self->is_closing) {
        read_map(self);
    }
}

static void on_trouble(void *context, const char *reason) {
    struct engine_redis *self = context;
    self->topology_trouble = reason;
    if (self->is_closing) {
        return;
    }
    if (reason != NULL) {
        log_warning("redis_topology_unknown", log_u64("shard", self->options.shard), log_text("reason", reason));
    }
    engine_redis_tell_state(self);
}

static const struct redis_topology_events topology_events = {on_changed, on_trouble};

void redis_routing_start(struct engine_redis *self, const char *sentinel_user, const char *sentinel_password) {
    const struct redis_topology_options options = {.loop = self->options.loop,
                                                   .url = &self->url,
                                                   .sentinel_user = sentinel_user,
                                                   .sentinel_password = sentinel_password,
                                                   .tls = self->tls,
                                                   .client_name = self->link_options.client_name,
                                                   .reply_limits = self->link_options.reply_limits,
                                                   .command_timeout_ms = self->link_options.command_timeout_ms,
                                                   .events = &topology_events,
                                                   .context = self};
    self->topology = redis_topology_new(&options);
}

void redis_routing_doubt(struct engine_redis *self) {
    redis_topology_refresh(self->topology);
}

/* ---- refusals ---- */

void redis_routing_take_moved(struct engine_redis *self, struct span text) {
    uint32_t slot = 0;
    struct span address;
    if (redis_error_parse_moved(text, &slot, &address)) {
        redis_topology_moved(self->topology, slot, address);
    }
}

bool redis_routing_take_error(struct redis_partition *partition, enum redis_error error, struct span text) {
    if (error != REDIS_ERROR_AGAIN && error != REDIS_ERROR_MOVED) {
        return false;
    }
    if (error == REDIS_ERROR_MOVED) {
        redis_routing_take_moved(partition->engine, text);
    } else if (span_starts_with(text, SPAN_LITERAL("CLUSTERDOWN"))) {
        redis_routing_doubt(partition->engine);
    }
    partition->again_ms = clock_monotonic_ms() + REDIS_AGAIN_MS;
    return true;
}

struct redis_partition *redis_routing_moved_topic(struct engine_redis *self, struct span text) {
    uint32_t slot = 0;
    struct span address;
    if (!redis_error_parse_moved(text, &slot, &address)) {
        return NULL;
    }
    redis_routing_take_moved(self, text);
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        if (self->partitions[i].slot == slot) {
            return &self->partitions[i];
        }
    }
    return NULL;
}
