/* Publish from C with nothing but libzmq:  cc publish.c -lzmq -o publish && ./publish demo:hello '{"text":"hi"}'
 *
 * The frames are the whole API: "CB1", method, id, params as JSON, payload. The reply: "CB1", ok or error, id, body as
 * JSON. */
#include <stdio.h>
#include <string.h>
#include <zmq.h>

enum { ATTEMPTS = 5, ANSWER_MS = 3000 };

static int receive_frame(void *socket, char *text, size_t size) {
    int length = zmq_recv(socket, text, size - 1, 0);
    if (length < 0) {
        return -1;
    }
    text[(size_t) length < size - 1 ? (size_t) length : size - 1] = '\0';
    return length;
}

/* 0: published, 1: refused, -1: no answer. The body is printed. */
static int publish_once(void *socket, const char *params, const char *payload) {
    zmq_send(socket, "CB1", 3, ZMQ_SNDMORE);
    zmq_send(socket, "publish", 7, ZMQ_SNDMORE);
    zmq_send(socket, "1", 1, ZMQ_SNDMORE);
    zmq_send(socket, params, strlen(params), ZMQ_SNDMORE);
    zmq_send(socket, payload, strlen(payload), 0);
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    if (zmq_poll(&item, 1, ANSWER_MS) <= 0) {
        return -1;
    }
    char version[16];
    char kind[16];
    char id[80];
    char body[4096];
    if (receive_frame(socket, version, sizeof version) < 0 || receive_frame(socket, kind, sizeof kind) < 0 ||
        receive_frame(socket, id, sizeof id) < 0 || receive_frame(socket, body, sizeof body) < 0) {
        return -1;
    }
    printf("%s\n", body);
    return strcmp(kind, "ok") == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: publish CHANNEL JSON [tcp://127.0.0.1:7710]\n");
        return 2;
    }
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int no_linger = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &no_linger, sizeof no_linger);
    zmq_connect(socket, argc == 4 ? argv[3] : "tcp://127.0.0.1:7710");

    /* One key for all attempts: however often it is sent, it is published once. It must be new for each publication. */
    unsigned char random[16] = {0};
    FILE *source = fopen("/dev/urandom", "rb");
    if (source == NULL || fread(random, 1, sizeof random, source) != sizeof random) {
        return 1;
    }
    fclose(source);
    char key[2 * sizeof random + 1];
    for (size_t i = 0; i < sizeof random; i++) {
        snprintf(key + 2 * i, 3, "%02x", random[i]);
    }
    char params[512];
    snprintf(params, sizeof params, "{\"channel\":\"%s\",\"idempotency_key\":\"%s\"}", argv[1], key);
    int result = -1;
    for (int attempt = 0; attempt < ATTEMPTS && result < 0; attempt++) {
        result = publish_once(socket, params, argv[2]);
    }
    if (result < 0) {
        fprintf(stderr, "no answer; it may or may not have been published\n");
    }
    zmq_close(socket);
    zmq_ctx_term(context);
    return result == 0 ? 0 : 1;
}
