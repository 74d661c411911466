/* Directory and uplinks put together.
 *
 *   directory ──on_added──▶ uplink ──WELCOME──▶ judge: mode, partitions ──▶ live: ranked, listeners told
 *       ▲                     │ lost
 *       └──── set_gone ◀──────┴──▶ listeners told, then the ranks without it
 *
 * One uv_idle handle runs what was deferred, settles dying links, and keeps the loop from sleeping over batches that
 * were opened after the uplinks' own end-of-turn flush.
 *
 * Failure modes:
 * - a second broker where one is in mode memory: refused loudly, both here and to the broker; they would not know of
 *   each other's publications.
 * - another number of partitions than the other brokers': refused; channels would live in two places.
 * - the same broker id under two addresses (a name with two addresses, a pod that came back under a new one): the newer
 *   link stays, the older is parked, and dials again when the newer is lost. */
#include "gateway/broker_links_parts.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

static const struct metric_description metric_table[] = {
    {"callboard_gateway_brokers_known", "Broker addresses that the configured endpoints stand for.", METRIC_GAUGE_MAX,
     NULL},
    {"callboard_gateway_brokers_alive", "Brokers with a live link, of the worker that sees most.", METRIC_GAUGE_MAX,
     NULL},
    {"callboard_gateway_partitions_moved_total", "Times that a partition's first broker became another one.",
     METRIC_COUNTER, NULL},
    {"callboard_gateway_brokers_refused_total", "Brokers that were refused for their mode or partitions.",
     METRIC_COUNTER, NULL},
    {"callboard_gateway_commands_total", "Commands of services for sessions, as brokers pass them to each worker.",
     METRIC_COUNTER, NULL},
    {"callboard_gateway_gateways", "Gateways of the cluster, as the brokers tell it.", METRIC_GAUGE_MAX, NULL},
};

/* ---- deferring ---- */

static void run_deferred(broker_links_t *self) {
    struct list_link now;
    list_init(&now);
    list_splice_back(&now, &self->deferred);
    for (struct list_link *link = list_pop_front(&now); link != NULL; link = list_pop_front(&now)) {
        struct broker_deferred *deferred = list_entry(link, struct broker_deferred, link);
        deferred->run(deferred);
    }
}

static void on_idle(uv_idle_t *idle) {
    broker_links_t *self = idle->data;
    list_for_each_safe (link, broker_directory_entries(self->directory)) {
        struct broker_link *broker = list_entry(link, struct broker_entry, link)->uplink;
        if (broker != NULL) {
            uplink_settle(broker->uplink);
        }
    }
    uv_idle_stop(idle);
    run_deferred(self);
}

static void on_wake(void *context) {
    broker_links_t *self = context;
    uv_idle_start(&self->idle, on_idle);
}

void broker_links_defer(broker_links_t *self, struct broker_deferred *deferred) {
    if (!list_is_linked(&deferred->link)) {
        list_push_back(&self->deferred, &deferred->link);
    }
    on_wake(self);
}

/* ---- the live set ---- */

static void update_figures(broker_links_t *self) {
    metric_set(self->metrics, METRIC_KNOWN, (int64_t) broker_directory_known(self->directory));
    metric_set(self->metrics, METRIC_ALIVE, (int64_t) broker_directory_alive(self->directory));
    uint64_t moved = broker_directory_moved_total(self->directory);
    metric_add(self->metrics, METRIC_MOVED, moved - self->moved_counted);
    self->moved_counted = moved;
}

void links_tell_ranks(broker_links_t *self) {
    update_figures(self);
    for (size_t i = 0; i < BROKER_LISTENERS; i++) {
        if (self->listeners[i].context != NULL) {
            self->listeners[i].on_ranks(self->listeners[i].context);
        }
    }
}

static enum wire_mode mode_of_the_live(broker_links_t *self) {
    list_for_each (link, broker_directory_entries(self->directory)) {
        const struct broker_entry *entry = list_entry(link, struct broker_entry, link);
        if (entry->live) {
            return (enum wire_mode)((const struct broker_link *) entry->uplink)->mode;
        }
    }
    return (enum wire_mode) 0;
}

static void update_mode(broker_links_t *self) {
    enum wire_mode mode = mode_of_the_live(self);
    if (mode != self->mode) {
        self->mode = mode;
        self->settings.on_mode_change(self->settings.context, mode);
    }
}

static enum uplink_judgement judge_beside(broker_links_t *self, const struct broker_entry *other,
                                          const struct wire_welcome *welcome) {
    const struct broker_link *link = other->uplink;
    if (span_equal_text(welcome->broker_id, other->id)) {
        return UPLINK_WANTED; /* the same broker: the other link is parked when this one is live */
    }
    if (welcome->mode == WIRE_MODE_MEMORY || link->mode == WIRE_MODE_MEMORY) {
        log_error("second_broker_refused", log_span("broker", welcome->broker_id), log_text("linked", other->id),
                  log_text("reason", "a broker in mode memory must be the only one: give every broker redis.url"));
        return UPLINK_MODE_REFUSED;
    }
    if (welcome->partitions != broker_directory_partitions(self->directory)) {
        log_error("broker_partitions_differ", log_span("broker", welcome->broker_id),
                  log_u64("partitions", welcome->partitions),
                  log_u64("others", broker_directory_partitions(self->directory)));
        return UPLINK_MISFIT;
    }
    return UPLINK_WANTED;
}

void links_note_shard(struct broker_link *link, uint16_t shard, bool degraded) {
    uint64_t bit = UINT64_C(1) << shard % SHARDS_A_WORD;
    uint64_t *word = &link->degraded[shard / SHARDS_A_WORD];
    *word = degraded ? *word | bit : *word & ~bit;
}

/* WELCOME speaks for every shard, until each says it for itself. */
static void note_all_degraded(struct broker_link *link, const struct wire_welcome *welcome) {
    memset(link->degraded, 0, sizeof(link->degraded));
    for (uint16_t shard = 0; shard < welcome->shards; shard++) {
        links_note_shard(link, shard, welcome->degraded != 0);
    }
}

static bool is_degraded(const struct broker_link *link) {
    uint64_t any = link->stands_in;
    for (size_t i = 0; i < UPLINK_SHARDS_MAX / SHARDS_A_WORD; i++) {
        any |= link->degraded[i];
    }
    return any != 0;
}

static enum uplink_judgement on_welcome(void *context, uplink_t *uplink, const struct wire_welcome *welcome) {
    broker_links_t *self = context;
    struct broker_link *link = uplink_owner_data(uplink);
    list_for_each (at, broker_directory_entries(self->directory)) {
        const struct broker_entry *other = list_entry(at, struct broker_entry, link);
        if (other == link->entry || !other->live) {
            continue;
        }
        enum uplink_judgement judgement = judge_beside(self, other, welcome);
        if (judgement != UPLINK_WANTED) {
            metric_count(self->metrics, METRIC_REFUSED);
            return judgement;
        }
    }
    struct broker_entry *sibling = broker_directory_find_live(self->directory, welcome->broker_id, link->entry);
    if (sibling != NULL) {
        struct broker_link *other = sibling->uplink;
        log_warning("broker_under_two_addresses", log_span("broker", welcome->broker_id),
                    log_text("parked", sibling->address), log_text("kept", link->entry->address),
                    log_bool("same_process", sibling->boot_nonce == welcome->boot_nonce));
        memory_free(other->parked_for);
        other->parked_for = memory_strndup(welcome->broker_id.data, welcome->broker_id.size);
        uplink_park(other->uplink);
    }
    link->mode = welcome->mode;
    link->stands_in = welcome->mode == WIRE_MODE_MEMORY && welcome->degraded != 0;
    note_all_degraded(link, welcome);
    broker_directory_set_partitions(self->directory, welcome->partitions);
    broker_directory_set_live(self->directory, link->entry, welcome->broker_id, welcome->boot_nonce);
    return UPLINK_WANTED;
}

static void on_live(void *context, uplink_t *uplink) {
    broker_links_t *self = context;
    for (size_t i = 0; i < BROKER_LISTENERS; i++) {
        if (self->listeners[i].on_live != NULL) {
            self->listeners[i].on_live(self->listeners[i].context, uplink);
        }
    }
    update_mode(self);
    links_tell_ranks(self);
}

/* Those parked because of this broker may be the way to it now. */
static void wake_parked(broker_links_t *self, const struct broker_entry *lost) {
    list_for_each (at, broker_directory_entries(self->directory)) {
        struct broker_link *link = list_entry(at, struct broker_entry, link)->uplink;
        if (link->entry != lost && link->parked_for != NULL && strcmp(link->parked_for, lost->id) == 0) {
            memory_free(link->parked_for);
            link->parked_for = NULL;
            uplink_hurry(link->uplink);
        }
    }
}

static void on_lost(void *context, uplink_t *uplink) {
    broker_links_t *self = context;
    struct broker_link *link = uplink_owner_data(uplink);
    for (size_t i = 0; i < BROKER_LISTENERS; i++) {
        if (self->listeners[i].on_lost != NULL) {
            self->listeners[i].on_lost(self->listeners[i].context, uplink);
        }
    }
    if (link->parked_for == NULL) {
        wake_parked(self, link->entry);
    }
    broker_directory_set_gone(self->directory, link->entry); /* uplink and link may be gone now */
    update_mode(self);
    links_tell_ranks(self);
}

/* ---- as the brokers see us, and we them ---- */

void broker_links_set_config_hash(broker_links_t *self, uint64_t hash) {
    self->settings.config_hash = hash;
}

void broker_links_reset_all(broker_links_t *self) {
    list_for_each (at, broker_directory_entries(self->directory)) {
        uplink_reset(((struct broker_link *) list_entry(at, struct broker_entry, link)->uplink)->uplink,
                     WIRE_RESET_OVERFLOW);
    }
}

void broker_links_summary(const broker_links_t *self, struct broker_summary *ret_summary) {
    *ret_summary = (struct broker_summary){.brokers_known = (uint32_t) broker_directory_known(self->directory),
                                           .brokers_alive = (uint32_t) broker_directory_alive(self->directory),
                                           .mode = self->mode,
                                           .totals = self->totals,
                                           .totals_known = self->totals_known};
    list_for_each (at, broker_directory_entries(self->directory)) {
        const struct broker_entry *entry = list_entry(at, struct broker_entry, link);
        ret_summary->engine_degraded |= entry->live && is_degraded(entry->uplink);
    }
}

/* ---- life ---- */

static void finish_closing(void *context) {
    broker_links_t *self = context;
    if (--self->n_open > 0) {
        return;
    }
    void (*on_closed)(void *context) = self->on_closed;
    void *closed_context = self->closed_context;
    metric_values_destroy(&self->metrics);
    metric_values_destroy(&self->uplink_metrics);
    curve_keys_wipe(&self->keys);
    memory_free(self->gateway_id);
    memory_free(self);
    on_closed(closed_context);
}

static void on_idle_closed(uv_handle_t *handle) {
    finish_closing(handle->data);
}

static void on_added(void *context, struct broker_entry *entry) {
    broker_links_t *self = context;
    struct broker_link *link = memory_alloc_zero(sizeof *link);
    link->links = self;
    link->entry = entry;
    entry->uplink = link;
    struct uplink_settings settings = {
        .loop = self->settings.loop,
        .zmq_context = self->settings.zmq_context,
        .wheel = self->settings.wheel,
        .metrics = self->uplink_metrics,
        .endpoint = entry->address,
        .keys = self->has_curve ? &self->keys : NULL,
        .broker_public_keys = {self->broker_keys[0], self->broker_keys[1]},
        .gateway_id = self->gateway_id,
        .worker = self->settings.worker,
        .boot_nonce = self->settings.boot_nonce,
        .config_hash = &self->settings.config_hash,
        .heartbeat_ms = self->heartbeat_ms,
        .heartbeat_timeout_ms = self->heartbeat_timeout_ms,
        .callbacks = &self->uplink_callbacks,
        .context = self,
    };
    link->uplink = uplink_new(&settings);
    uplink_set_owner_data(link->uplink, link);
    log_debug("broker_address_added", log_text("address", entry->address));
}

static void close_link(broker_links_t *self, struct broker_entry *entry) {
    struct broker_link *link = entry->uplink;
    entry->uplink = NULL;
    self->n_open++;
    uplink_close(&link->uplink, finish_closing, self);
    memory_free(link->parked_for);
    memory_free(link);
}

static void on_removed(void *context, struct broker_entry *entry) {
    log_info("broker_address_removed", log_text("address", entry->address));
    close_link(context, entry);
}

/* "" = none; else 40 characters of Z85, or the name of a .pub file, which may have two keys. */
static bool read_keys(broker_links_t *self, const struct gateway_config *config, char *ret_error, size_t error_size) {
    if (config->curve_key_file[0] == '\0' && config->curve_broker_key[0] == '\0') {
        return true;
    }
    if (config->curve_key_file[0] == '\0' || config->curve_broker_key[0] == '\0') {
        snprintf(ret_error, error_size, "brokers.curve_key_file and brokers.curve_broker_key belong together");
        return false;
    }
    if (!curve_keys_read(config->curve_key_file, true, &self->keys, ret_error, error_size)) {
        return false;
    }
    self->has_curve = true;
    if (strlen(config->curve_broker_key) == CURVE_KEY_TEXT_LENGTH && strchr(config->curve_broker_key, '/') == NULL) {
        memcpy(self->broker_keys[0], config->curve_broker_key, sizeof self->broker_keys[0]);
        return true;
    }
    return curve_keys_read_public(config->curve_broker_key, self->broker_keys, ret_error, error_size);
}

/* Off this machine nothing goes in the clear. */
static bool may_go_in_the_clear(const struct config_text_list *endpoints, char *ret_error, size_t error_size) {
    for (size_t i = 0; i < endpoints->n; i++) {
        if (!curve_endpoint_is_local(endpoints->texts[i])) {
            snprintf(ret_error, error_size,
                     "brokers.endpoints: %s is not on this machine: set brokers.curve_key_file and "
                     "brokers.curve_broker_key",
                     endpoints->texts[i]);
            return false;
        }
    }
    return true;
}

static void ignore_closed(void *context) {
    (void) context;
}

static uint32_t positive_ms(int64_t value, uint32_t default_ms) {
    return value > 0 && value <= UINT32_MAX ? (uint32_t) value : default_ms;
}

broker_links_t *broker_links_new(const struct broker_requests_settings *settings, char *ret_error, size_t error_size) {
    static const struct broker_directory_callbacks directory_callbacks = {on_added, on_removed};
    const struct gateway_config *config = settings->config;
    broker_links_t *self = memory_alloc_zero(sizeof *self);
    self->settings = *settings;
    self->settings.config = NULL;
    self->gateway_id = memory_strdup(config->id);
    self->uplink_callbacks = (struct uplink_callbacks){on_welcome,      on_live,         links_on_frame, links_on_sent,
                                                       links_on_credit, links_fill_beat, on_lost,        on_wake};
    self->heartbeat_ms = positive_ms(config->heartbeat_ms, 500);
    self->heartbeat_timeout_ms = positive_ms(config->heartbeat_timeout_ms, 1500);
    self->move_grace_ms = positive_ms(config->move_grace_ms, 10000);
    self->departures_bytes = (size_t) config->departures_bytes_max;
    self->metrics = metric_values_new(settings->metrics, metric_table, sizeof metric_table / sizeof metric_table[0]);
    self->uplink_metrics = metric_values_new(settings->metrics, uplink_metric_table, uplink_metric_count);
    self->n_open = 2; /* idle handle, directory; and each uplink while it closes, also one whose address is gone */
    list_init(&self->deferred);
    uv_idle_init(settings->loop, &self->idle);
    self->idle.data = self;
    if (!read_keys(self, config, ret_error, error_size) ||
        (!self->has_curve && !may_go_in_the_clear(&config->brokers, ret_error, error_size))) {
        broker_links_close(&self, ignore_closed, NULL);
        return NULL;
    }
    self->directory = broker_directory_new(settings->loop, settings->wheel, &config->brokers,
                                           positive_ms(config->resolve_interval_ms, 2000), &directory_callbacks, self,
                                           ret_error, error_size);
    if (self->directory == NULL) {
        broker_links_close(&self, ignore_closed, NULL);
        return NULL;
    }
    update_figures(self);
    return self;
}

void broker_links_close(broker_links_t **self_p, void (*on_closed)(void *context), void *context) {
    broker_links_t *self = *self_p;
    *self_p = NULL;
    self->on_closed = on_closed;
    self->closed_context = context;
    if (self->directory != NULL) {
        list_for_each (at, broker_directory_entries(self->directory)) {
            close_link(self, list_entry(at, struct broker_entry, link));
        }
    }
    broker_directory_close(&self->directory, finish_closing, self);
    uv_close((uv_handle_t *) &self->idle, on_idle_closed);
}

void broker_links_listen(broker_links_t *self, enum broker_listener_place place,
                         const struct broker_listener *listener) {
    self->listeners[place] = listener != NULL ? *listener : (struct broker_listener){0};
}

uint32_t broker_links_partitions(const broker_links_t *self) {
    return broker_directory_partitions(self->directory);
}

uint64_t broker_links_move_grace_ms(const broker_links_t *self) {
    return self->move_grace_ms;
}

size_t broker_links_departures_bytes(const broker_links_t *self) {
    return self->departures_bytes;
}
