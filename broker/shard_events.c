/* What the engine tells a shard: publications and members go to their channel, doubts too; leases say which gateways
 * live, and what the cluster's totals are. */
#include "base/clock.h"
#include "base/log.h"
#include "broker/shard_parts.h"

enum { TOTALS_EVERY_MS = 2000, OWN_ID_MAX = 255 };

/* ---- events of the engine ---- */

static void on_publication(void *context, struct span channel, const struct epoch *epoch, uint64_t offset,
                           payload_t *publication) {
    struct shard *self = context;
    channel_t *found = channel_set_find(self->channels, channel);
    if (found != NULL) {
        channel_on_publication(found, epoch, offset, publication);
    }
}

static void on_presence(void *context, struct span channel, bool joined, const struct engine_presence_entry *entry) {
    struct shard *self = context;
    channel_t *found = channel_set_find(self->channels, channel);
    if (found != NULL) {
        channel_on_presence(found, joined, entry, clock_monotonic_ms());
    }
}

static void on_removed(void *context, struct span channel, const struct position *top) {
    struct shard *self = context;
    channel_t *found = channel_set_find(self->channels, channel);
    if (found != NULL) {
        channel_on_removed(found, top);
    }
}

static void on_doubt(void *context, struct span channel) {
    struct shard *self = context;
    channel_t *found = channel_set_find(self->channels, channel);
    if (found != NULL) {
        channel_on_doubt(found);
    }
}

static void note_doubt(struct shard *self, uint32_t partition, enum shard_members_doubt doubt) {
    self->has_members_doubts = true;
    if (self->members_doubts[partition] < doubt) {
        self->members_doubts[partition] = (uint8_t) doubt;
    }
}

static void on_partition_doubt(void *context, uint32_t partition) {
    struct shard *self = context;
    channel_set_on_partition_doubt(self->channels, partition, clock_monotonic_ms());
    note_doubt(self, partition, SHARD_MEMBERS_DOUBTED);
}

static void on_presence_doubt(void *context, uint32_t partition, bool is_lost) {
    struct shard *self = context;
    channel_set_on_presence_doubt(self->channels, partition, clock_monotonic_ms());
    if (is_lost) {
        shard_doubt_members_everywhere(self, partition);
    }
}

void shard_doubt_members_everywhere(void *context, uint32_t partition) {
    note_doubt(context, partition, SHARD_MEMBERS_DOUBTED_EVERYWHERE);
}

void shard_resync(gateway_peer_t *peer, const uint32_t *partitions, uint32_t n) {
    struct buffer bytes = BUFFER_EMPTY;
    for (uint32_t i = 0; i < n; i++) {
        buffer_append_u32(&bytes, partitions[i]);
    }
    struct wire_resync frame = {.n = n, .partitions = buffer_span(&bytes)};
    gateway_peer_added(peer, wire_encode_resync(gateway_peer_batch(peer), &frame));
    buffer_finish(&bytes);
}

/* Whoever set members under another number is asked for them again. */
static void follow_lease(struct shard *self, gateway_peer_t *peer) {
    struct gateway_peer_notes *notes = gateway_peer_notes(peer);
    uint64_t number = gateway_leases_number(self->leases, gateway_peer_gateway_id(peer));
    if (number == 0 || number == notes->lease_number) {
        return;
    }
    if (notes->has_set_presence) {
        shard_resync(peer, NULL, 0);
    }
    notes->lease_number = number;
}

static void send_totals(struct shard *self) {
    struct wire_totals totals = gateway_leases_totals(self->leases);
    for (struct shard_peer_entry *entry = self->peers; entry != NULL; entry = entry->by_number.next) {
        gateway_peer_added(entry->peer, wire_encode_totals(gateway_peer_batch(entry->peer), &totals));
    }
}

static void on_leases(void *context, const struct engine_lease *leases, size_t n_leases) {
    struct shard *self = context;
    uint64_t now_ms = clock_monotonic_ms();
    if (gateway_leases_update(self->leases, leases, n_leases)) {
        channel_set_on_leases_changed(self->channels, now_ms);
        for (struct shard_peer_entry *entry = self->peers; entry != NULL; entry = entry->by_number.next) {
            follow_lease(self, entry->peer);
        }
    }
    if (self->options.index == 0 && now_ms - self->totals_ms >= TOTALS_EVERY_MS) {
        self->totals_ms = now_ms;
        send_totals(self);
    }
}

static void on_state(void *context, bool connected, bool pubsub_connected, const char *reason) {
    struct shard *self = context;
    atomic_store(&self->engine_connected, connected);
    atomic_store(&self->pubsub_connected, pubsub_connected);
    atomic_store(&self->engine_reason, reason);
    log_info("engine_state", log_u64("shard", self->options.index), log_bool("connected", connected),
             log_bool("pubsub_connected", pubsub_connected), log_text("reason", reason == NULL ? "" : reason));
}

const struct engine_events shard_engine_events = {.on_publication = on_publication,
                                                  .on_presence = on_presence,
                                                  .on_removed = on_removed,
                                                  .on_lease_freed = shard_on_lease_freed,
                                                  .on_doubt = on_doubt,
                                                  .on_partition_doubt = on_partition_doubt,
                                                  .on_presence_doubt = on_presence_doubt,
                                                  .on_leases = on_leases,
                                                  .on_state = on_state};

/* ---- the broker's own lease ---- */

/* The broker's own, so that brokers are counted as gateways are. One shard's word is enough. */
void shard_keep_own_lease(struct shard *self, uint64_t now_ms) {
    if (self->options.index != 0 || now_ms - self->own_lease_ms < (uint64_t) self->options.config->heartbeat_ms) {
        return;
    }
    char id[sizeof LEASE_OF_BROKER + OWN_ID_MAX];
    int size = snprintf(id, sizeof id, LEASE_OF_BROKER "%.*s", OWN_ID_MAX, self->options.broker_id);
    struct engine_lease lease = {.gateway_id = span_of(id, (size_t) size), .boot_nonce = self->options.boot_nonce};
    self->own_lease_ms = now_ms;
    self->engine->methods->lease_renew(self->engine, &lease);
}
