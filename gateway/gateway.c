/* Workers are made one after another (libwebsockets contexts must be). What a reload replaces (settings, token keys,
 * namespaces) is made anew and handed to each worker; the old one goes when all have taken the new one, so nobody needs
 * a lock to read it.
 *
 * Failures: a worker cannot start → those before it are stopped, and the reason goes to the caller. A reload with a
 * secret, a certificate or a key that does not serve → nothing changes. */
#include "gateway/gateway.h"

#include "base/admin_operations.h"
#include "base/cgroup.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "gateway/centrifugo_metrics.h"
#include "gateway/session/user_limits.h"
#include "gateway/token/jwks.h"
#include "gateway/token/token_keeper.h"
#include "gateway/transport/tls_keeper.h"
#include "gateway/worker.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    CONNECTIONS_UNSET = 65536, /* without client.connections_max */
    SOCKETS_SPARE = 1024,      /* on the public port, but no WebSockets, or not yet */
    DESCRIPTORS_RESERVED = 64, /* for files, Redis, brokers, logs: never given to clients */
    OUTBOX_SHARE = 4,          /* a quarter of the memory may wait in queues to clients */
    SOURCES_IDLE_MAX = 65536,  /* remembered without a connection, for their handshakes a second */
    CLOSE_MARGIN_MS = 6000,    /* a peer's answer to our close frame: 5 s and a turn */
};

struct gateway {
    struct gateway_options options;
    struct gateway_config config; /* as started, with the id made up; borrows the texts of options.config */
    char *id;
    token_keeper_t *tokens;
    namespace_set_t *namespaces;
    tls_keeper_t *tls;
    atomic_uint_fast64_t namespaces_hash; /* of them */
    atomic_uint connections_max;
    struct websocket_totals totals;
    source_limits_t *sources;
    user_limits_t *user_limits;
    struct http_endpoints endpoints;
    struct http_service_calls calls;
    uint64_t drain_ms;
    atomic_bool is_draining;
    worker_t **workers;
    uint32_t n_wanted;
    atomic_uint n_workers; /* those below are there; others may read them */
};

/* --- status: any thread --- */

static void add_worker(struct gateway_status *status, const struct worker_figures *figures) {
    status->connections += figures->connections;
    status->users += figures->users;
    status->alive += figures->alive;
    status->dead += figures->dead;
    status->is_ready = status->is_ready && figures->had_broker;
    if (figures->stalled_ms > status->stalled_ms) {
        status->stalled_ms = figures->stalled_ms;
    }
    const struct broker_summary *brokers = &figures->brokers;
    if (brokers->brokers_alive > status->brokers_alive) {
        status->brokers_alive = brokers->brokers_alive;
        status->mode = brokers->mode;
    }
    if (brokers->brokers_known > status->brokers_known) {
        status->brokers_known = brokers->brokers_known;
    }
    status->engine_degraded = status->engine_degraded || brokers->engine_degraded;
    if (brokers->totals_known) {
        status->totals_known = true;
        status->total_connections = brokers->totals.connections;
        status->total_gateways = brokers->totals.gateways;
    }
}

void gateway_read_status(const gateway_t *self, struct gateway_status *ret_status) {
    uint32_t n = atomic_load_explicit(&self->n_workers, memory_order_acquire);
    struct tls_keeper_status tls;
    tls_keeper_read_status(self->tls, &tls);
    *ret_status = (struct gateway_status){
        .id = self->id,
        .namespaces_hash = atomic_load(&self->namespaces_hash),
        .connections_max = atomic_load(&self->connections_max),
        .speaks_tls = tls.speaks_tls,
        .certificate_expires_s = tls.expires_at_s,
        .certificate_refused = tls.is_renewal_refused,
        .is_ready = n == self->n_wanted,
        .is_draining = atomic_load(&self->is_draining),
        .workers = n,
        .sockets = atomic_load_explicit(&self->totals.sockets, memory_order_relaxed),
        .websockets = atomic_load_explicit(&self->totals.connections, memory_order_relaxed),
    };
    for (uint32_t i = 0; i < n; i++) {
        struct worker_figures figures;
        worker_read_figures(self->workers[i], &figures);
        add_worker(ret_status, &figures);
    }
    struct token_keeper_status tokens;
    token_keeper_read_status(self->tokens, &tokens);
    ret_status->token_keys_missing = tokens.keys_are_missing;
    ret_status->token_keys_stale = tokens.keys_are_stale;
    ret_status->revocations_old = tokens.revocations_are_old;
}

static void read_status(void *context, struct gateway_status *ret_status) {
    gateway_read_status(context, ret_status);
}

static void read_figures(void *context, struct broker_beat_figures *ret_figures) {
    struct gateway_status status;
    gateway_read_status(context, &status);
    *ret_figures = (struct broker_beat_figures){
        .connections = status.connections,
        .users = status.users,
        .alive = status.alive,
        .dead = status.dead,
    };
}

/* Workers that are not there yet, or stop, take nothing. */
static bool to_worker(void *context, uint32_t worker, struct actor_message **message_p) {
    const gateway_t *self = context;
    return worker < atomic_load_explicit(&self->n_workers, memory_order_acquire) &&
           worker_post(self->workers[worker], message_p);
}

/* --- settings --- */

/* libwebsockets 4.1.6 as Debian builds it goes through its whole table of descriptors whenever a connection closes:
 * 0.5 ns for each that the process may have, and it takes the soft limit for that when its context is made. So the
 * limit becomes what we want to use, not the half million that an administrator may allow. */
static void fit_descriptor_limit(const struct gateway_config *config) {
    rlim_t connections = config->connections_max > 0 ? (rlim_t) config->connections_max : CONNECTIONS_UNSET;
    rlim_t wanted = connections + SOCKETS_SPARE + DESCRIPTORS_RESERVED;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > wanted) {
        limit.rlim_cur = wanted;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static uint32_t sockets_max(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > INT32_MAX) {
        return INT32_MAX;
    }
    return limit.rlim_cur > 2 * DESCRIPTORS_RESERVED ? (uint32_t) limit.rlim_cur - DESCRIPTORS_RESERVED
                                                     : (uint32_t) limit.rlim_cur / 2;
}

static uint32_t connections_max(const struct gateway_config *config) {
    uint32_t possible = sockets_max();
    uint32_t wanted = config->connections_max > 0 ? (uint32_t) config->connections_max : CONNECTIONS_UNSET;
    if (wanted <= possible) {
        return wanted;
    }
    if (config->connections_max > 0) {
        log_warning("connections_limited", log_text("reason", "descriptors, as they were allowed at the start"),
                    log_u64("client.connections_max", wanted), log_u64("possible", possible));
    }
    return possible;
}

static bool serves_raw(const gateway_t *self, const struct gateway_config *config) {
    return config->raw_endpoint == GATEWAY_AUTO ? self->options.raw_endpoint : config->raw_endpoint == GATEWAY_ON;
}

static uint64_t memory_max(const struct gateway_config *config) {
    return config->memory_max > 0 ? (uint64_t) config->memory_max : cgroup_memory_bytes(CGROUP_ROOT);
}

static struct worker_settings worker_settings(gateway_t *self, const struct gateway_config *config) {
    uint32_t most = connections_max(config);
    atomic_store(&self->connections_max, most);
    return (struct worker_settings){.config = config,
                                    .namespaces = self->namespaces,
                                    .tls = tls_keeper_credentials(self->tls),
                                    .connections_max = most,
                                    .memory_max = memory_max(config),
                                    .outbox_bytes = (size_t) (memory_max(config) / OUTBOX_SHARE / self->n_wanted),
                                    .raw_endpoint = serves_raw(self, config)};
}

static void apply_log(const struct gateway_config *config) {
    log_set_level((enum log_level) config->log_level);
    log_set_rate((unsigned) config->log_rate);
}

bool gateway_reload(gateway_t *self, const struct gateway_config *config, char *ret_error, size_t error_size) {
    struct tls_next tls;
    if (!tls_keeper_read_next(self->tls, config, &tls, ret_error, error_size)) {
        return false;
    }
    if (!token_keeper_reload(self->tokens, config, ret_error, error_size)) { /* the last that may refuse */
        tls_next_finish(&tls);
        return false;
    }
    tls_keeper_take(self->tls, &tls);
    namespace_set_t *old_namespaces = self->namespaces;
    self->namespaces = namespace_set_new(&config->namespaces);
    atomic_store(&self->namespaces_hash, namespace_set_hash(self->namespaces));
    struct worker_settings settings = worker_settings(self, config);
    for (uint32_t i = 0; i < self->n_wanted; i++) {
        worker_reload(self->workers[i], &settings);
    }
    namespace_set_destroy(&old_namespaces);
    tls_next_finish(&tls);
    apply_log(config);
    return true;
}

void gateway_look(gateway_t *self) {
    tls_keeper_look(self->tls);
}

/* --- life cycle --- */

static char *make_id(const struct gateway_config *config) {
    if (config->id[0] != '\0') {
        return memory_strdup(config->id);
    }
    char host[64] = "gateway";
    char id[96];
    gethostname(host, sizeof(host) - 1);
    snprintf(id, sizeof(id), "%s-%d", host, (int) getpid());
    return memory_strdup(id);
}

static void on_trust(void *context, token_trust_t *trust) {
    gateway_t *self = context;
    for (uint32_t i = 0; i < self->n_wanted; i++) {
        worker_use_trust(self->workers[i], trust);
    }
}

static void on_key_awaited(void *token_context) {
    gateway_t *self = token_context;
    token_keeper_want_keys(self->tokens);
}

static void on_revocations(void *token_context, struct span lines) {
    gateway_t *self = token_context;
    token_keeper_tell_revocations(self->tokens, lines);
}

static bool open_tokens(gateway_t *self, char *ret_error, size_t error_size) {
    const struct token_keeper_options options = {
        .config = &self->config,
        .metrics = self->options.metrics,
        .jwks_gap_ms = JWKS_GAP_MS,
        .context = self,
        .on_trust = on_trust,
    };
    self->tokens = token_keeper_new(&options, ret_error, error_size);
    return self->tokens != NULL;
}

static void on_certificate_renewed(void *context, const tls_credentials_t *credentials) {
    gateway_t *self = context;
    for (uint32_t i = 0; i < self->n_wanted; i++) {
        worker_use_certificate(self->workers[i], credentials);
    }
}

static bool open_tls(gateway_t *self, char *ret_error, size_t error_size) {
    const struct tls_keeper_options options = {
        .config = &self->config,
        .metrics = self->options.metrics,
        .context = self,
        .on_renewed = on_certificate_renewed,
    };
    self->tls = tls_keeper_new(&options, ret_error, error_size);
    return self->tls != NULL;
}

static bool start_workers(gateway_t *self, char *ret_error, size_t error_size) {
    token_trust_t *trust = token_keeper_trust(self->tokens); /* each worker takes a reference */
    /* Before the first answer of a broker nobody knows which tokens are revoked. */
    atomic_store(&self->totals.refuses_tokens, self->config.revocations_strict && self->config.revocations_max > 0);
    struct worker_options options = {
        .settings = worker_settings(self, &self->config),
        .trust = trust,
        .on_key_awaited = on_key_awaited,
        .on_revocations = on_revocations,
        .token_context = self,
        .port = (int) self->config.http_port,
        .sockets_max = sockets_max(),
        .boot_nonce = random_u64(),
        .zmq_context = self->options.zmq_context,
        .metrics = self->options.metrics,
        .totals = &self->totals,
        .sources = self->sources,
        .user_limits = self->user_limits,
        .endpoints = &self->endpoints,
        .process_figures = read_figures,
        .to_worker = to_worker,
        .n_workers = self->n_wanted,
        .context = self,
    };
    self->workers = memory_alloc_array(self->n_wanted, sizeof(worker_t *));
    for (uint32_t i = 0; i < self->n_wanted; i++) {
        options.index = i;
        self->workers[i] = worker_new(&options, ret_error, error_size);
        if (self->workers[i] == NULL) {
            break;
        }
        options.port = worker_port(self->workers[i]);
        atomic_store_explicit(&self->n_workers, i + 1, memory_order_release);
    }
    token_trust_unref(&trust);
    return atomic_load(&self->n_workers) == self->n_wanted;
}

/* The first worker reaches every broker. */
static void take_call(void *context, struct http_call *call) {
    gateway_t *self = context;
    worker_call(self->workers[0], call);
}

static void prepare_calls(gateway_t *self) {
    const struct gateway_config *config = &self->config;
    self->calls = admin_operations_calls((enum admin_operations) config->internal_operations, config->internal_body_max,
                                         config->internal_calls_max, config->internal_call_timeout_ms);
    self->calls.take = take_call;
    self->calls.context = self;
}

gateway_t *gateway_new(const struct gateway_options *options, char *ret_error, size_t error_size) {
    gateway_t *self = memory_alloc_zero(sizeof(*self));
    const struct gateway_config *config = options->config;
    self->options = *options;
    self->config = *config;
    self->id = make_id(config);
    self->config.id = self->id;
    self->n_wanted = config->workers > 0 ? (uint32_t) config->workers : cgroup_cores(CGROUP_ROOT);
    self->drain_ms = (uint64_t) (config->drain_delay_ms + config->drain_window_ms) + CLOSE_MARGIN_MS;
    self->namespaces = namespace_set_new(&config->namespaces);
    atomic_store(&self->namespaces_hash, namespace_set_hash(self->namespaces));
    self->endpoints.read_status = read_status;
    self->endpoints.context = self;
    self->endpoints.metrics = options->metrics;
    metrics_set_aliases(options->metrics, centrifugo_metric_table, centrifugo_metric_count);
    prepare_calls(self);
    http_endpoints_init(&self->endpoints, config->public_health_details, config->demo);
    self->sources = source_limits_new(SOURCES_IDLE_MAX);
    self->user_limits = user_limits_new();
    apply_log(config);
    fit_descriptor_limit(config);
    if (!open_tokens(self, ret_error, error_size) || !open_tls(self, ret_error, error_size) ||
        !start_workers(self, ret_error, error_size) || !token_keeper_start(self->tokens, ret_error, error_size)) {
        gateway_destroy(&self);
        return NULL;
    }
    log_info("gateway_started", log_text("gateway", self->id), log_u64("workers", self->n_wanted),
             log_u64("descriptors", (uint64_t) sockets_max() + DESCRIPTORS_RESERVED),
             log_u64("connections_max", atomic_load(&self->connections_max)), log_text("address", config->http_address),
             log_u64("port", (uint64_t) gateway_port(self)));
    return self;
}

void gateway_destroy(gateway_t **self_p) {
    gateway_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    if (self->tokens != NULL) {
        token_keeper_stop(self->tokens); /* it speaks to workers; they may speak to it until they have stopped */
    }
    /* Others' figures are read until the last worker has stopped: all stop before any is freed. */
    uint32_t n = atomic_load(&self->n_workers);
    for (uint32_t i = 0; i < n; i++) {
        worker_stop(self->workers[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        worker_destroy(&self->workers[i]);
    }
    token_keeper_destroy(&self->tokens);
    namespace_set_destroy(&self->namespaces);
    tls_keeper_destroy(&self->tls);
    source_limits_destroy(&self->sources);
    user_limits_destroy(&self->user_limits);
    memory_free(self->workers);
    memory_free(self->id);
    memory_free(self);
}

void gateway_drain(gateway_t *self) {
    if (atomic_exchange(&self->is_draining, true)) {
        return;
    }
    log_info("gateway_drains", log_u64("connections", atomic_load(&self->totals.connections)));
    for (uint32_t i = 0; i < self->n_wanted; i++) {
        worker_drain(self->workers[i]);
    }
}

bool gateway_is_drained(const gateway_t *self) {
    for (uint32_t i = 0; i < self->n_wanted; i++) {
        struct worker_figures figures;
        worker_read_figures(self->workers[i], &figures);
        if (!figures.is_drained) {
            return false;
        }
    }
    return true;
}

uint64_t gateway_drain_ms(const gateway_t *self) {
    return self->drain_ms;
}

const struct http_endpoint *gateway_endpoints(const gateway_t *self, size_t *ret_n) {
    *ret_n = sizeof(self->endpoints.internal) / sizeof(self->endpoints.internal[0]);
    return self->endpoints.internal;
}

const struct http_service_calls *gateway_calls(const gateway_t *self) {
    return self->config.internal_operations == ADMIN_OPERATIONS_OFF ? NULL : &self->calls;
}

int gateway_port(const gateway_t *self) {
    return worker_port(self->workers[0]);
}

bool gateway_speaks_tls(const gateway_t *self) {
    return tls_keeper_credentials(self->tls) != NULL;
}

const char *gateway_id(const gateway_t *self) {
    return self->id;
}

uint32_t gateway_workers(const gateway_t *self) {
    return self->n_wanted;
}
