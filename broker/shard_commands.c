/* Commands of services for sessions (disconnect, unsubscribe, subscribe, refresh, channels): a gateway worker asks, the
 * shard passes the frame to every gateway worker that is linked, each carries it out for its own sessions and confirms.
 *
 *   COMMAND up ──▶ round ──COMMAND down──▶ every worker ──COMMANDED──▶ all have confirmed ──▶ RESULT
 *                    └── somebody has not: a worker that is not linked here, that left, that was slow ──▶ ERROR
 *
 * The answer is a promise: RESULT says that every worker of every gateway has carried it out. Who all are is known
 * from two sides: each worker tells how many its gateway has, and a gateway whose lease lives, but which is not linked
 * to this broker, counts as one that has not confirmed.
 *
 * Failure modes: not everybody confirmed within the deadline: OUTCOME_UNKNOWN, some have done it; to ask again is
 * harmless. For CHANNELS, which changes nothing, 100. A worker refuses: the first refusal is the answer. More rounds
 * than broker.commands_max: TOO_MANY_REQUESTS at once. Names that do not fit a frame: LIMIT_EXCEEDED. */
#include "base/clock.h"
#include "base/memory.h"
#include "broker/shard_parts.h"

enum {
    DEADLINE_DEFAULT_MS = 1500,
    ANSWER_OVERHEAD = 1024, /* of RESULT's frame, beside the bytes */
    FRAME_OVERHEAD = 256,
};

struct command_witness {
    uint32_t peer;
    uint64_t process;   /* the boot nonce of its gateway */
    uint32_t n_workers; /* of its gateway; 0: has not confirmed */
};

struct command_round {
    struct list_link link;
    uint32_t number;
    uint32_t peer; /* who asked */
    uint32_t request;
    bool only_reads;
    bool is_partial; /* somebody will not confirm */
    enum error_code error;
    uint64_t deadline_ms;
    uint32_t n; /* sessions, or channels */
    struct buffer bytes;
    uint32_t n_open;
    uint32_t n_witnesses;
    struct command_witness *witnesses;
};

/* ---- the answer ---- */

static void send_refusal(gateway_peer_t *peer, uint32_t request, enum error_code code) {
    const struct error_description *description = error_describe(code);
    uint8_t flags = (uint8_t) ((description->temporary ? WIRE_ERROR_TEMPORARY : 0) |
                               (description->definite ? 0 : WIRE_ERROR_UNKNOWN_OUTCOME));
    struct wire_error frame = {
        .request = request, .code = (uint16_t) code, .flags = flags, .message = span_of_text(description->message)};
    gateway_peer_added(peer, wire_encode_error(gateway_peer_batch(peer), &frame));
}

/* Has every worker of every gateway that was linked confirmed? */
static bool is_complete(const struct command_round *round) {
    for (uint32_t i = 0; i < round->n_witnesses; i++) {
        uint32_t n = 0;
        for (uint32_t j = 0; j < round->n_witnesses; j++) {
            n += round->witnesses[j].process == round->witnesses[i].process && round->witnesses[j].n_workers > 0;
        }
        if (n < round->witnesses[i].n_workers) {
            return false;
        }
    }
    return !round->is_partial && round->n_open == 0;
}

static enum error_code outcome_of(const struct command_round *round) {
    if (round->error != ERROR_NONE) {
        return round->error;
    }
    if (round->bytes.overflow) {
        return ERROR_LIMIT_EXCEEDED;
    }
    return is_complete(round) ? ERROR_NONE : round->only_reads ? ERROR_INTERNAL : ERROR_OUTCOME_UNKNOWN;
}

static enum shard_metric metric_of(enum error_code outcome) {
    return outcome == ERROR_NONE                                           ? SHARD_COMMANDS_OK
           : outcome == ERROR_OUTCOME_UNKNOWN || outcome == ERROR_INTERNAL ? SHARD_COMMANDS_PARTIAL
                                                                           : SHARD_COMMANDS_REFUSED;
}

static void answer(struct shard *self, const struct command_round *round) {
    enum error_code outcome = outcome_of(round);
    metric_count(self->metrics, metric_of(outcome));
    gateway_peer_t *peer = shard_find_peer(self, round->peer);
    if (peer == NULL) {
        return;
    }
    if (outcome == ERROR_NONE && !gateway_peer_has_room(peer, round->bytes.size)) {
        outcome = ERROR_TOO_MANY_REQUESTS;
    }
    if (outcome != ERROR_NONE) {
        send_refusal(peer, round->request, outcome);
        return;
    }
    struct wire_result frame = {.request = round->request,
                                .of = WIRE_COMMAND,
                                .n = round->n,
                                .m = round->n_witnesses,
                                .bytes = buffer_span(&round->bytes)};
    gateway_peer_added(peer, wire_encode_result(gateway_peer_batch(peer), &frame));
}

static void free_round(struct shard *self, struct command_round *round) {
    list_remove(&round->link);
    self->n_commands--;
    metric_change(self->metrics, SHARD_COMMANDS, -1);
    buffer_finish(&round->bytes);
    memory_free(round->witnesses);
    memory_free(round);
}

static void finish_round(struct shard *self, struct command_round *round) {
    answer(self, round);
    free_round(self, round);
}

/* ---- passing it on ---- */

/* A peer without room is left out: a queue of its own would only grow. */
static bool pass_to(gateway_peer_t *peer, const struct wire_command *frame, size_t bytes) {
    if (!gateway_peer_has_room(peer, bytes)) {
        return false;
    }
    bool encoded = wire_encode_command(gateway_peer_batch(peer), frame);
    gateway_peer_added(peer, encoded);
    return encoded;
}

static bool is_linked(const struct shard *self, struct span gateway_id) {
    for (const struct shard_peer_entry *entry = self->peers; entry != NULL; entry = entry->by_number.next) {
        if (span_equal(gateway_peer_gateway_id(entry->peer), gateway_id)) {
            return true;
        }
    }
    return false;
}

/* Its lease lives, and none of its workers is linked here. */
static bool some_gateway_is_elsewhere(const struct shard *self) {
    struct span gateway_id;
    for (size_t i = 0; gateway_leases_each(self->leases, i, &gateway_id); i++) {
        if (!is_linked(self, gateway_id)) {
            return true;
        }
    }
    return false;
}

static void pass_on(struct shard *self, struct command_round *round, const struct wire_command *asked) {
    struct wire_command frame = *asked;
    size_t bytes = FRAME_OVERHEAD + asked->user.size + asked->client.size + asked->channel.size + asked->reason.size +
                   asked->detail.size;
    frame.request = round->number;
    for (struct shard_peer_entry *entry = self->peers; entry != NULL; entry = entry->by_number.next) {
        if (pass_to(entry->peer, &frame, bytes)) {
            round->witnesses[round->n_witnesses++] =
                (struct command_witness){.peer = entry->number, .process = gateway_peer_boot_nonce(entry->peer)};
        } else {
            round->is_partial = true;
        }
    }
    round->n_open = round->n_witnesses;
    round->is_partial |= some_gateway_is_elsewhere(self);
}

static struct command_round *make_round(struct shard *self, const gateway_peer_t *peer,
                                        const struct wire_command *frame) {
    uint32_t patience_ms = frame->deadline_ms == 0 ? DEADLINE_DEFAULT_MS : frame->deadline_ms - frame->deadline_ms / 4;
    struct command_round *round = memory_alloc_zero(sizeof *round);
    do {
        self->last_command++;
    } while (self->last_command == 0);
    round->number = self->last_command;
    round->peer = gateway_peer_number(peer);
    round->request = frame->request;
    round->only_reads = wire_command_only_reads(frame->action);
    round->deadline_ms = clock_monotonic_ms() + patience_ms; /* before the asking worker loses its own */
    round->witnesses = memory_alloc_array(HASH_CNT(by_number, self->peers), sizeof round->witnesses[0]);
    buffer_init(&round->bytes, WIRE_FRAME_MAX - ANSWER_OVERHEAD);
    list_init(&round->link);
    list_push_back(&self->commands, &round->link);
    self->n_commands++;
    metric_change(self->metrics, SHARD_COMMANDS, 1);
    return round;
}

bool shard_on_command(struct shard *self, gateway_peer_t *peer, struct span body) {
    struct wire_command frame;
    if (!wire_decode_command(body, &frame)) {
        return false;
    }
    if (self->n_commands >= (uint64_t) self->options.config->commands_max) {
        metric_count(self->metrics, SHARD_COMMANDS_REFUSED);
        send_refusal(peer, frame.request, ERROR_TOO_MANY_REQUESTS);
        return true;
    }
    struct command_round *round = make_round(self, peer, &frame);
    pass_on(self, round, &frame);
    if (round->n_open == 0) {
        finish_round(self, round);
    }
    return true;
}

/* ---- what comes of it ---- */

static struct command_round *find_round(const struct shard *self, uint32_t number) {
    list_for_each (link, &self->commands) {
        struct command_round *round = list_entry(link, struct command_round, link);
        if (round->number == number) {
            return round;
        }
    }
    return NULL;
}

/* NULL: it was not asked, or has confirmed. */
static struct command_witness *open_witness(struct command_round *round, uint32_t peer) {
    for (uint32_t i = 0; i < round->n_witnesses; i++) {
        if (round->witnesses[i].peer == peer && round->witnesses[i].n_workers == 0) {
            return &round->witnesses[i];
        }
    }
    return NULL;
}

bool shard_on_commanded(struct shard *self, gateway_peer_t *peer, struct span body) {
    struct wire_commanded frame;
    if (!wire_decode_commanded(body, &frame) || frame.n_workers == 0) {
        return false;
    }
    struct command_round *round = find_round(self, frame.request);
    struct command_witness *witness = round == NULL ? NULL : open_witness(round, gateway_peer_number(peer));
    if (witness == NULL) {
        return true; /* too late */
    }
    witness->n_workers = frame.n_workers;
    round->n_open--;
    round->n += frame.n;
    if (frame.error != 0 && round->error == ERROR_NONE) {
        round->error = error_describe(frame.error)->code;
    }
    buffer_append_span(&round->bytes, frame.bytes);
    if (round->n_open == 0) {
        finish_round(self, round);
    }
    return true;
}

void shard_commands_forget_peer(struct shard *self, uint32_t number) {
    list_for_each_safe (link, &self->commands) {
        struct command_round *round = list_entry(link, struct command_round, link);
        if (open_witness(round, number) == NULL) {
            continue;
        }
        round->is_partial = true;
        round->n_open--;
        if (round->n_open == 0) {
            finish_round(self, round);
        }
    }
}

void shard_commands_tick(struct shard *self, uint64_t now_ms) {
    list_for_each_safe (link, &self->commands) {
        struct command_round *round = list_entry(link, struct command_round, link);
        if (round->deadline_ms <= now_ms) {
            finish_round(self, round);
        }
    }
}

void shard_commands_drop(struct shard *self) {
    list_for_each_safe (link, &self->commands) {
        free_round(self, list_entry(link, struct command_round, link));
    }
}
