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
 * address. A request that is not ZAP 1.0: 500. A file in the directory that is no public key file: left out, logged.
 * The directory gone: nobody is allowed. The directory unreadable for another reason (no descriptors, no memory): the
 * last list stays, logged each time. The thread's end for any other reason than curve_zap_destroy: abort, because a
 * CURVE server must not run without it. */
#include "base/curve_zap.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/curve_keys.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#define HANDLER_ENDPOINT "inproc://zeromq.zap.01" /* RFC 27 */
#define PROOF_DOMAIN     "callboard-proof"

enum {
    KEYS_MAX = 1024,
    KEY_SIZE = 32,
    READ_INTERVAL_MS = 1000,
    PROOF_TIMEOUT_MS = 5000,
    REQUEST_FRAMES = 7, /* version, id, domain, address, identity, mechanism, credentials */
};

struct allowed_key {
    char name[CURVE_ZAP_NAME_MAX + 1];
    uint8_t key[KEY_SIZE];
};

struct allowed_list {
    struct allowed_key *keys; /* sorted by name */
    size_t n;
};

struct curve_zap {
    void *context;
    char *directory;
    void *socket; /* REP; the handler thread's once it runs */
    int stop_fd;  /* eventfd; written once, by curve_zap_destroy */
    pthread_t thread;
    pthread_mutex_t mutex; /* guards `list`, which only the handler thread changes */
    struct allowed_list list;
    struct timespec read_mtime; /* of the directory, at the last reading; with read_ms the handler thread's */
    uint64_t read_ms;
    _Atomic uint64_t n_refused;
};

/* ---- the directory ---- */

static int compare_names(const void *left, const void *right) {
    return strcmp(((const struct allowed_key *) left)->name, ((const struct allowed_key *) right)->name);
}

static bool is_name(const char *text, size_t size) {
    if (size == 0 || size > CURVE_ZAP_NAME_MAX) {
        return false;
    }
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") >= size;
}

/* The length of NAME when this is NAME.pub; 0 otherwise (also for hidden files, such as Kubernetes' ..data). */
static size_t name_length_of(const char *file_name) {
    size_t size = strlen(file_name);
    if (file_name[0] == '.' || size <= 4 || strcmp(file_name + size - 4, ".pub") != 0) {
        return 0;
    }
    return size - 4;
}

/* Did the last call fail for want of something that will be back? */
static bool is_out_of_resources(void) {
    return errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EIO;
}

/* Reads one file into *ret_key. False with errno 0: this file is no key. */
static bool read_key(const char *directory, const char *file_name, bool is_changed, struct allowed_key *ret_key) {
    char path[4096];
    char error[512] = "the name may have 1 to 64 of A-Z a-z 0-9 . _ -";
    struct curve_keys keys;
    size_t name_length = name_length_of(file_name);
    errno = 0;
    if ((size_t) snprintf(path, sizeof path, "%s/%s", directory, file_name) >= sizeof path ||
        !is_name(file_name, name_length) || !curve_keys_read(path, false, &keys, error, sizeof error)) {
        if (is_out_of_resources()) {
            return false;
        }
        if (is_changed) { /* not every second anew */
            log_warning("curve_key_ignored", log_text("file", file_name), log_text("reason", error));
        }
        errno = 0;
        return false;
    }
    memset(ret_key, 0, sizeof *ret_key);
    memcpy(ret_key->name, file_name, name_length);
    void *decoded = zmq_z85_decode(ret_key->key, keys.public_text);
    check(decoded != NULL, "a key that was judged is no Z85");
    return true;
}

/* Reads file after file; false with errno: not to the end. */
static bool read_files(DIR *stream, const char *directory, bool is_changed, struct allowed_list *list) {
    const struct dirent *entry;
    errno = 0;
    while ((entry = readdir(stream)) != NULL) {
        if (name_length_of(entry->d_name) == 0) {
            continue;
        }
        if (list->n == KEYS_MAX) {
            log_error("curve_keys_over_limit", log_text("directory", directory), log_u64("limit", KEYS_MAX));
            return true;
        }
        if (read_key(directory, entry->d_name, is_changed, &list->keys[list->n])) {
            list->n++;
        } else if (errno != 0) {
            return false;
        }
        errno = 0;
    }
    return errno == 0;
}

/* A whole new list; false with errno: the directory could not be read to its end. */
static bool read_list(const char *directory, bool is_changed, struct allowed_list *ret_list) {
    DIR *stream = opendir(directory);
    if (stream == NULL) {
        return false;
    }
    struct allowed_list list = {memory_alloc_array(KEYS_MAX, sizeof *list.keys), 0};
    bool is_read = read_files(stream, directory, is_changed, &list);
    int reason = errno;
    closedir(stream);
    errno = reason;
    if (!is_read) {
        memory_free(list.keys);
        return false;
    }
    qsort(list.keys, list.n, sizeof *list.keys, compare_names);
    *ret_list = list;
    return true;
}

static void replace_list(curve_zap_t *self, struct allowed_list list) {
    pthread_mutex_lock(&self->mutex);
    struct allowed_list old = self->list;
    self->list = list;
    pthread_mutex_unlock(&self->mutex);
    if (old.n != list.n) {
        log_info("curve_keys_read", log_text("directory", self->directory), log_u64("keys", list.n));
    }
    memory_free(old.keys);
}

static bool is_list_old(const curve_zap_t *self) {
    return clock_monotonic_ms() - self->read_ms >= READ_INTERVAL_MS;
}

/* Since the last reading; *ret_mtime is what to remember for the next look. */
static bool is_directory_changed(const curve_zap_t *self, struct timespec *ret_mtime) {
    struct stat status;
    *ret_mtime = stat(self->directory, &status) == 0 ? status.st_mtim : (struct timespec){0, 0};
    return ret_mtime->tv_sec != self->read_mtime.tv_sec || ret_mtime->tv_nsec != self->read_mtime.tv_nsec;
}

/* Takes the directory's time of change first: a change during the reading is seen by the next look. */
static bool read_directory(curve_zap_t *self) {
    struct allowed_list list = {NULL, 0};
    struct timespec mtime;
    bool is_changed = is_directory_changed(self, &mtime);
    self->read_mtime = mtime;
    self->read_ms = clock_monotonic_ms();
    if (read_list(self->directory, is_changed, &list)) {
        replace_list(self, list);
        return true;
    }
    int reason = errno;
    log_error("curve_keys_unreadable", log_text("directory", self->directory), log_text("reason", strerror(reason)));
    if (reason == ENOENT || reason == ENOTDIR) {
        replace_list(self, list);
    }
    errno = reason;
    return false;
}

static void read_directory_if_changed(curve_zap_t *self) {
    struct timespec mtime;
    if (is_list_old(self) || is_directory_changed(self, &mtime)) {
        read_directory(self);
    }
}

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

/* The name of this key; "" when it is not in the list. Public keys are no secrets: no constant time needed. */
static void find_name(curve_zap_t *self, struct span key, char ret_name[CURVE_ZAP_NAME_MAX + 1]) {
    ret_name[0] = '\0';
    if (key.size != KEY_SIZE) {
        return;
    }
    pthread_mutex_lock(&self->mutex);
    for (size_t i = 0; i < self->list.n; i++) {
        if (memcmp(self->list.keys[i].key, key.data, KEY_SIZE) == 0) {
            memcpy(ret_name, self->list.keys[i].name, CURVE_ZAP_NAME_MAX + 1);
            break;
        }
    }
    pthread_mutex_unlock(&self->mutex);
}

static void count_refusal(curve_zap_t *self, zmq_msg_t *frames) {
    if (span_equal_text(frame_span(&frames[2]), PROOF_DOMAIN)) {
        return; /* our own; no peer can choose the domain */
    }
    struct span key = frame_span(&frames[6]);
    char key_text[CURVE_KEY_TEXT_LENGTH + 1] = "";
    if (key.size == KEY_SIZE) {
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
    char name[CURVE_ZAP_NAME_MAX + 1];
};

static struct reply judge(curve_zap_t *self, zmq_msg_t *frames, size_t n) {
    struct reply reply = {.status = "500", .text = "not a ZAP 1.0 request", .name = ""};
    if (n < REQUEST_FRAMES - 1 || !span_equal_text(frame_span(&frames[0]), "1.0")) {
        return reply; /* NULL mechanism has no credentials frame */
    }
    if (n == REQUEST_FRAMES && span_equal_text(frame_span(&frames[5]), "CURVE")) {
        read_directory_if_changed(self);
        find_name(self, frame_span(&frames[6]), reply.name);
    }
    if (reply.name[0] == '\0') {
        reply.status = "400";
        reply.text = "not allowed";
    } else {
        reply.status = "200";
        reply.text = "allowed";
    }
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
        count_refusal(self, frames);
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
        int result = zmq_poll(items, 2, READ_INTERVAL_MS);
        check(result >= 0 || errno == EINTR, "the ZAP handler cannot go on: %s", zmq_strerror(errno));
        if (result > 0 && items[1].revents != 0) {
            break;
        }
        if (result > 0 && items[0].revents != 0) {
            answer_request(self);
        }
        if (is_list_old(self)) {
            read_directory(self);
        }
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
    pthread_mutex_destroy(&self->mutex);
    memory_free(self->list.keys);
    memory_free(self->directory);
    memory_free(self);
}

/* The directory, the socket and the thread; false: errno says why, *ret_what where. */
static bool start(curve_zap_t *self, const char **ret_what) {
    *ret_what = "the allow-list of CURVE keys cannot be read";
    if (!read_directory(self)) {
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
    self->directory = memory_strdup(allowed_directory);
    self->stop_fd = -1;
    pthread_mutex_init(&self->mutex, NULL);
    if (!start(self, &what)) {
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
    bool is_allowed = false;
    pthread_mutex_lock(&self->mutex);
    for (size_t i = 0; i < self->list.n && !is_allowed; i++) {
        is_allowed = strcmp(self->list.keys[i].name, name) == 0;
    }
    pthread_mutex_unlock(&self->mutex);
    return is_allowed;
}

uint64_t curve_zap_refused_total(const curve_zap_t *self) {
    return atomic_load_explicit(&self->n_refused, memory_order_relaxed);
}
