/* Connections of users over all gateways (client.connections_per_user): the shard that a user's hash leads to counts
 * them, in memory only.
 *
 *   worker ──USER_TAKE(user, mine, most)──▶ sum of all workers ──RESULT(1 or 0)──▶ the client is let in, or 3504
 *          ──USER_COUNTS(ANEW; user, count…)──▶ after every change of links, and where a connection ends
 *
 * Failure modes: a worker's link ends (its gateway died: broker.peer_timeout) → its connections count no more; this
 * broker was restarted, or the partition is ours only now → nothing is counted until the workers have told of theirs,
 * which they do as soon as they are linked; who is let in meanwhile stays; gateways that rank brokers differently for a
 * moment ask two brokers, and each judges by what it was told. Above USER_REGISTRY_USERS_MAX users of a worker more are
 * not counted. */
#include "broker/shard_parts.h"

static void show(struct shard *self) {
    metric_set(self->metrics, SHARD_USERS, user_registry_users(self->users));
    metric_set(self->metrics, SHARD_USERS_CONNECTIONS, (int64_t) user_registry_all_connections(self->users));
}

bool shard_on_user_take(struct shard *self, gateway_peer_t *peer, struct span body) {
    struct wire_user_take frame;
    if (!wire_decode_user_take(body, &frame)) {
        return false;
    }
    struct wire_result result = {.request = frame.request, .of = WIRE_USER_TAKE};
    bool may = user_registry_take(self->users, &gateway_peer_notes(peer)->users, frame.user, frame.mine, frame.most,
                                  &result.m);
    result.n = may;
    metric_count(self->metrics, may ? SHARD_USERS_GRANTED : SHARD_USERS_REFUSED);
    show(self);
    gateway_peer_added(peer, wire_encode_result(gateway_peer_batch(peer), &result));
    return true;
}

bool shard_on_user_counts(struct shard *self, gateway_peer_t *peer, struct span body) {
    struct wire_user_counts frame;
    if (!wire_decode_user_counts(body, &frame) || frame.counts.size % WIRE_USER_COUNT_SIZE != 0) {
        return false;
    }
    struct gateway_peer_notes *notes = gateway_peer_notes(peer);
    if ((frame.flags & WIRE_USER_COUNTS_ANEW) != 0) {
        user_registry_forget(self->users, &notes->users);
    }
    for (struct cursor cursor = cursor_of(frame.counts); cursor.left > 0;) {
        uint64_t user = cursor_u64(&cursor);
        if (!user_registry_set(self->users, &notes->users, user, cursor_u32(&cursor))) {
            metric_count(self->metrics, SHARD_USERS_UNCOUNTED);
        }
    }
    show(self);
    return true;
}

void shard_forget_users(struct shard *self, gateway_peer_t *peer) {
    user_registry_forget(self->users, &gateway_peer_notes(peer)->users);
    show(self);
}
