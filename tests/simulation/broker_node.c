/* See broker_node.h. A crash runs the shard's own end, with its sockets dead and nobody listening: what it frees is
 * freed, what it says is heard by nobody. */
#include "tests/simulation/broker_node.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "broker/broker_config.h"
#include "broker/redis/engine_redis.h"
#include "broker/shard.h"
#include "tests/simulation/gateway_node.h"
#include "tests/simulation/sim_network.h"
#include "tests/simulation/sim_process.h"

#include <stdio.h>

enum { NAMESPACES = 4 };

struct broker {
    int index;
    char id[24];
    unsigned starts;
    bool is_up;
    struct sim_process *process; /* of this start */
    struct broker_config config;
    struct namespace_options options[NAMESPACES];
    namespace_set_t *namespaces;
    metrics_t *metrics;
    shard_t *shard;
    struct broker_settings settings;
};

static struct {
    struct broker brokers[BROKERS_MAX];
    int n;
} world;

/* ---- settings ---- */

/* Every key's default, as a program reads it. */
static const struct broker_config *default_config(void) {
    static struct broker_config config;
    static bool is_read;
    if (!is_read) {
        struct config_part part = {&broker_config_table, &config};
        struct buffer errors = BUFFER_EMPTY;
        bool is_ok = config_read(&part, 1, &(struct config_source){.file_name = NULL}, &errors);
        check(is_ok, "the defaults: %.*s", (int) errors.size, (const char *) errors.data);
        buffer_finish(&errors);
        is_read = true;
    }
    return &config;
}

static void take_settings(struct broker *self) {
    const struct broker_settings *settings = &self->settings;
    self->config = *default_config();
    self->config.partitions = BROKER_PARTITIONS;
    self->config.redis_url = (char *) (uintptr_t) settings->redis_url;
    self->config.redis_topic_idle_ms = settings->topic_idle_ms;
    self->config.redis_compared_channels = settings->compared_channels;
    self->config.redis_command_timeout_ms = settings->command_timeout_ms;
    self->config.redis_confirm = settings->confirms_by_replicas ? REDIS_CONFIRM_BY_REPLICAS : REDIS_CONFIRM_BY_DISK;
    static char *const names[NAMESPACES] = {(char *) "f", (char *) "s", (char *) "x", (char *) "m"};
    for (int i = 0; i < NAMESPACES; i++) {
        bool is_safe = i == 1 || (i == 2 && settings->is_safe);
        self->options[i] = (struct namespace_options){.name = names[i],
                                                      .history_size = settings->history_size,
                                                      .history_ttl_ms = 300000,
                                                      .history_meta_ttl_ms = 900000,
                                                      .presence = true,
                                                      .join_leave = true,
                                                      .allow_recovery = true,
                                                      .allow_positioning = true,
                                                      .durability = is_safe ? DURABILITY_SAFE : DURABILITY_FAST,
                                                      .on_engine_down = i == 3 ? ENGINE_DOWN_MEMORY : ENGINE_DOWN_FAIL};
    }
    self->config.namespaces.items = self->options;
    self->config.namespaces.n = NAMESPACES;
    if (!settings->is_safe) {
        self->options[1] = self->options[3];
        self->config.namespaces.n = NAMESPACES;
        self->options[1].name = names[1];
        self->options[1].durability = DURABILITY_FAST;
        self->options[1].on_engine_down = ENGINE_DOWN_FAIL;
    }
}

/* ---- life ---- */

static engine_t *make_engine(void *context, const struct engine_options *options, char *ret_error, size_t error_size) {
    const struct broker *self = context;
    return engine_redis_new(options, &self->config, ret_error, error_size);
}

static void send_batch(void *context, uint32_t peer, uint64_t link_epoch, struct buffer *batch) {
    const struct broker *self = context;
    if (self->is_up) {
        gateways_batch_down(self->index, peer, link_epoch, buffer_span(batch));
    }
    buffer_finish(batch);
}

static void reset(void *context, uint32_t peer, enum wire_reset_reason reason) {
    const struct broker *self = context;
    if (self->is_up) {
        sim_trace(self->id, "resets the link of peer %u, reason %d", peer, (int) reason);
        gateways_reset(self->index, peer);
    }
}

void broker_start(int broker) {
    struct broker *self = &world.brokers[broker];
    check(!self->is_up, "%s runs", self->id);
    take_settings(self);
    self->starts++;
    self->process = sim_alloc(sizeof *self->process);
    sim_process_init(self->process, self->id, self->index);
    self->namespaces = namespace_set_new(&self->config.namespaces);
    self->metrics = metrics_new();
    const struct shard_options options = {
        .index = 0,
        .n_shards = BROKER_SHARDS,
        .broker_id = self->id,
        .config = &self->config,
        .namespaces = self->namespaces,
        .metrics = self->metrics,
        .boot_nonce = random_u64(),
        .batch_close = WIRE_BATCH_CLOSE,
        .uplink = {send_batch, reset, self},
        .make_engine = make_engine,
        .engine_context = self,
    };
    char error[256] = "";
    self->is_up = true;
    sim_process_enter(self->process);
    self->shard = shard_new(&options, error, sizeof error);
    sim_process_enter(NULL);
    check(self->shard != NULL, "%s does not start: %s", self->id, error);
    sim_trace(self->id, "starts");
    sim_process_wake(self->process);
    gateways_broker_started(broker);
}

static void forget(struct broker *self) {
    shard_destroy(&self->shard);
    self->process->is_dead = true;
    namespace_set_destroy(&self->namespaces);
    metrics_destroy(&self->metrics);
}

void broker_crash(int broker) {
    struct broker *self = &world.brokers[broker];
    if (!self->is_up) {
        return;
    }
    sim_trace(self->id, "crashes");
    self->is_up = false;
    sim_network_cut_process(self->index);
    sim_actor_abandon(shard_actor(self->shard));
    forget(self);
    gateways_broker_ended(broker);
}

void broker_drain(int broker) {
    struct broker *self = &world.brokers[broker];
    if (self->is_up) {
        sim_trace(self->id, "drains");
        shard_post_drain(self->shard);
        gateways_broker_drains(broker);
    }
}

void broker_stop(int broker) {
    struct broker *self = &world.brokers[broker];
    if (!self->is_up) {
        return;
    }
    sim_trace(self->id, "stops");
    forget(self); /* its last batches go out */
    self->is_up = false;
    gateways_broker_ended(broker);
}

void brokers_begin(int n, const struct broker_settings *settings) {
    memset(&world, 0, sizeof world);
    world.n = n;
    for (int i = 0; i < n; i++) {
        struct broker *self = &world.brokers[i];
        self->index = i;
        self->settings = *settings;
        snprintf(self->id, sizeof self->id, "broker-%c", 'a' + i);
    }
}

void broker_set(int broker, const struct broker_settings *settings) {
    world.brokers[broker].settings = *settings;
}

void brokers_end(void) {
    for (int i = 0; i < world.n; i++) {
        broker_crash(i);
    }
}

int brokers_count(void) {
    return world.n;
}

bool broker_is_up(int broker) {
    return world.brokers[broker].is_up;
}

struct sim_process *broker_process(int broker) {
    return world.brokers[broker].process;
}

/* ---- the switchboard's part ---- */

void broker_peer_joined(int broker, uint32_t number, uint64_t link_epoch, struct span gateway_id, uint64_t boot_nonce) {
    const struct shard_peer peer = {.number = number,
                                    .link_epoch = link_epoch,
                                    .version = WIRE_VERSION,
                                    .boot_nonce = boot_nonce,
                                    .gateway_id = gateway_id};
    if (world.brokers[broker].is_up) {
        shard_post_peer_joined(world.brokers[broker].shard, &peer);
    }
}

void broker_peer_left(int broker, uint32_t number) {
    if (world.brokers[broker].is_up) {
        shard_post_peer_left(world.brokers[broker].shard, number);
    }
}

void broker_batch(int broker, uint32_t number, struct span batch) {
    if (!world.brokers[broker].is_up) {
        return;
    }
    zmq_msg_t message;
    zmq_msg_init_size(&message, batch.size);
    memcpy(zmq_msg_data(&message), batch.data, batch.size);
    shard_post_batch(world.brokers[broker].shard, number, &message);
    zmq_msg_close(&message);
}
