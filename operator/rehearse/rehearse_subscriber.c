/* One subscriber of all channels, as a client is: it comes back with its positions, at the next gateway.
 *
 *   connect ─▶ subscribe to each (from its position) ─▶ take what comes ── cut ─▶ pause (full jitter) ─▶ connect
 *                                  ▲                        │ unsubscribed by the server (2500: continuity is lost)
 *                                  └────────────────────────┘
 *
 * Failure modes: refused before it ever had all channels is for good, and its error says how to mend it; later it is
 * tried again, since a gateway that is ending refuses, too. */
#include "operator/rehearse/rehearse_workload_parts.h"

#include "base/backoff.h"
#include "client/gateway_client.h"

#include <stdio.h>

enum { CALL_MS = 5000, RECEIVE_MS = 100, PAUSE_FIRST_MS = 100, PAUSE_MAX_MS = 2000, URL_SIZE = 1024 };

struct seat { /* in a channel */
    struct position position;
    bool was_subscribed;
    bool is_subscribed;
};

struct run {
    struct rehearse_subscriber *self;
    struct rehearse_workload *workload;
    struct gateway_client client;
    struct seat seats[REHEARSE_CHANNELS_MAX];
    size_t at; /* which gateway */
    char url[URL_SIZE];
    struct buffer token;
    struct backoff backoff;
};

static void note(struct run *run, enum rehearse_event_kind kind, size_t channel, uint32_t number, bool flag) {
    rehearse_log_add(&run->self->log, (struct rehearse_event){.kind = (uint8_t) kind,
                                                              .channel = (uint8_t) channel,
                                                              .subscriber = run->self->number,
                                                              .number = number,
                                                              .flag = flag});
}

/* ---- what comes ---- */

static bool find_channel(const struct run *run, struct span name, size_t *ret_channel) {
    for (size_t i = 0; i < run->workload->options.channels; i++) {
        if (span_equal_text(name, run->workload->names[i])) {
            *ret_channel = i;
            return true;
        }
    }
    return false;
}

static void on_publication(void *context, const struct gateway_publication *publication) {
    struct run *run = context;
    size_t channel;
    if (!find_channel(run, publication->channel, &channel)) {
        return;
    }
    uint32_t number = rehearse_workload_number_of(run->workload, publication->data);
    if (publication->offset > 0) {
        run->seats[channel].position.offset = publication->offset;
    }
    if (number > 0) {
        note(run, REHEARSE_DELIVERED, channel, number, false);
        if (number > atomic_load(&run->self->delivered[channel])) {
            atomic_store(&run->self->delivered[channel], number);
        }
    }
}

static void on_unsubscribed(void *context, struct span name, uint64_t code) {
    struct run *run = context;
    size_t channel;
    (void) code;
    if (find_channel(run, name, &channel)) {
        run->seats[channel].is_subscribed = false;
    }
}

/* ---- coming in ---- */

static void set_error(struct run *run, enum gateway_outcome outcome, const char *what, const char *mend) {
    char text[REHEARSE_ERROR_SIZE];
    bool is_for_good = outcome == GATEWAY_USAGE || (outcome == GATEWAY_REFUSED && !atomic_load(&run->self->is_ready));
    snprintf(text, sizeof text, "%.100s: %s: %.160s%s%s", run->url, what, run->client.error, is_for_good ? "; " : "",
             is_for_good ? mend : "");
    rehearse_workload_set_error(run->workload, is_for_good, text);
}

static bool connect_next(struct run *run) {
    struct websocket_client_target target = {.url = run->url, .ca_file = run->workload->options.gateway_ca_file};
    rehearse_pick_address(run->workload->options.gateways, run->at++, run->url, sizeof run->url);
    buffer_clear(&run->token);
    rehearse_tokens_append(&run->workload->tokens, NULL, &run->token);
    enum gateway_outcome outcome = gateway_client_connect(&run->client, &target, buffer_span(&run->token));
    if (outcome != GATEWAY_DONE) {
        set_error(run, outcome, "connect", "does it want a token (--token-secret-file, --token-file)?");
    }
    return outcome == GATEWAY_DONE;
}

static bool subscribe(struct run *run, size_t channel) {
    struct seat *seat = &run->seats[channel];
    struct position since = seat->position;
    struct gateway_subscribed subscribed;
    const char *name = run->workload->names[channel];
    buffer_clear(&run->token);
    rehearse_tokens_append(&run->workload->tokens, name, &run->token);
    seat->position.offset = 0; /* a publication that was missed says where it stands */
    enum gateway_outcome outcome = gateway_client_subscribe(&run->client, name, buffer_span(&run->token),
                                                            seat->was_subscribed ? &since : NULL, &subscribed);
    if (outcome != GATEWAY_DONE) {
        seat->position = since;
        set_error(run, outcome, "subscribe",
                  "may clients subscribe in --channel's namespace (or sign tokens: --token-secret-file)?");
        return false;
    }
    if (!subscribed.recoverable) {
        snprintf(run->client.error, sizeof run->client.error, "%s cannot be recovered", name);
        set_error(run, GATEWAY_REFUSED, "subscribe",
                  "its namespace needs history_size, history_ttl and force_recovery (or --token-secret-file)");
        return false;
    }
    if (seat->was_subscribed) {
        note(run, REHEARSE_SUBSCRIBED, channel, 0, subscribed.recovered);
    }
    uint64_t last = seat->position.offset;
    seat->position = subscribed.position;
    seat->position.offset = last > 0 ? last : subscribed.position.offset;
    seat->was_subscribed = true;
    seat->is_subscribed = true;
    return true;
}

static bool subscribe_all(struct run *run) {
    for (size_t i = 0; i < run->workload->options.channels; i++) {
        if (!run->seats[i].is_subscribed && !subscribe(run, i)) {
            return false;
        }
    }
    return true;
}

/* ---- the loop ---- */

/* Until the connection is of no use any more. */
static void stay(struct run *run) {
    if (atomic_load(&run->self->is_ready)) {
        note(run, REHEARSE_CONNECTED, 0, 0, false);
    }
    while (!atomic_load(&run->workload->is_over) && subscribe_all(run)) {
        atomic_store(&run->self->is_ready, true);
        backoff_reset(&run->backoff);
        if (gateway_client_receive(&run->client, RECEIVE_MS) != GATEWAY_DONE && gateway_client_is_cut(&run->client)) {
            break;
        }
    }
    if (atomic_load(&run->self->is_ready) && !atomic_load(&run->workload->is_over)) {
        note(run, REHEARSE_DISCONNECTED, 0, 0, false);
    }
    for (size_t i = 0; i < run->workload->options.channels; i++) {
        run->seats[i].is_subscribed = false;
    }
}

void *rehearse_subscriber_run(void *subscriber) {
    struct rehearse_subscriber *self = subscriber;
    struct run run = {.self = self, .workload = self->workload, .at = self->number, .token = BUFFER_EMPTY};
    const struct gateway_client_listener listener = {on_publication, on_unsubscribed, &run};
    gateway_client_init(&run.client, CALL_MS, &listener);
    backoff_init(&run.backoff, PAUSE_FIRST_MS, PAUSE_MAX_MS, PAUSE_FIRST_MS / 2);
    while (!atomic_load(&self->workload->is_over)) {
        if (connect_next(&run)) {
            stay(&run);
        }
        gateway_client_cut(&run.client);
        if (!rehearse_workload_pause(self->workload, backoff_next_ms(&run.backoff))) {
            break;
        }
    }
    gateway_client_finish(&run.client);
    buffer_finish(&run.token);
    return NULL;
}
