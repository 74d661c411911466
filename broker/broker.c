/* Builds the parts in the order in which they may call each other, and takes them down in the reverse:
 *
 *   new:      switchboard (allocated) → shards with their engines → switchboard listens → backend API
 *   destroy:  backend API stops → switchboard quiet (shards hear nothing more) → shards end, engines close →
 *             backend API and switchboard end
 *
 * Failure modes: whatever cannot be made undoes what was, and says which setting to mend. */
#include "broker/broker.h"

#include "base/cgroup.h"
#include "base/check.h"
#include "base/curve_keys.h"
#include "base/curve_zap.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/partition.h"
#include "base/random.h"
#include "broker/backend/backend_api.h"
#include "broker/engine_fallback.h"
#include "broker/engine_memory.h"
#include "broker/redis/engine_redis.h"
#include "broker/switchboard.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { SHARDS_MAX = 16, INPROC_ENDPOINT_SIZE = 64 };

struct broker {
    struct broker_options options;
    char *id;
    const struct broker_config *config;
    namespace_set_t *namespaces;       /* the first: engines may know it */
    namespace_set_t *later_namespaces; /* of the last reload, NULL: none */
    namespace_set_t *old_namespaces;   /* still in use while a reload is under way */
    uint32_t reload;
    finding_board_t *findings;
    engine_choice_t *engine_choice; /* with redis.fallback: memory */
    switchboard_t *switchboard;
    shard_t **shards;
    uint32_t n_shards;
    uint64_t boot_nonce;
    struct curve_keys curve_keys;
    curve_zap_t *zap;
    backend_api_t *backend_api;
    char own_inproc_endpoint[INPROC_ENDPOINT_SIZE]; /* where the embedder gave none: the backend API subscribes there */
    atomic_bool draining;
    struct shard_memory memory;
    struct shard_call_desk calls;
};

/* ---- engines ---- */

static struct engine_memory_limits memory_limits(const struct broker_config *config, uint32_t n_shards) {
    struct engine_memory_limits limits = ENGINE_MEMORY_LIMITS_DEFAULT;
    limits.bytes_max = (size_t) config->memory_bytes_max / n_shards;
    limits.services_bytes = (size_t) config->memory_services_bytes_max / n_shards;
    limits.key_ttl_ms = (uint64_t) config->key_ttl_ms;
    limits.lease_ms = (uint64_t) config->lease_ms;
    return limits;
}

static engine_t *make_memory_engine(void *context, const struct engine_options *options, char *ret_error,
                                    size_t error_size) {
    (void) ret_error;
    (void) error_size;
    struct engine_memory_limits limits = memory_limits(((broker_t *) context)->config, options->n_shards);
    return engine_memory_new(options, &limits);
}

static engine_t *make_stand_in(void *context, const struct engine_options *options, char *ret_error,
                               size_t error_size) {
    (void) ret_error;
    (void) error_size;
    struct engine_memory_limits limits = memory_limits(((broker_t *) context)->config, options->n_shards);
    limits.stands_in = true;
    return engine_memory_new(options, &limits);
}

static engine_t *make_redis_engine(void *context, const struct engine_options *options, char *ret_error,
                                   size_t error_size) {
    return engine_redis_new(options, ((broker_t *) context)->config, ret_error, error_size);
}

static engine_t *make_fallback_engine(void *context, const struct engine_options *options, char *ret_error,
                                      size_t error_size) {
    const broker_t *self = context;
    struct engine_fallback_options how = {.choice = self->engine_choice,
                                          .wait_ms = (uint64_t) self->config->redis_fallback_after_ms,
                                          .make_primary = make_redis_engine,
                                          .make_stand_in = make_stand_in,
                                          .context = context};
    return engine_fallback_new(options, &how, ret_error, error_size);
}

/* ---- building ---- */

static uint32_t shards_of(const struct broker_config *config) {
    if (config->shards > 0) {
        return (uint32_t) config->shards;
    }
    unsigned cores = cgroup_cores(CGROUP_ROOT);
    return cores > SHARDS_MAX ? SHARDS_MAX : cores;
}

/* A pod's host name survives its restart, and with it the broker's rank for its partitions. */
static char *id_of(const struct broker_config *config) {
    char name[256] = "";
    if (config->id[0] != '\0') {
        return memory_strdup(config->id);
    }
    return memory_strdup(gethostname(name, sizeof name - 1) == 0 && name[0] != '\0' ? name : "broker");
}

static bool has_endpoint(const struct broker_options *options) {
    return !options->no_endpoint && options->config->endpoint != NULL && options->config->endpoint[0] != '\0';
}

/* Off the loopback nobody links without a key; and the handler that judges keys runs before anything is bound. */
static bool prepare_curve(broker_t *self, char *ret_error, size_t error_size) {
    const struct broker_config *config = self->config;
    if (!has_endpoint(&self->options)) {
        return true;
    }
    if (config->curve_key_file[0] == '\0') {
        if (curve_endpoint_is_local(config->endpoint)) {
            return true;
        }
        snprintf(ret_error, error_size,
                 "broker.endpoint %s is not on the loopback: it needs broker.curve_key_file and "
                 "broker.curve_allowed_dir (make keys with: callboardctl keygen)",
                 config->endpoint);
        return false;
    }
    if (!curve_keys_read(config->curve_key_file, true, &self->curve_keys, ret_error, error_size)) {
        return false;
    }
    self->zap = curve_zap_new(self->options.zmq_context, config->curve_allowed_dir, ret_error, error_size);
    return self->zap != NULL;
}

static bool make_shards(broker_t *self, char *ret_error, size_t error_size) {
    self->shards = memory_alloc_array(self->n_shards, sizeof *self->shards);
    for (uint32_t i = 0; i < self->n_shards; i++) {
        struct shard_options options = {
            .index = i,
            .n_shards = self->n_shards,
            .broker_id = self->id,
            .config = self->config,
            .namespaces = self->namespaces,
            .metrics = self->options.metrics,
            .findings = self->findings,
            .memory = &self->memory,
            .calls = &self->calls,
            .boot_nonce = self->boot_nonce,
            .batch_close = self->zap == NULL ? WIRE_BATCH_CLOSE : WIRE_BATCH_CLOSE_CURVE,
            .uplink = {switchboard_post_batch, switchboard_post_reset, self->switchboard},
            .make_engine = self->options.make_engine,
            .engine_context = self->options.engine_context,
        };
        self->shards[i] = shard_new(&options, ret_error, error_size);
        if (self->shards[i] == NULL) {
            return false;
        }
    }
    return true;
}

static switchboard_t *make_switchboard(const broker_t *self) {
    return switchboard_new(&(struct switchboard_options){
        .zmq_context = self->options.zmq_context,
        .config = self->config,
        .metrics = self->options.metrics,
        .broker_id = self->id,
        .n_shards = self->n_shards,
        .endpoint = has_endpoint(&self->options) ? self->config->endpoint : NULL,
        .inproc_endpoint = self->options.inproc_endpoint,
        .boot_nonce = self->boot_nonce,
        .config_hash = namespace_set_hash(self->namespaces),
        .curve_keys = self->zap == NULL ? NULL : &self->curve_keys,
        .curve_zap = self->zap,
    });
}

static bool make_backend_api(broker_t *self, char *ret_error, size_t error_size) {
    struct backend_api_options options = {
        .zmq_context = self->options.zmq_context,
        .config = self->config,
        .broker_id = self->id,
        .switchboard_endpoint = self->options.inproc_endpoint,
        .namespaces = self->namespaces,
        .metrics = self->options.metrics,
        .n_shards = self->n_shards,
        .n_partitions = (uint32_t) self->config->partitions,
        .request_kind = SHARD_MESSAGE_REQUEST,
    };
    for (uint32_t i = 0; i < self->n_shards; i++) {
        options.shards[i] = shard_actor(self->shards[i]);
    }
    self->backend_api = backend_api_new(&options, ret_error, error_size);
    if (self->backend_api == NULL) {
        return false;
    }
    atomic_store(&self->calls.actor, backend_api_actor(self->backend_api));
    return true;
}

static bool build(broker_t *self, char *ret_error, size_t error_size) {
    if (!prepare_curve(self, ret_error, error_size)) {
        return false;
    }
    self->switchboard = make_switchboard(self);
    return make_shards(self, ret_error, error_size) &&
           switchboard_start(self->switchboard, self->shards, ret_error, error_size) &&
           make_backend_api(self, ret_error, error_size);
}

static void choose_engine(broker_t *self) {
    if (self->options.make_engine != NULL) {
        return;
    }
    self->options.engine_context = self;
    if (self->config->redis_url[0] == '\0') {
        self->options.make_engine = make_memory_engine;
    } else if (self->config->redis_fallback == REDIS_FALLBACK_MEMORY) {
        self->engine_choice = engine_choice_new(self->n_shards);
        self->options.make_engine = make_fallback_engine;
    } else {
        self->options.make_engine = make_redis_engine;
    }
}

broker_t *broker_new(const struct broker_options *options, char *ret_error, size_t error_size) {
    broker_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    self->config = options->config;
    self->id = id_of(options->config);
    self->n_shards = shards_of(options->config);
    self->boot_nonce = random_u64();
    self->calls.kind = BACKEND_API_MESSAGE_CALL;
    self->calls.occupancy_kind = BACKEND_API_MESSAGE_OCCUPANCY;
    self->memory.budget_bytes =
        options->config->memory_max > 0 ? (uint64_t) options->config->memory_max : cgroup_memory_bytes(CGROUP_ROOT);
    self->namespaces = namespace_set_new(&options->config->namespaces);
    if (self->options.inproc_endpoint == NULL) {
        snprintf(self->own_inproc_endpoint, sizeof self->own_inproc_endpoint, "inproc://callboard-switchboard-%016llx",
                 (unsigned long long) self->boot_nonce);
        self->options.inproc_endpoint = self->own_inproc_endpoint;
    }
    choose_engine(self);
    self->findings = finding_board_new(options->metrics);
    if (!build(self, ret_error, error_size)) {
        broker_destroy(&self);
        return NULL;
    }
    log_info("broker_started", log_text("id", self->id), log_u64("shards", self->n_shards),
             log_text("endpoint", switchboard_endpoint(self->switchboard)),
             log_text("engine", self->config->redis_url[0] == '\0' ? "memory" : "redis"));
    return self;
}

void broker_destroy(broker_t **self_p) {
    broker_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    backend_api_stop(self->backend_api); /* shards may still answer it: it goes when they are gone */
    if (self->switchboard != NULL) {
        switchboard_quiet(self->switchboard);
    }
    for (uint32_t i = 0; self->shards != NULL && i < self->n_shards; i++) {
        shard_destroy(&self->shards[i]);
    }
    backend_api_destroy(&self->backend_api);
    switchboard_destroy(&self->switchboard);
    curve_zap_destroy(&self->zap);
    curve_keys_wipe(&self->curve_keys);
    namespace_set_destroy(&self->later_namespaces);
    namespace_set_destroy(&self->old_namespaces);
    namespace_set_destroy(&self->namespaces);
    finding_board_destroy(&self->findings);
    engine_choice_destroy(&self->engine_choice);
    memory_free(self->shards);
    memory_free(self->id);
    memory_free(self);
    *self_p = NULL;
}

/* ---- draining ---- */

void broker_drain(broker_t *self) {
    if (atomic_exchange(&self->draining, true)) {
        return;
    }
    log_info("broker_draining", log_u64("window_ms", (uint64_t) self->config->drain_window_ms));
    for (uint32_t i = 0; i < self->n_shards; i++) {
        shard_post_drain(self->shards[i]);
    }
    switchboard_post_drain(self->switchboard, (uint32_t) self->config->drain_window_ms);
}

bool broker_is_drained(const broker_t *self) {
    struct broker_status status;
    broker_read_status(self, &status);
    return status.draining && status.subscriptions == 0 && status.operations == 0 &&
           backend_api_tell_end(self->backend_api);
}

/* ---- reloading ---- */

void broker_reload(broker_t *self, const struct broker_config *config) {
    check(self->old_namespaces == NULL, "two reloads at once");
    self->old_namespaces = self->later_namespaces;
    self->later_namespaces = namespace_set_new(&config->namespaces);
    self->reload++;
    switchboard_set_config_hash(self->switchboard, namespace_set_hash(self->later_namespaces));
    backend_api_reload(self->backend_api, self->later_namespaces, config);
    for (uint32_t i = 0; i < self->n_shards; i++) {
        shard_post_reload(self->shards[i], self->later_namespaces, self->reload);
    }
}

bool broker_finish_reload(broker_t *self) {
    for (uint32_t i = 0; i < self->n_shards; i++) {
        struct shard_figures figures;
        shard_read_figures(self->shards[i], &figures);
        if (figures.reloads != self->reload) {
            return false;
        }
    }
    namespace_set_destroy(&self->old_namespaces);
    return true;
}

/* ---- seen from outside ---- */

void broker_call_by_hand(broker_t *self, struct http_call *call) {
    backend_api_call(self->backend_api, call);
}

uint32_t broker_shards(const broker_t *self) {
    return self->n_shards;
}

actor_t *broker_shard(const broker_t *self, uint32_t index) {
    check(index < self->n_shards, "shard %u of %u", index, self->n_shards);
    return shard_actor(self->shards[index]);
}

actor_t *broker_shard_for(const broker_t *self, struct span channel) {
    uint32_t n_partitions = (uint32_t) self->config->partitions;
    return broker_shard(self, partition_shard(partition_of(channel, n_partitions), n_partitions, self->n_shards));
}

const namespace_set_t *broker_namespaces(const broker_t *self) {
    return self->later_namespaces != NULL ? self->later_namespaces : self->namespaces;
}

finding_board_t *broker_findings(const broker_t *self) {
    return self->findings;
}

uint32_t broker_partitions(const broker_t *self) {
    return (uint32_t) self->config->partitions;
}

static void add_shard(const broker_t *self, uint32_t index, struct broker_status *status) {
    struct shard_figures figures;
    shard_read_figures(self->shards[index], &figures);
    uint64_t stalled_ms = actor_stalled_ms(shard_actor(self->shards[index]));
    status->mode = index == 0 || figures.mode == WIRE_MODE_MEMORY ? figures.mode : status->mode;
    status->stands_in |= figures.stands_in;
    status->engine_connected &= figures.engine_connected;
    status->pubsub_connected &= figures.pubsub_connected;
    if (!figures.engine_connected && figures.engine_reason != NULL) {
        status->engine_reason = figures.engine_reason;
    }
    status->stalled_ms = stalled_ms > status->stalled_ms ? stalled_ms : status->stalled_ms;
    status->channels += figures.channels;
    status->subscriptions += figures.subscriptions;
    status->operations += figures.operations;
    status->draining &= figures.draining;
    status->brokers = figures.brokers > status->brokers ? figures.brokers : status->brokers;
    if (figures.gateways > status->gateways) {
        status->gateways = figures.gateways;
        status->connections = figures.connections;
        status->users = figures.users;
    }
}

void broker_read_status(const broker_t *self, struct broker_status *ret_status) {
    struct switchboard_figures figures;
    switchboard_read_figures(self->switchboard, &figures);
    *ret_status = (struct broker_status){.id = self->id,
                                         .shards = self->n_shards,
                                         .engine_connected = true,
                                         .pubsub_connected = true,
                                         .draining = atomic_load(&self->draining),
                                         .stalled_ms = figures.stalled_ms,
                                         .links = figures.peers};
    for (uint32_t i = 0; i < self->n_shards; i++) {
        add_shard(self, i, ret_status);
    }
}

const char *broker_endpoint(const broker_t *self) {
    return switchboard_endpoint(self->switchboard);
}
