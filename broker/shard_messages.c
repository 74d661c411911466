/* What a shard is sent, by whichever thread, and where each message goes. Batches and requests may be refused at the
 * bound of the inbox; the others are few and always taken. */
#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "broker/shard_parts.h"

struct shard_batch {
    struct actor_message message;
    uint32_t peer;
    bool overload;
    zmq_msg_t batch;
};

struct peer_message {
    struct actor_message message;
    struct shard_peer peer; /* gateway_id lies behind */
    char gateway_id[];
};

struct drain_message {
    struct actor_message message;
};

struct reload_message {
    struct actor_message message;
    const namespace_set_t *namespaces;
    uint32_t number;
};

/* ---- handling: the shard's thread ---- */

static void on_batch(struct shard *self, struct shard_batch *message) {
    shard_take_batch(self, message->peer, &message->batch, message->overload);
}

static void on_request(struct shard *self, struct shard_request *request) {
    struct operation_origin origin = {
        .reply_to = request->reply_to, .reply_kind = request->reply_kind, .ticket = request->ticket};
    shard_operate(self, request, &origin, false);
}

static void on_drain(struct shard *self) {
    self->draining = true;
    lease_queues_close(self->lease_queues);
    shard_publish_figures(self);
    atomic_store(&self->seen_draining, true);
}

static void on_reload(struct shard *self, const struct reload_message *message) {
    self->options.namespaces = message->namespaces;
    self->reload = message->number;
    channel_set_reload(self->channels, message->namespaces);
}

void shard_drop_message(void *context, struct actor_message *message) {
    (void) context;
    if (message->kind == SHARD_MESSAGE_BATCH) {
        zmq_msg_close(&((struct shard_batch *) (void *) message)->batch);
    }
    memory_free(message);
}

void shard_take_message(void *context, struct actor_message *message) {
    struct shard *self = context;
    switch ((enum shard_message_kind) message->kind) {
    case SHARD_MESSAGE_BATCH:
        on_batch(self, (struct shard_batch *) (void *) message);
        break;
    case SHARD_MESSAGE_PEER_JOINED:
        shard_add_peer(self, &((struct peer_message *) (void *) message)->peer);
        break;
    case SHARD_MESSAGE_PEER_LEFT:
        shard_remove_peer(self, ((struct peer_message *) (void *) message)->peer.number);
        break;
    case SHARD_MESSAGE_REQUEST:
        on_request(self, (struct shard_request *) (void *) message);
        break;
    case SHARD_MESSAGE_DRAIN:
        on_drain(self);
        break;
    case SHARD_MESSAGE_CALLED:
        shard_on_called(self, (struct shard_called *) (void *) message);
        break;
    case SHARD_MESSAGE_RELOAD:
        on_reload(self, (struct reload_message *) (void *) message);
        break;
    }
    shard_drop_message(context, message);
}

/* ---- posting: any thread ---- */

static void post(shard_t *self, struct actor_message *message) {
    if (actor_post_control(self->actor, &message) != ACTOR_POSTED) {
        shard_drop_message(self, message);
    }
}

static struct peer_message *peer_message_new(enum shard_message_kind kind, const struct shard_peer *peer) {
    struct peer_message *message = memory_alloc_zero(sizeof *message + peer->gateway_id.size);
    message->message.kind = kind;
    message->message.bytes = sizeof *message + peer->gateway_id.size;
    message->peer = *peer;
    if (peer->gateway_id.size > 0) {
        memcpy(message->gateway_id, peer->gateway_id.data, peer->gateway_id.size);
    }
    message->peer.gateway_id = span_of(message->gateway_id, peer->gateway_id.size);
    return message;
}

void shard_post_peer_joined(shard_t *self, const struct shard_peer *peer) {
    post(self, &peer_message_new(SHARD_MESSAGE_PEER_JOINED, peer)->message);
}

void shard_post_peer_left(shard_t *self, uint32_t number) {
    post(self, &peer_message_new(SHARD_MESSAGE_PEER_LEFT, &(struct shard_peer){.number = number})->message);
}

void shard_post_batch(shard_t *self, uint32_t peer, zmq_msg_t *batch) {
    struct shard_batch *message = memory_alloc_zero(sizeof *message);
    message->message.kind = SHARD_MESSAGE_BATCH;
    message->message.bytes = sizeof *message + zmq_msg_size(batch);
    message->peer = peer;
    zmq_msg_init(&message->batch);
    zmq_msg_move(&message->batch, batch);
    struct actor_message *base = &message->message;
    if (actor_post(self->actor, &base) == ACTOR_POSTED) {
        return;
    }
    message->overload = true;
    post(self, &message->message);
}

void shard_post_drain(shard_t *self) {
    struct drain_message *message = memory_alloc_zero(sizeof *message);
    message->message.kind = SHARD_MESSAGE_DRAIN;
    message->message.bytes = sizeof *message;
    post(self, &message->message);
}

void shard_post_reload(shard_t *self, const namespace_set_t *namespaces, uint32_t number) {
    struct reload_message *message = memory_alloc_zero(sizeof *message);
    message->message.kind = SHARD_MESSAGE_RELOAD;
    message->message.bytes = sizeof *message;
    message->namespaces = namespaces;
    message->number = number;
    post(self, &message->message);
}
