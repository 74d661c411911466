/* The load of the backend API's throughput bench: publications of 128 bytes, as fast as one sender makes them.
 * Not a test: tests/bench/README.md.
 *
 *     publish_load push ENDPOINT N CHANNELS NAMESPACE                       over PUSH, without answers
 *     publish_load ask  ENDPOINT N CHANNELS NAMESPACE CLIENTS IN_FLIGHT     over DEALERs, each waits for its answers
 *
 * Prints the seconds until the last was handed over (push) or answered (ask). `push` ends when ZeroMQ has sent all.
 * An answer that is no `ok` ends the program with it: a figure of refusals would be none. */
#include "base/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

enum { PAYLOAD_SIZE = 128, CHANNELS_MAX = 1024, CLIENTS_MAX = 64, PARAMS_MAX = 128 };

struct load {
    const char *endpoint;
    unsigned long n;
    unsigned n_channels;
    char params[CHANNELS_MAX][PARAMS_MAX];
    char payload[PAYLOAD_SIZE];
};

struct client {
    void *socket;
    unsigned in_flight;
};

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void make_texts(struct load *self, const char *name_space) {
    for (unsigned i = 0; i < self->n_channels; i++) {
        snprintf(self->params[i], PARAMS_MAX, "{\"channel\":\"%s:c%u\"}", name_space, i);
    }
    memset(self->payload, 'x', PAYLOAD_SIZE);
    memcpy(self->payload, "{\"pad\":\"", 8);
    memcpy(self->payload + PAYLOAD_SIZE - 2, "\"}", 2);
}

static void send_frame(void *socket, const void *bytes, size_t size, int flags) {
    check(zmq_send(socket, bytes, size, flags) == (int) size, "a frame was not sent: %s", zmq_strerror(zmq_errno()));
}

static void send_publish(struct load *self, void *socket, unsigned long number, bool has_id) {
    const char *params = self->params[number % self->n_channels];
    send_frame(socket, "CB1", 3, ZMQ_SNDMORE);
    send_frame(socket, "publish", 7, ZMQ_SNDMORE);
    send_frame(socket, &number, has_id ? sizeof number : 0, ZMQ_SNDMORE);
    send_frame(socket, params, strlen(params), ZMQ_SNDMORE);
    send_frame(socket, self->payload, PAYLOAD_SIZE, 0);
}

static void *connect_to(void *context, int type, const char *endpoint) {
    void *socket = zmq_socket(context, type);
    check(socket != NULL && zmq_connect(socket, endpoint) == 0, "cannot connect to %s", endpoint);
    return socket;
}

/* False: there is none. */
static bool take_answer(void *socket) {
    for (int i = 0, more = 1; more != 0; i++) {
        char bytes[512];
        int size = zmq_recv(socket, bytes, sizeof bytes, i == 0 ? ZMQ_DONTWAIT : 0);
        if (size < 0 && i == 0) {
            return false;
        }
        check(i != 1 || (size == 2 && memcmp(bytes, "ok", 2) == 0), "refused: %.*s", size, bytes);
        size_t more_size = sizeof more;
        zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &more_size);
    }
    return true;
}

static void push(struct load *self, void *context) {
    void *socket = connect_to(context, ZMQ_PUSH, self->endpoint);
    for (unsigned long i = 0; i < self->n; i++) {
        send_publish(self, socket, i, false);
    }
    zmq_close(socket);
}

static void ask(struct load *self, void *context, unsigned n_clients, unsigned in_flight) {
    struct client clients[CLIENTS_MAX];
    zmq_pollitem_t items[CLIENTS_MAX];
    for (unsigned i = 0; i < n_clients; i++) {
        clients[i] = (struct client){.socket = connect_to(context, ZMQ_DEALER, self->endpoint)};
        items[i] = (zmq_pollitem_t){.socket = clients[i].socket, .events = ZMQ_POLLIN};
    }
    unsigned long sent = 0;
    unsigned long answered = 0;
    while (answered < self->n) {
        for (unsigned i = 0; i < n_clients; i++) {
            while (clients[i].in_flight > 0 && take_answer(clients[i].socket)) {
                clients[i].in_flight--;
                answered++;
            }
            for (; clients[i].in_flight < in_flight && sent < self->n; sent++) {
                send_publish(self, clients[i].socket, sent, true);
                clients[i].in_flight++;
            }
        }
        if (answered < self->n) {
            check(zmq_poll(items, (int) n_clients, 10000) > 0, "no answer in 10 s: %lu of %lu", answered, self->n);
        }
    }
    for (unsigned i = 0; i < n_clients; i++) {
        zmq_close(clients[i].socket);
    }
}

static int print_usage(void) {
    fprintf(stderr,
            "usage: publish_load push ENDPOINT N CHANNELS NAMESPACE\n"
            "       publish_load ask ENDPOINT N CHANNELS NAMESPACE CLIENTS IN_FLIGHT\n"
            "CHANNELS at most %d, CLIENTS at most %d\n",
            CHANNELS_MAX, CLIENTS_MAX);
    return 2;
}

int main(int n_arguments, char **arguments) {
    bool is_push = n_arguments == 6 && strcmp(arguments[1], "push") == 0;
    bool is_ask = n_arguments == 8 && strcmp(arguments[1], "ask") == 0;
    if (!is_push && !is_ask) {
        return print_usage();
    }
    static struct load load;
    load.endpoint = arguments[2];
    load.n = strtoul(arguments[3], NULL, 10);
    load.n_channels = (unsigned) strtoul(arguments[4], NULL, 10);
    unsigned n_clients = is_ask ? (unsigned) strtoul(arguments[6], NULL, 10) : 1;
    unsigned in_flight = is_ask ? (unsigned) strtoul(arguments[7], NULL, 10) : 1;
    if (load.n == 0 || load.n_channels == 0 || load.n_channels > CHANNELS_MAX || n_clients == 0 ||
        n_clients > CLIENTS_MAX || in_flight == 0) {
        return print_usage();
    }
    make_texts(&load, arguments[5]);
    void *context = zmq_ctx_new();
    double start = seconds();
    if (is_push) {
        push(&load, context);
    } else {
        ask(&load, context, n_clients, in_flight);
    }
    printf("%.6f\n", seconds() - start);
    zmq_ctx_term(context);
    return 0;
}
