/* The engine's settings: what of the broker's configuration it needs, judged and with its meaning worked out. */
#include "broker/redis/engine_redis_parts.h"

#include <stdio.h>

#define BATCH_BYTES    ((size_t) 1 << 20)
#define READ_BYTES     ((size_t) 4 << 20)
#define REPLY_ELEMENTS ((size_t) 1000000)
enum { CONFIRM_WAIT_MS = 500 };

static bool refuse(char *ret_error, size_t error_size, const char *message) {
    snprintf(ret_error, error_size, "%s", message);
    return false;
}

static bool text_is_set(const char *text) {
    return text != NULL && text[0] != '\0';
}

static bool read_url(const struct broker_config *config, struct redis_url *ret_url, char *ret_error,
                     size_t error_size) {
    if (!redis_url_parse(span_of_text(config->redis_url), ret_url, ret_error, error_size)) {
        return false;
    }
    if (text_is_set(config->redis_user)) {
        snprintf(ret_url->user, sizeof ret_url->user, "%s", config->redis_user);
    }
    if (text_is_set(config->redis_password)) {
        if (strlen(config->redis_password) > REDIS_URL_PASSWORD_MAX) {
            return refuse(ret_error, error_size, "redis.password: at most 511 bytes");
        }
        snprintf(ret_url->password, sizeof ret_url->password, "%s", config->redis_password);
    }
    return true;
}

static bool prefix_is_valid(const char *prefix) {
    size_t size = strlen(prefix);
    return size > 0 && size <= REDIS_PREFIX_MAX &&
           strspn(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.-") == size;
}

static bool settings_are_valid(const struct engine_options *options, const struct broker_config *config,
                               char *ret_error, size_t error_size) {
    if (text_is_set(config->redis_prefix) && !prefix_is_valid(config->redis_prefix)) {
        return refuse(ret_error, error_size, "redis.prefix: 1 to 32 letters, digits and :_.-");
    }
    if (!partition_count_is_valid(options->n_partitions)) {
        return refuse(ret_error, error_size, "broker.partitions: a power of two from 64 to 4096");
    }
    return true;
}

static size_t setting(int64_t value, size_t fallback) {
    return value > 0 ? (size_t) value : fallback;
}

/* Replicas hold what the primary had, where there are any; a server alone has only its disk. */
static void take_durability(struct engine_redis *self, const struct broker_config *config) {
    bool is_alone = self->url.kind == REDIS_URL_STANDALONE;
    switch ((enum redis_confirm_setting) config->redis_confirm) {
    case REDIS_CONFIRM_BY_AUTO:
        self->confirm_kind = is_alone ? REDIS_CONFIRM_DISK : REDIS_CONFIRM_REPLICAS;
        break;
    case REDIS_CONFIRM_BY_REPLICAS:
        self->confirm_kind = REDIS_CONFIRM_REPLICAS;
        break;
    case REDIS_CONFIRM_BY_DISK:
        self->confirm_kind = REDIS_CONFIRM_DISK;
        break;
    case REDIS_CONFIRM_BY_DECLARATION:
        self->confirm_kind = REDIS_CONFIRM_DECLARED;
        break;
    }
    self->batch_limits.safe_by_default = !is_alone;
    self->confirm_replicas = (unsigned) setting(config->redis_confirm_replicas, 0);
    /* REVOCATIONS_CHANNEL is safe where it can be, and refuses no server: redis_batch_limits_say_safe. */
    const struct namespace_options *namespaces = config->namespaces.items;
    for (size_t i = 0; i < config->namespaces.n; i++) {
        self->has_safe =
            self->has_safe || (namespace_has_history(&namespaces[i]) && engine_redis_is_safe(self, &namespaces[i]));
    }
}

static void take_limits(struct engine_redis *self, const struct broker_config *config) {
    size_t items = setting(config->redis_batch_publications, 256);
    self->batch_limits.items = items > REDIS_BATCH_ITEMS_MAX ? REDIS_BATCH_ITEMS_MAX : items;
    self->batch_limits.bytes = BATCH_BYTES;
    self->queue_items_max = setting(config->inbox_messages, 65536);
    self->queue_bytes_max = setting(config->inbox_bytes, (size_t) 64 << 20);
    self->gate_items_max = setting(config->redis_held_batches, 1024);
    self->gate_bytes_max = setting(config->redis_held_bytes, (size_t) 4 << 20);
    self->lease_ms = setting(config->lease_ms, 4000);
    self->topic_idle_ms = setting(config->redis_topic_idle_ms, 60000);
    self->key_ttl_ms = (uint32_t) setting(config->key_ttl_ms, 300000);
    self->loads_max = (uint32_t) setting(config->redis_loads, 64);
    self->read_bytes_max = READ_BYTES;
    self->compared_channels = config->redis_compared_channels;
    snprintf(self->prefix, sizeof self->prefix, "%s", text_is_set(config->redis_prefix) ? config->redis_prefix : "cb");
    bool has_id = text_is_set(config->id);
    snprintf(self->client_name, sizeof self->client_name, "callboard-broker%s%.40s", has_id ? "-" : "",
             has_id ? config->id : "");
    self->link_options = (struct redis_link_options){
        .loop = self->options.loop,
        .url = self->url,
        .client_name = self->client_name,
        .commands_max = setting(config->redis_pipeline_commands, 1024),
        .bytes_max = setting(config->redis_pipeline_bytes, (size_t) 8 << 20),
        .reply_limits = {.bytes = setting(config->redis_reply_bytes, (size_t) 64 << 20), .elements = REPLY_ELEMENTS},
        .command_timeout_ms = (uint32_t) setting(config->redis_command_timeout_ms, 2000),
        .tls = self->tls,
    };
    uint32_t half = self->link_options.command_timeout_ms / 2;
    self->confirm_wait_ms = half < CONFIRM_WAIT_MS ? half : CONFIRM_WAIT_MS;
}

static bool make_tls(struct engine_redis *self, const struct broker_config *config, char *ret_error,
                     size_t error_size) {
    if (!self->url.tls) {
        return true;
    }
    const struct redis_tls_options options = {.ca_file = config->redis_tls_ca_file,
                                              .certificate_file = config->redis_tls_certificate_file,
                                              .key_file = config->redis_tls_key_file,
                                              .server_name = config->redis_tls_server_name};
    self->tls = redis_tls_new(&options, ret_error, error_size);
    return self->tls != NULL;
}

bool engine_redis_take_settings(struct engine_redis *self, const struct broker_config *config, char *ret_error,
                                size_t error_size) {
    if (!read_url(config, &self->url, ret_error, error_size) ||
        !settings_are_valid(&self->options, config, ret_error, error_size) ||
        !make_tls(self, config, ret_error, error_size)) {
        return false;
    }
    take_durability(self, config);
    take_limits(self, config);
    self->setup = redis_setup_of(config, &self->url, self->options.n_shards, "");
    self->survey_ms = (uint64_t) config->redis_survey_ms;
    return true;
}
