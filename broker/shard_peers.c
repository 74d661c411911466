/* A shard's ends of the lanes: who is linked, batches in, one batch out to each at the end of the turn.
 *
 * Failure modes: a hole in a lane's numbers, a malformed frame, replies that outgrow their bound → the link is reset,
 * once, the gateway comes back with HELLO and its positions; a batch for a peer that left meanwhile → dropped. */
#include "base/log.h"
#include "base/memory.h"
#include "base/partition.h"
#include "broker/shard_parts.h"

/* ---- peers ---- */

static struct shard_peer_entry *find_entry(const struct shard *self, uint32_t number) {
    struct shard_peer_entry *entry = NULL;
    HASH_FIND(by_number, self->peers, &number, sizeof number, entry);
    return entry;
}

gateway_peer_t *shard_find_peer(const struct shard *self, uint32_t number) {
    struct shard_peer_entry *entry = find_entry(self, number);
    return entry == NULL ? NULL : entry->peer;
}

/* False: no gateway's id is that long. */
static bool make_name(struct span gateway_id, uint32_t worker, struct shard_peer_name *ret_name) {
    memset(ret_name, 0, sizeof *ret_name);
    if (gateway_id.size == 0 || gateway_id.size > sizeof ret_name->gateway_id) {
        return false;
    }
    ret_name->worker = worker;
    ret_name->size = (uint32_t) gateway_id.size;
    memcpy(ret_name->gateway_id, gateway_id.data, gateway_id.size);
    return true;
}

static struct shard_peer_entry *find_named(const struct shard *self, const struct shard_peer_name *name) {
    struct shard_peer_entry *entry = NULL;
    HASH_FIND(by_name, self->peers_by_name, name, sizeof *name, entry);
    return entry;
}

gateway_peer_t *shard_find_worker(const struct shard *self, struct span gateway_id, uint32_t worker) {
    struct shard_peer_name name;
    const struct shard_peer_entry *entry = make_name(gateway_id, worker, &name) ? find_named(self, &name) : NULL;
    return entry == NULL ? NULL : entry->peer;
}

/* The newest link of a worker has its name. */
static void name_entry(struct shard *self, struct shard_peer_entry *entry, const struct shard_peer *model) {
    if (!make_name(model->gateway_id, model->worker, &entry->name)) {
        return;
    }
    struct shard_peer_entry *old = find_named(self, &entry->name);
    if (old != NULL) {
        HASH_DELETE(by_name, self->peers_by_name, old);
    }
    HASH_ADD(by_name, self->peers_by_name, name, sizeof entry->name, entry);
}

static void unname_entry(struct shard *self, struct shard_peer_entry *entry) {
    if (find_named(self, &entry->name) == entry) {
        HASH_DELETE(by_name, self->peers_by_name, entry);
    }
}

static enum shard_metric metric_of_reset(enum wire_reset_reason reason) {
    switch (reason) {
    case WIRE_RESET_HOLE:
        return SHARD_RESETS_HOLE;
    case WIRE_RESET_OVERFLOW:
        return SHARD_RESETS_OVERFLOW;
    case WIRE_RESET_BAD_FRAME:
    case WIRE_RESET_UNKNOWN_LINK:
    case WIRE_RESET_VERSION:
    case WIRE_RESET_MODE:
    case WIRE_RESET_REPLACED:
    case WIRE_RESET_NOT_ALLOWED:
        break;
    }
    return SHARD_RESETS_BAD_FRAME;
}

void shard_fail_peer(struct shard *self, gateway_peer_t *peer, enum wire_reset_reason reason) {
    struct gateway_peer_notes *notes = gateway_peer_notes(peer);
    if (notes->is_failed) {
        return;
    }
    notes->is_failed = true;
    metric_count(self->metrics, metric_of_reset(reason));
    log_warning("gateway_link_reset", log_span("gateway", gateway_peer_gateway_id(peer)),
                log_u64("worker", gateway_peer_worker(peer)), log_u64("shard", self->options.index),
                log_u64("reason", reason));
    self->options.uplink.reset(self->options.uplink.context, gateway_peer_number(peer), reason);
}

static void send_batch(void *context, const gateway_peer_t *peer, struct buffer *batch) {
    struct shard *self = context;
    metric_count(self->metrics, SHARD_BATCHES_OUT);
    self->options.uplink.send_batch(self->options.uplink.context, gateway_peer_number(peer),
                                    gateway_peer_link_epoch(peer), batch);
}

void shard_add_peer(struct shard *self, const struct shard_peer *model) {
    struct shard_peer_entry *entry = memory_alloc_zero(sizeof *entry);
    entry->number = model->number;
    entry->peer = gateway_peer_new(&(struct gateway_peer_options){.number = model->number,
                                                                  .link_epoch = model->link_epoch,
                                                                  .version = model->version,
                                                                  .shard = (uint16_t) self->options.index,
                                                                  .gateway_id = model->gateway_id,
                                                                  .worker = model->worker,
                                                                  .boot_nonce = model->boot_nonce,
                                                                  .batch_close = self->options.batch_close,
                                                                  .send = send_batch,
                                                                  .context = self,
                                                                  .dirty = &self->dirty});
    HASH_ADD(by_number, self->peers, number, sizeof entry->number, entry);
    name_entry(self, entry, model);
    metric_change(self->metrics, SHARD_PEERS, 1);
}

void shard_drop_peer(struct shard *self, struct shard_peer_entry *entry) {
    struct subscription *subscription = NULL;
    while ((subscription = gateway_peer_first(entry->peer)) != NULL) {
        channel_unlink(subscription);
        gateway_peer_unsubscribe(&subscription);
    }
    shard_forget_users(self, entry->peer);
    gateway_peer_destroy(&entry->peer);
    HASH_DELETE(by_number, self->peers, entry);
    unname_entry(self, entry);
    memory_free(entry);
    metric_change(self->metrics, SHARD_PEERS, -1);
}

void shard_remove_peer(struct shard *self, uint32_t number) {
    struct shard_peer_entry *entry = find_entry(self, number);
    if (entry != NULL) {
        shard_commands_forget_peer(self, number);
        shard_drop_peer(self, entry);
    }
}

void shard_flush_peers(struct shard *self) {
    struct list_link dirty;
    list_init(&dirty);
    list_splice_back(&dirty, &self->dirty);
    struct list_link *link = NULL;
    while ((link = list_pop_front(&dirty)) != NULL) {
        gateway_peer_t *peer = gateway_peer_from_dirty(link);
        gateway_peer_flush(peer);
        if (gateway_peer_is_broken(peer)) {
            shard_fail_peer(self, peer, WIRE_RESET_OVERFLOW);
        }
    }
}

/* ---- batches ---- */

bool shard_owns(const struct shard *self, struct span channel) {
    uint32_t n_partitions = (uint32_t) self->options.config->partitions;
    uint32_t partition = partition_of(channel, n_partitions);
    return partition_shard(partition, n_partitions, self->options.n_shards) == self->options.index;
}

/* False: the link is reset. */
static bool handle_frames(struct shard *self, gateway_peer_t *peer, struct cursor *frames, bool overload,
                          uint32_t *ret_n_frames) {
    struct wire_frame frame;
    enum wire_outcome outcome;
    while ((outcome = wire_frame_next(frames, &frame)) == WIRE_OK) {
        if (!shard_handle_frame(self, peer, &frame, overload)) {
            log_warning("bad_frame", log_text("kind", wire_kind_name(frame.kind)), log_u64("number", frame.kind),
                        log_u64("bytes", frame.body.size));
            return false;
        }
        (*ret_n_frames)++;
    }
    return outcome == WIRE_END;
}

void shard_take_batch(struct shard *self, uint32_t number, zmq_msg_t *batch, bool overload) {
    gateway_peer_t *peer = shard_find_peer(self, number);
    if (peer == NULL || gateway_peer_notes(peer)->is_failed) {
        return;
    }
    metric_count(self->metrics, SHARD_BATCHES_IN);
    struct span bytes = span_of(zmq_msg_data(batch), zmq_msg_size(batch));
    struct wire_batch_header header;
    struct cursor frames;
    if (wire_batch_open(bytes, &header, &frames) != WIRE_OK) {
        shard_fail_peer(self, peer, WIRE_RESET_BAD_FRAME);
        return;
    }
    uint32_t n_frames = 0;
    switch (gateway_peer_receive(peer, &header)) {
    case WIRE_LANE_ACK_ONLY:
    case WIRE_LANE_OLD_LINK:
        return;
    case WIRE_LANE_HOLE:
        shard_fail_peer(self, peer, WIRE_RESET_HOLE);
        return;
    case WIRE_LANE_NEXT:
        break;
    }
    if (!handle_frames(self, peer, &frames, overload, &n_frames)) {
        shard_fail_peer(self, peer, WIRE_RESET_BAD_FRAME);
        return;
    }
    gateway_peer_consumed(peer, n_frames, bytes.size);
}
