/* A ZAP handler on a thread of its own, on inproc://zeromq.zap.01.
 *
 *     libzmq's I/O thread --- version, id, domain, address, identity, mechanism, key ---> handler
 *         (in a handshake) <-- version, id, 200 or 400, text, User-Id, no metadata ------ looks up the key
 *                                                                                        ^
 *                                      every second, and when it changed: directory of NAME.pub
 *
 * Happy path: the socket is bound and the thread started; then a CURVE server and a client with a random key meet on an
 * abstract Unix socket, and the server's monitor must say that ZAP refused the client. Only then is there a handler to
 * hand out. From then on it answers each request from the list of the last reading.
 *
 * Failure modes: a mechanism other than CURVE, a key that is not in the list: 400, counted, logged with the key and the
 * address. A request that is not ZAP 1.0: 500. The directory in trouble: base/curve_allow_list.c. The thread's end for
 * any other reason than curve_zap_destroy: abort, because a CURVE server must not run without it. */
#include "base/curve_zap.h"

#include "base/check.h"
#include "base/curve_allow_list.h"
#include "base/curve_keys.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#define HANDLER_ENDPOINT "inproc://zeromq.zap.01" /* RFC 27 */
#define PROOF_DOMAIN     "callboard-proof"

enum {
    LOOK_INTERVAL_MS = 1000,
    PROOF_TIMEOUT_MS = 5000,
    REQUEST_FRAMES = 7, /* version, id, domain, address, identity, mechanism, credentials */
};

struct curve_zap {
    void *context;
    curve_allow_list_t *list; /* read by the handler thread */
    void *socket;             /* REP; the handler thread's once it runs */
    int stop_fd;              /* eventfd; written once, by curve_zap_destroy */
    pthread_t thread;
    _Atomic uint64_t n_refused;
};

/* ---- requests ---- */

static void close_frames(zmq_msg_t *frames, size_t n) {
    for (size_t i = 0; i < n; i++) {
        zmq_msg_close(&frames[i]);
    }
}

/* Receives one request, whole; frames too many are received and dropped. Returns how many there were, 0 on failure. */
static size_t receive_request(void *socket, zmq_msg_t frames[REQUEST_FRAMES]) {
    size_t n = 0;
    bool more = true;
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        int result;
        do {
            result = zmq_msg_recv(&frame, socket, 0);
        } while (result < 0 && errno == EINTR);
        if (result < 0) {
            close_frames(frames, n < REQUEST_FRAMES ? n : REQUEST_FRAMES);
            return 0;
        }
        more = zmq_msg_more(&frame) != 0;
        if (n < REQUEST_FRAMES) {
            zmq_msg_init(&frames[n]);
            zmq_msg_move(&frames[n], &frame);
        }
        zmq_msg_close(&frame);
        n++;
    }
    return n;
}

static struct span frame_span(zmq_msg_t *frame) {
    return span_of(zmq_msg_data(frame), zmq_msg_size(frame));
}

static void count_refusal(curve_zap_t *self, zmq_msg_t *frames, size_t n) {
    if (span_equal_text(frame_span(&frames[2]), PROOF_DOMAIN)) {
        return; /* our own; no peer can choose the domain */
    }
    struct span key = n == REQUEST_FRAMES ? frame_span(&frames[6]) : SPAN_EMPTY; /* NULL has no such frame */
    char key_text[CURVE_KEY_TEXT_LENGTH + 1] = "";
    if (key.size == CURVE_KEY_SIZE) {
        zmq_z85_encode(key_text, key.data, key.size);
    }
    atomic_fetch_add_explicit(&self->n_refused, 1, memory_order_relaxed);
    log_warning("curve_key_refused", log_span("domain", frame_span(&frames[2])),
                log_span("address", frame_span(&frames[3])), log_span("mechanism", frame_span(&frames[5])),
                log_text("public_key", key_text));
}

struct reply {
    const char *status;
    const char *text;
    char name[CURVE_NAME_MAX + 1];
};

static struct reply judge(curve_zap_t *self, zmq_msg_t *frames, size_t n) {
    struct reply reply = {.status = "500", .text = "not a ZAP 1.0 request", .name = ""};
    bool is_allowed = false;
    if (n < REQUEST_FRAMES - 1 || !span_equal_text(frame_span(&frames[0]), "1.0")) {
        return reply;
    }
    if (n == REQUEST_FRAMES && span_equal_text(frame_span(&frames[5]), "CURVE")) {
        curve_allow_list_refresh(self->list, true);
        is_allowed = curve_allow_list_find(self->list, frame_span(&frames[6]), reply.name);
    }
    reply.status = is_allowed ? "200" : "400";
    reply.text = is_allowed ? "allowed" : "not allowed";
    return reply;
}

static void send_part(void *socket, const char *text, int flags) {
    int result = zmq_send(socket, text, strlen(text), flags);
    check(result >= 0, "ZAP reply: %s", zmq_strerror(errno));
}

static void send_reply(curve_zap_t *self, zmq_msg_t *request_id, const struct reply *reply) {
    send_part(self->socket, "1.0", ZMQ_SNDMORE);
    int result = zmq_msg_send(request_id, self->socket, ZMQ_SNDMORE); /* ours no longer */
    check(result >= 0, "ZAP reply: %s", zmq_strerror(errno));
    send_part(self->socket, reply->status, ZMQ_SNDMORE);
    send_part(self->socket, reply->text, ZMQ_SNDMORE);
    send_part(self->socket, reply->name, ZMQ_SNDMORE);
    send_part(self->socket, "", 0);
}

static void answer_request(curve_zap_t *self) {
    zmq_msg_t frames[REQUEST_FRAMES];
    size_t n = receive_request(self->socket, frames);
    check(n > 0, "ZAP request: %s", zmq_strerror(errno));
    struct reply reply = judge(self, frames, n);
    if (strcmp(reply.status, "400") == 0) {
        count_refusal(self, frames, n);
    }
    if (n < 2) {
        zmq_msg_init(&frames[1]); /* no request id to repeat */
        n = 2;
    }
    send_reply(self, &frames[1], &reply);
    close_frames(frames, n < REQUEST_FRAMES ? n : REQUEST_FRAMES);
}

static void *run(void *argument) {
    curve_zap_t *self = argument;
    zmq_pollitem_t items[] = {{.socket = self->socket, .events = ZMQ_POLLIN},
                              {.fd = self->stop_fd, .events = ZMQ_POLLIN}};
    for (;;) {
        int result = zmq_poll(items, 2, LOOK_INTERVAL_MS);
        check(result >= 0 || errno == EINTR, "the ZAP handler cannot go on: %s", zmq_strerror(errno));
        if (result > 0 && items[1].revents != 0) {
            break;
        }
        if (result > 0 && items[0].revents != 0) {
            answer_request(self);
        }
        curve_allow_list_refresh(self->list, false);
    }
    zmq_unbind(self->socket, HANDLER_ENDPOINT); /* closing alone would free the name some time later */
    zmq_close(self->socket);
    return NULL;
}

/* ---- the proof ---- */

/* Two sockets that meet on an endpoint of their own, and the monitor of the server. */
struct proof {
    void *server;
    void *client;
    void *monitor;
};

static void *socket_new(void *context, int type) {
    int zero = 0;
    void *socket = zmq_socket(context, type);
    if (socket != NULL) {
        zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    }
    return socket;
}

static bool proof_open(struct proof *proof, void *context) {
    struct curve_keys server_keys;
    struct curve_keys client_keys;
    char id[17];
    char endpoint[64];
    char monitor_endpoint[64];
    random_base62(id, 16);
    snprintf(endpoint, sizeof endpoint, "ipc://@callboard-zap-proof-%s", id); /* abstract: leaves no file behind */
    snprintf(monitor_endpoint, sizeof monitor_endpoint, "inproc://callboard-zap-proof-%s", id);
    curve_keys_generate(&server_keys);
    curve_keys_generate(&client_keys);
    proof->server = socket_new(context, ZMQ_ROUTER);
    proof->client = socket_new(context, ZMQ_DEALER);
    proof->monitor = socket_new(context, ZMQ_PAIR);
    bool is_open =
        proof->server != NULL && proof->client != NULL && proof->monitor != NULL &&
        curve_keys_apply_server(proof->server, &server_keys, PROOF_DOMAIN) &&
        curve_keys_apply_client(proof->client, &client_keys, server_keys.public_text) &&
        zmq_socket_monitor(proof->server, monitor_endpoint,
                           ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                               ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) == 0 &&
        zmq_connect(proof->monitor, monitor_endpoint) == 0 && zmq_bind(proof->server, endpoint) == 0 &&
        zmq_connect(proof->client, endpoint) == 0;
    curve_keys_wipe(&server_keys);
    curve_keys_wipe(&client_keys);
    return is_open;
}

static void proof_close(struct proof *proof) {
    if (proof->server != NULL) {
        zmq_socket_monitor(proof->server, NULL, 0);
    }
    void *sockets[] = {proof->client, proof->monitor, proof->server};
    for (size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++) {
        if (sockets[i] != NULL) {
            zmq_close(sockets[i]);
        }
    }
}

/* Waits for the first word about the handshake: was it ZAP's 400? */
static bool proof_is_refused(struct proof *proof) {
    uint16_t event = 0;
    uint32_t value = 0;
    uint8_t frame[6]; /* u16 event, u32 value, in the machine's order; then the endpoint */
    int timeout = PROOF_TIMEOUT_MS;
    zmq_setsockopt(proof->monitor, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    int size;
    do {
        size = zmq_recv(proof->monitor, frame, sizeof frame, 0);
    } while (size < 0 && errno == EINTR);
    if (size != (int) sizeof frame) {
        return false;
    }
    memcpy(&event, frame, sizeof event);
    memcpy(&value, frame + sizeof event, sizeof value);
    return event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH && value == 400;
}

static bool prove(curve_zap_t *self, char *ret_error, size_t error_size) {
    struct proof proof = {NULL, NULL, NULL};
    bool is_open = proof_open(&proof, self->context);
    if (!is_open) {
        snprintf(ret_error, error_size, "the ZAP handler cannot be proven: %s", zmq_strerror(errno));
    }
    bool is_proven = is_open && proof_is_refused(&proof);
    if (is_open && !is_proven) {
        snprintf(ret_error, error_size, "the ZAP handler did not refuse a random key within %d ms", PROOF_TIMEOUT_MS);
    }
    proof_close(&proof);
    return is_proven;
}

/* ---- life cycle ---- */

/* Signals are the main thread's. */
static bool start_thread(curve_zap_t *self) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&self->thread, NULL, run, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = result;
    return result == 0;
}

static void stop_thread(curve_zap_t *self) {
    uint64_t one = 1;
    ssize_t written = write(self->stop_fd, &one, sizeof one);
    check(written == (ssize_t) sizeof one, "eventfd: %s", strerror(errno));
    pthread_join(self->thread, NULL); /* it closed the socket */
    self->socket = NULL;
}

static void release(curve_zap_t *self) {
    if (self->socket != NULL) {
        zmq_close(self->socket);
    }
    if (self->stop_fd >= 0) {
        close(self->stop_fd);
    }
    curve_allow_list_destroy(&self->list);
    memory_free(self);
}

/* The directory, the socket and the thread; false: errno says why, *ret_what where. */
static bool start(curve_zap_t *self, const char *directory, const char **ret_what) {
    *ret_what = "the allow-list of CURVE keys cannot be read";
    self->list = curve_allow_list_new(directory);
    if (self->list == NULL) {
        return false;
    }
    *ret_what = "the ZAP handler cannot be started (there is one in each context)";
    self->stop_fd = eventfd(0, EFD_CLOEXEC);
    self->socket = socket_new(self->context, ZMQ_REP);
    return self->stop_fd >= 0 && self->socket != NULL && zmq_bind(self->socket, HANDLER_ENDPOINT) == 0 &&
           start_thread(self);
}

curve_zap_t *curve_zap_new(void *zmq_context, const char *allowed_directory, char *ret_error, size_t error_size) {
    const char *what = NULL;
    curve_zap_t *self = memory_alloc_zero(sizeof *self);
    self->context = zmq_context;
    self->stop_fd = -1;
    if (!start(self, allowed_directory, &what)) {
        snprintf(ret_error, error_size, "%s: %s: %s", allowed_directory, what, zmq_strerror(errno));
        release(self);
        return NULL;
    }
    if (!prove(self, ret_error, error_size)) {
        curve_zap_destroy(&self);
    }
    return self;
}

void curve_zap_destroy(curve_zap_t **self_p) {
    curve_zap_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    stop_thread(self);
    release(self);
}

bool curve_zap_allows(curve_zap_t *self, const char *name) {
    return curve_allow_list_has(self->list, name);
}

uint64_t curve_zap_refused_total(const curve_zap_t *self) {
    return atomic_load_explicit(&self->n_refused, memory_order_relaxed);
}
