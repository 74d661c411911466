/* Any bytes as what a server sends to the operator's and the agent's RESP client, over a real connection: the login, a
 * command, a reply that is only waited for, and bytes as they come. The first byte says whether it logs in. What it
 * gives is bounded, and behind a break nothing answers any more. */
#include "base/check.h"
#include "operator/redis/resp_client.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_SENT = 32 * 1024, TIMEOUT_MS = 50 };

static int listen_once(uint16_t *ret_port) {
    static int listener = -1;
    static uint16_t port;
    if (listener < 0) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t length = sizeof address;
        listener = socket(AF_INET, SOCK_STREAM, 0);
        check(listener >= 0 && bind(listener, (struct sockaddr *) &address, sizeof address) == 0 &&
                  listen(listener, 8) == 0 && getsockname(listener, (struct sockaddr *) &address, &length) == 0,
              "no listener");
        port = ntohs(address.sin_port);
    }
    *ret_port = port;
    return listener;
}

static void look_at(resp_client_t *client, const struct redis_reply *reply) {
    check((reply == NULL) == (resp_client_error(client)[0] != '\0'), "a reply, or a reason");
    (void) resp_reply_is_ok(reply);
}

static void talk(resp_client_t *client) {
    char error[RESP_ERROR_MAX] = "";
    uint8_t bytes[64];
    size_t taken = 0;
    bool is_in = resp_client_login(client, error, sizeof error);
    check(is_in == (error[0] == '\0'), "in, or a reason");
    look_at(client, resp_client_call(client, "PING"));
    look_at(client, resp_client_reply(client));
    if (resp_client_receive(client, bytes, sizeof bytes, &taken)) {
        check(taken > 0 && taken <= sizeof bytes, "bytes");
    }
    if (resp_client_error(client)[0] != '\0') {
        check(resp_client_call(client, "PING") == NULL && !resp_client_send(client, SPAN_LITERAL("x")), "it is over");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint16_t port;
    char error[RESP_ERROR_MAX];
    if (size == 0 || size > SIZE_MAX_SENT) {
        return 0;
    }
    int listener = listen_once(&port);
    const struct resp_target target = {.name = "redis-0",
                                       .address = "127.0.0.1",
                                       .port = port,
                                       .user = (data[0] & 1) != 0 ? "agent" : NULL,
                                       .password = (data[0] & 2) != 0 ? "secret" : NULL,
                                       .timeout_ms = TIMEOUT_MS};
    resp_client_t *client = resp_client_connect(&target, error, sizeof error);
    int peer = client == NULL ? -1 : accept(listener, NULL, NULL);
    if (peer >= 0) {
        const struct linger gone = {.l_onoff = 1}; /* else each connection leaves a port behind for a minute */
        (void) setsockopt(peer, SOL_SOCKET, SO_LINGER, &gone, sizeof gone);
        check(send(peer, data + 1, size - 1, MSG_NOSIGNAL) == (ssize_t) size - 1, "sent");
        (void) shutdown(peer, SHUT_WR);
        talk(client);
        close(peer);
    }
    resp_client_destroy(&client);
    return 0;
}
