/* See callboard_client.h. Nothing but libzmq and the C library: this file is linked into strangers' programs.
 *
 *   request: version, method, id, params [, payload]        what comes: version, kind, id, body [, payload]
 *
 * An answer is matched by its id, so one that comes after its time is recognised and dropped.
 *
 * Failure modes: a broker that is not there or does not read: sending never blocks beyond the caller's time. A flood of
 * events that nobody takes: bounded, the oldest dropped and counted. Frames over the bound: received and dropped.
 * Memory that is short: a request fails as if nothing was answered, an event counts as dropped. */
#include "client/callboard_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <zmq.h>

enum { PARTS_MAX = 8, KEPT_MAX = 10000, KEY_TEXT_LENGTH = 40 };
enum { TRY_MS = 2000, PAUSE_MS = 100, PAUSE_MAX_MS = 5000 };
#define VERSION "CB1"

/* One received message; the delimiter, where there was one, stands before `first`. */
struct frames {
    zmq_msg_t parts[PARTS_MAX];
    size_t n;
    size_t first;
};

struct kept {
    struct kept *next;
    struct frames message;
};

struct callboard_client {
    void *context;
    void *socket;
    uint64_t last_id;
    struct frames current; /* what the last message's bytes point into */
    struct kept *oldest;
    struct kept *newest;
    size_t n_kept;
    uint64_t n_dropped;
};

/* ---- frames ---- */

static struct callboard_bytes part(struct frames *message, size_t at) {
    if (message->first + at >= message->n) {
        return (struct callboard_bytes){NULL, 0};
    }
    zmq_msg_t *frame = &message->parts[message->first + at];
    return (struct callboard_bytes){zmq_msg_data(frame), zmq_msg_size(frame)};
}

static bool is_text(struct callboard_bytes bytes, const char *text) {
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

static void close_frames(struct frames *message) {
    for (size_t i = 0; i < message->n; i++) {
        zmq_msg_close(&message->parts[i]);
    }
    message->n = 0;
    message->first = 0;
}

/* `from` is empty afterwards. */
static void move_frames(struct frames *to, struct frames *from) {
    for (size_t i = 0; i < from->n; i++) {
        zmq_msg_init(&to->parts[i]);
        zmq_msg_move(&to->parts[i], &from->parts[i]);
    }
    to->n = from->n;
    to->first = from->first;
    close_frames(from);
}

/* Makes a message the one that is borrowed. */
static void hand_out(callboard_client_t *self, struct frames *message, struct callboard_message *ret_message) {
    close_frames(&self->current);
    move_frames(&self->current, message);
    ret_message->id = part(&self->current, 2);
    ret_message->body = part(&self->current, 3);
    ret_message->payload = part(&self->current, 4);
}

/* ---- time ---- */

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int left_ms(int64_t deadline_ms) {
    int64_t left = deadline_ms - now_ms();
    return left <= 0 ? 0 : (int) left;
}

/* ---- opening and closing ---- */

static bool apply_curve(void *socket, const struct callboard_client_options *options, char *ret_error,
                        size_t error_size) {
    char public_key[KEY_TEXT_LENGTH + 1];
    const char *secret = options->curve_secret_key;
    const char *broker = options->curve_broker_key == NULL ? "" : options->curve_broker_key;
    if (secret == NULL || secret[0] == '\0') {
        return true;
    }
    if (strlen(secret) != KEY_TEXT_LENGTH || zmq_curve_public(public_key, secret) != 0) {
        snprintf(ret_error, error_size, "curve_secret_key is not 40 characters of Z85; callboardctl keygen makes one");
        return false;
    }
    if (strlen(broker) != KEY_TEXT_LENGTH ||
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, broker, KEY_TEXT_LENGTH) != 0) {
        snprintf(ret_error, error_size,
                 "curve_broker_key is not 40 characters of Z85; it is in the broker's .pub file");
        return false;
    }
    if (zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public_key, KEY_TEXT_LENGTH) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, KEY_TEXT_LENGTH) != 0) {
        snprintf(ret_error, error_size, "CURVE keys were refused: is this libzmq built with CURVE?");
        return false;
    }
    return true;
}

callboard_client_t *callboard_client_new(const struct callboard_client_options *options, char *ret_error,
                                         size_t error_size) {
    callboard_client_t *self = calloc(1, sizeof *self);
    int zero = 0;
    if (self == NULL || (self->context = zmq_ctx_new()) == NULL ||
        (self->socket = zmq_socket(self->context, ZMQ_DEALER)) == NULL) {
        snprintf(ret_error, error_size, "no socket can be made: %s", zmq_strerror(errno));
        goto fail;
    }
    zmq_setsockopt(self->socket, ZMQ_LINGER, &zero, sizeof zero);
    if (!apply_curve(self->socket, options, ret_error, error_size)) {
        goto fail;
    }
    if (zmq_connect(self->socket, options->endpoint) != 0) {
        snprintf(ret_error, error_size, "cannot connect to %s: %s; endpoints look like tcp://127.0.0.1:7710",
                 options->endpoint, zmq_strerror(errno));
        goto fail;
    }
    return self;
fail:
    callboard_client_destroy(&self);
    return NULL;
}

static struct kept *take_oldest(callboard_client_t *self) {
    struct kept *oldest = self->oldest;
    if (oldest != NULL) {
        self->oldest = oldest->next;
        self->newest = self->oldest == NULL ? NULL : self->newest;
        self->n_kept--;
    }
    return oldest;
}

static void drop_oldest(callboard_client_t *self) {
    struct kept *oldest = take_oldest(self);
    close_frames(&oldest->message);
    free(oldest);
}

void callboard_client_destroy(callboard_client_t **client) {
    callboard_client_t *self = *client;
    *client = NULL;
    if (self == NULL) {
        return;
    }
    close_frames(&self->current);
    while (self->oldest != NULL) {
        drop_oldest(self);
    }
    if (self->socket != NULL) {
        zmq_close(self->socket);
    }
    if (self->context != NULL) {
        zmq_ctx_term(self->context);
    }
    free(self);
}

/* ---- sending ---- */

static bool send_part(callboard_client_t *self, struct callboard_bytes bytes, int flags) {
    return zmq_send(self->socket, bytes.size == 0 ? "" : bytes.data, bytes.size, flags | ZMQ_DONTWAIT) >= 0;
}

static struct callboard_bytes text_bytes(const char *text) {
    return (struct callboard_bytes){text, strlen(text)};
}

/* False: there is no room. When the first part found room, the others do. */
static bool send_request(callboard_client_t *self, const char *method, struct callboard_bytes id, const char *params,
                         const struct callboard_bytes *payload) {
    return send_part(self, text_bytes(VERSION), ZMQ_SNDMORE) && send_part(self, text_bytes(method), ZMQ_SNDMORE) &&
           send_part(self, id, ZMQ_SNDMORE) && send_part(self, text_bytes(params), payload == NULL ? 0 : ZMQ_SNDMORE) &&
           (payload == NULL || send_part(self, *payload, 0));
}

/* ---- receiving ---- */

static void receive_parts(callboard_client_t *self, struct frames *ret_message) {
    *ret_message = (struct frames){.n = 0};
    for (int more = 1; more;) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, self->socket, 0) < 0) {
            zmq_msg_close(&frame);
            return;
        }
        more = zmq_msg_more(&frame);
        if (ret_message->n < PARTS_MAX) {
            zmq_msg_init(&ret_message->parts[ret_message->n]);
            zmq_msg_move(&ret_message->parts[ret_message->n], &frame);
            ret_message->n++;
        }
        zmq_msg_close(&frame);
    }
    ret_message->first = ret_message->n > 0 && zmq_msg_size(&ret_message->parts[0]) == 0 ? 1 : 0;
}

/* False: nothing came until the deadline, or a signal did and that ends the wait. Pings are answered on the way. */
static bool receive(callboard_client_t *self, int64_t deadline_ms, bool ends_by_signal, struct frames *ret_message) {
    for (;;) {
        zmq_pollitem_t item = {.socket = self->socket, .events = ZMQ_POLLIN};
        int ready = zmq_poll(&item, 1, left_ms(deadline_ms));
        if (ready < 0 && errno == EINTR && !ends_by_signal) {
            continue;
        }
        if (ready <= 0) {
            return false;
        }
        receive_parts(self, ret_message);
        if (!is_text(part(ret_message, 1), "ping")) {
            return true;
        }
        close_frames(ret_message);
        send_request(self, "pong", (struct callboard_bytes){NULL, 0}, "{}", NULL);
    }
}

static enum callboard_outcome kind_of(struct frames *message) {
    static const struct {
        const char *name;
        enum callboard_outcome outcome;
    } kinds[] = {
        {"ok", CALLBOARD_OK}, {"error", CALLBOARD_ERROR}, {"event", CALLBOARD_EVENT}, {"request", CALLBOARD_REQUEST}};
    if (!is_text(part(message, 0), VERSION)) {
        return CALLBOARD_PROTOCOL;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (is_text(part(message, 1), kinds[i].name)) {
            return kinds[i].outcome;
        }
    }
    return CALLBOARD_PROTOCOL;
}

/* `message` is empty afterwards. */
static void keep(callboard_client_t *self, struct frames *message) {
    struct kept *kept = calloc(1, sizeof *kept);
    if (kept == NULL) {
        close_frames(message);
        self->n_dropped++;
        return;
    }
    if (self->n_kept == KEPT_MAX) {
        drop_oldest(self);
        self->n_dropped++;
    }
    move_frames(&kept->message, message);
    if (self->newest == NULL) {
        self->oldest = kept;
    } else {
        self->newest->next = kept;
    }
    self->newest = kept;
    self->n_kept++;
}

/* ---- asking ---- */

/* The answer to `id`; what else comes is kept or dropped. */
static enum callboard_outcome await_answer(callboard_client_t *self, struct callboard_bytes id, int64_t deadline_ms,
                                           struct callboard_message *ret_reply) {
    struct frames message;
    while (receive(self, deadline_ms, false, &message)) {
        enum callboard_outcome kind = kind_of(&message);
        if (kind == CALLBOARD_EVENT || kind == CALLBOARD_REQUEST) {
            keep(self, &message);
            continue;
        }
        struct callboard_bytes answered = part(&message, 2);
        bool is_ours = answered.size == id.size && memcmp(answered.data, id.data, id.size) == 0;
        if (kind == CALLBOARD_PROTOCOL || is_ours) {
            hand_out(self, &message, ret_reply);
            return kind;
        }
        close_frames(&message); /* to a request whose time was over */
    }
    return CALLBOARD_TIMEOUT;
}

/* Waits for room to send. */
static bool has_room(callboard_client_t *self, int64_t deadline_ms) {
    zmq_pollitem_t item = {.socket = self->socket, .events = ZMQ_POLLOUT};
    int ready;
    do {
        ready = zmq_poll(&item, 1, left_ms(deadline_ms));
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

enum callboard_outcome callboard_request(callboard_client_t *client, const char *method, const char *params,
                                         const struct callboard_bytes *payload, int timeout_ms,
                                         struct callboard_message *ret_reply) {
    int64_t deadline_ms = now_ms() + timeout_ms;
    *ret_reply = (struct callboard_message){.id = {NULL, 0}};
    client->last_id++;
    struct callboard_bytes id = {&client->last_id, sizeof client->last_id};
    if (!has_room(client, deadline_ms) || !send_request(client, method, id, params, payload)) {
        return CALLBOARD_TIMEOUT;
    }
    return await_answer(client, id, deadline_ms, ret_reply);
}

bool callboard_is_temporary(const struct callboard_message *error) {
    /* The broker writes it without blanks; within a text a quote has a backslash before it, so no text looks like it.
     */
    static const char wanted[] = "\"temporary\":true";
    return error->body.size > 0 && memmem(error->body.data, error->body.size, wanted, sizeof wanted - 1) != NULL;
}

/* ---- publishing ---- */

/* {"channel":…,"idempotency_key":…}, to be freed; NULL: no memory, or no random bytes. */
static char *publish_params(const char *channel) {
    unsigned char key[16];
    size_t size = strlen(channel) * 6 + 128; /* a control character takes six */
    char *params = malloc(size);
    if (params == NULL || getrandom(key, sizeof key, 0) != (ssize_t) sizeof key) {
        free(params);
        return NULL;
    }
    size_t used = (size_t) snprintf(params, size, "{\"channel\":\"");
    for (const char *at = channel; *at != '\0'; at++) {
        bool is_control = (unsigned char) *at < 0x20;
        const char *format = is_control ? "\\u%04x" : *at == '"' || *at == '\\' ? "\\%c" : "%c";
        used += (size_t) snprintf(params + used, size - used, format, *at);
    }
    used += (size_t) snprintf(params + used, size - used, "\",\"idempotency_key\":\"");
    for (size_t i = 0; i < sizeof key; i++) {
        used += (size_t) snprintf(params + used, size - used, "%02x", key[i]);
    }
    snprintf(params + used, size - used, "\"}");
    return params;
}

/* Anything up to the pause that this try has at most: many who failed together shall not come again together. */
static int random_pause_ms(int try) {
    unsigned char chance[2] = {0, 0};
    int longest = try > 6 || PAUSE_MS << try > PAUSE_MAX_MS ? PAUSE_MAX_MS : PAUSE_MS << try;
    if (getrandom(chance, sizeof chance, GRND_NONBLOCK) < 0) {
        return longest;
    }
    return (chance[0] << 8 | chance[1]) % longest + 1;
}

static int64_t earlier(int64_t one, int64_t other) {
    return one < other ? one : other;
}

static bool is_final(enum callboard_outcome outcome, const struct callboard_message *reply) {
    return outcome != CALLBOARD_TIMEOUT && (outcome != CALLBOARD_ERROR || !callboard_is_temporary(reply));
}

/* All tries have one id: an answer to an earlier one is as good. A pause is a wait for such an answer. */
static enum callboard_outcome publish_until(callboard_client_t *self, const char *params,
                                            struct callboard_bytes payload, int64_t deadline_ms,
                                            struct callboard_message *ret_reply) {
    self->last_id++;
    struct callboard_bytes id = {&self->last_id, sizeof self->last_id};
    enum callboard_outcome outcome = CALLBOARD_TIMEOUT;
    bool was_silent = false;
    for (int try = 0; try == 0 || left_ms(deadline_ms) > 0; try++) {
        int64_t try_ends_ms = earlier(now_ms() + TRY_MS, deadline_ms);
        if (has_room(self, try_ends_ms)) {
            send_request(self, "publish", id, params, &payload);
        }
        outcome = await_answer(self, id, try_ends_ms, ret_reply);
        was_silent = was_silent || outcome == CALLBOARD_TIMEOUT;
        if (!is_final(outcome, ret_reply)) {
            outcome = await_answer(self, id, earlier(now_ms() + random_pause_ms(try), deadline_ms), ret_reply);
        }
        if (is_final(outcome, ret_reply)) {
            return outcome;
        }
    }
    /* An error that says of the last try that nothing was done says nothing of a silent one. */
    return was_silent ? CALLBOARD_TIMEOUT : CALLBOARD_ERROR;
}

enum callboard_outcome callboard_publish(callboard_client_t *client, const char *channel,
                                         struct callboard_bytes payload, int patience_ms,
                                         struct callboard_message *ret_reply) {
    int64_t deadline_ms = now_ms() + patience_ms;
    *ret_reply = (struct callboard_message){.id = {NULL, 0}};
    char *params = publish_params(channel);
    if (params == NULL) {
        return CALLBOARD_TIMEOUT;
    }
    enum callboard_outcome outcome = publish_until(client, params, payload, deadline_ms, ret_reply);
    free(params);
    return outcome;
}

/* ---- events and calls ---- */

enum callboard_outcome callboard_receive(callboard_client_t *client, int timeout_ms,
                                         struct callboard_message *ret_message) {
    int64_t deadline_ms = now_ms() + timeout_ms;
    struct kept *kept = take_oldest(client);
    struct frames message;
    *ret_message = (struct callboard_message){.id = {NULL, 0}};
    if (kept != NULL) {
        enum callboard_outcome kind = kind_of(&kept->message);
        hand_out(client, &kept->message, ret_message);
        free(kept);
        return kind;
    }
    while (receive(client, deadline_ms, true, &message)) {
        enum callboard_outcome kind = kind_of(&message);
        if (kind == CALLBOARD_OK || kind == CALLBOARD_ERROR) {
            close_frames(&message); /* to a request whose time was over */
            continue;
        }
        hand_out(client, &message, ret_message);
        return kind;
    }
    return CALLBOARD_TIMEOUT;
}

bool callboard_answer(callboard_client_t *client, const struct callboard_message *call, const char *params,
                      const struct callboard_bytes *payload) {
    return send_request(client, "done", call->id, params, payload);
}

uint64_t callboard_dropped(const callboard_client_t *client) {
    return client->n_dropped;
}
