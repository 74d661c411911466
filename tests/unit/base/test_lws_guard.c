/* The guards over real sockets, on a vhost that would echo WebSocket messages: what gets past them, and what must not.
 * Run under AddressSanitizer the bad Upgrade after a keep-alive GET would show lws reading freed memory. */
#include "base/actor.h"
#include "base/lws_guard.h"
#include "base/memory.h"
#include "base/tcp_listener.h"
#include "tests/support/free_port.h"
#include "tests/support/raw_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { STOP_DEADLINE_MS = 20000 };

struct fixture {
    actor_t *actor;
    tcp_listener_t *listener;
    struct lws_context *lws;
    struct lws_vhost *vhost;
    int port;
    atomic_uint verdicts[LWS_GUARD_VERDICTS];
    atomic_uint established;
    atomic_uint raw; /* raw callbacks that got past the guard */
    atomic_uint closed;
};

static int answer_http(struct lws *wsi) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    if (lws_write(wsi, (unsigned char *) answer, sizeof answer - 1, LWS_WRITE_HTTP_HEADERS) < 0) {
        return -1;
    }
    return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size) {
    (void) user;
    struct fixture *self = lws_context_user(lws_get_context(wsi));
    enum lws_guard_verdict verdict = lws_guard_check(wsi, reason);
    if (verdict != LWS_GUARD_PASS) {
        atomic_fetch_add(&self->verdicts[verdict], 1);
        return -1;
    }
    if (reason == LWS_CALLBACK_ESTABLISHED) {
        atomic_fetch_add(&self->established, 1);
    } else if (reason == LWS_CALLBACK_HTTP) {
        return answer_http(wsi);
    } else if (reason == LWS_CALLBACK_RAW_RX) {
        atomic_fetch_add(&self->raw, 1);
    } else if (reason == LWS_CALLBACK_RECEIVE) {
        unsigned char echo[LWS_PRE + 256];
        memcpy(echo + LWS_PRE, in, size);
        lws_write(wsi, echo + LWS_PRE, size, LWS_WRITE_TEXT);
    }
    return 0;
}

static void on_accept(void *context, int descriptor, const struct sockaddr_storage *peer) {
    (void) peer;
    struct fixture *self = context;
    lws_adopt_socket_vhost(self->vhost, descriptor);
}

static bool on_start(void *context, actor_t *actor, char *ret_error, size_t error_size) {
    static const struct lws_protocols protocols[] = {
        {.name = "echo", .callback = on_event, .rx_buffer_size = 256, .tx_packet_size = 65536}, {.name = NULL}};
    struct fixture *self = context;
    const struct lws_guard_service service = {.what = "the test", .protocols = protocols, .user = self};
    if (!lws_guard_open_context(&service, actor_loop(actor), &self->lws, &self->vhost, ret_error, error_size)) {
        return false;
    }
    struct tcp_listener_options options = {
        .address = "127.0.0.1", .port = free_port(), .on_accept = on_accept, .context = self};
    self->listener = tcp_listener_new(actor_loop(actor), &options, ret_error, error_size);
    self->port = tcp_listener_port(self->listener);
    return true;
}

static void on_closed(void *context) {
    struct fixture *self = context;
    atomic_fetch_add(&self->closed, 1);
}

static void on_stop(void *context) {
    struct fixture *self = context;
    tcp_listener_close(&self->listener, on_closed, self);
    lws_guard_close_context(&self->lws, actor_loop(self->actor), on_closed, self);
}

static void on_message(void *context, struct actor_message *message) {
    (void) context;
    memory_free(message);
}

static void start(struct fixture *self) {
    static const struct actor_callbacks callbacks = {
        .on_start = on_start, .on_message = on_message, .on_stop = on_stop, .drop_message = on_message};
    char error[256] = "";
    self->actor = actor_new("guarded", &callbacks, self, NULL, error, sizeof error);
    if (self->actor == NULL) {
        fail_msg("%s", error);
    }
}

static void finish(struct fixture *self) {
    actor_destroy(&self->actor, STOP_DEADLINE_MS);
    assert_int_equal(atomic_load(&self->closed), 2);
    assert_int_equal(atomic_load(&self->raw), 0);
}

static void assert_not_upgraded(struct fixture *self, const char *request) {
    struct raw_client client;
    raw_client_connect(&client, self->port);
    raw_client_send_text(&client, request);
    assert_true(raw_client_read_all(&client));
    assert_false(raw_client_contains(&client, " 101 "));
    raw_client_close(&client);
}

/* The request ends with the connection closed by the guard, and no 101. */
static void assert_closed(struct fixture *self, enum lws_guard_verdict verdict, const char *request) {
    unsigned before = atomic_load(&self->verdicts[verdict]);
    assert_not_upgraded(self, request);
    assert_int_equal(atomic_load(&self->verdicts[verdict]), before + 1);
}

static void a_good_handshake_gets_through(void **state) {
    (void) state;
    struct fixture self = {0};
    struct raw_client client;
    char text[64];
    start(&self);
    assert_true(raw_client_upgrade(&client, self.port, "/", ""));
    raw_client_send_frame(&client, 1, true, SPAN_LITERAL("hello"));
    assert_int_equal(raw_client_read_frame(&client, text, sizeof text), 1);
    assert_string_equal(text, "hello");
    raw_client_close(&client);
    finish(&self);
}

static void connect_never_becomes_a_raw_connection(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self);
    assert_closed(&self, LWS_GUARD_RAW, "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_closed(&self, LWS_GUARD_RAW, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\nanything");
    finish(&self);
}

static void a_bad_upgrade_after_a_keep_alive_request_is_closed(void **state) {
    (void) state;
    struct fixture self = {0};
    struct raw_client client;
    start(&self);
    for (unsigned i = 0; i < 20; i++) {
        raw_client_connect(&client, self.port);
        raw_client_send_text(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_true(raw_client_read_until(&client, "\r\n\r\nhi"));
        raw_client_send_text(&client, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n");
        assert_true(raw_client_read_all(&client));
        assert_false(raw_client_contains(&client, " 101 "));
        raw_client_close(&client);
    }
    assert_int_equal(atomic_load(&self.verdicts[LWS_GUARD_UPGRADE]), 20);
    finish(&self);
}

static void upgrades_to_anything_but_websocket_are_closed(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self);
    /* On a new connection lws answers 403 to a word it does not know, before it asks. */
    assert_not_upgraded(&self, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n");
    assert_closed(&self, LWS_GUARD_UPGRADE,
                  "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                  "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n");
    assert_closed(&self, LWS_GUARD_UPGRADE,
                  "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n");
    assert_not_upgraded(&self,
                        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                        "Upgrade: websocketwebsocketwebsocketwebsocketwebsocketwebsocketwebsocketwebsocket\r\n\r\n");
    finish(&self);
}

#define HANDSHAKE(method, host, version, key)                                                                          \
    method " / HTTP/1.1\r\n" host "Connection: Upgrade\r\nUpgrade: websocket\r\n" version key "\r\n"
#define HOST    "Host: a\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static void other_versions_than_13_are_closed(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self);
    assert_closed(&self, LWS_GUARD_VERSION, HANDSHAKE("GET", HOST, "", KEY));
    assert_closed(&self, LWS_GUARD_VERSION, HANDSHAKE("GET", HOST, "Sec-WebSocket-Version: 0\r\n", KEY));
    assert_closed(&self, LWS_GUARD_VERSION, HANDSHAKE("GET", HOST, "Sec-WebSocket-Version: 8\r\n", KEY));
    assert_closed(&self, LWS_GUARD_VERSION, HANDSHAKE("GET", HOST, "Sec-WebSocket-Version: 99\r\n", KEY));
    assert_closed(&self, LWS_GUARD_VERSION, HANDSHAKE("GET", HOST, "Sec-WebSocket-Version: 13, 8\r\n", KEY));
    assert_closed(&self, LWS_GUARD_VERSION, HANDSHAKE("GET", HOST, VERSION VERSION, KEY));
    finish(&self);
}

static void other_keys_than_one_of_24_characters_are_closed(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self);
    assert_closed(&self, LWS_GUARD_KEY, HANDSHAKE("GET", HOST, VERSION, ""));
    assert_closed(&self, LWS_GUARD_KEY, HANDSHAKE("GET", HOST, VERSION, "Sec-WebSocket-Key: x\r\n"));
    assert_closed(&self, LWS_GUARD_KEY,
                  HANDSHAKE("GET", HOST, VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==x\r\n"));
    assert_closed(&self, LWS_GUARD_KEY, HANDSHAKE("GET", HOST, VERSION, KEY KEY));
    assert_closed(
        &self, LWS_GUARD_KEY,
        HANDSHAKE("GET", HOST, VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBs\r\nSec-WebSocket-Key: ZSBub25jZQ==\r\n"));
    finish(&self);
}

static void a_handshake_needs_get_and_one_host(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self);
    assert_closed(&self, LWS_GUARD_METHOD, HANDSHAKE("POST", HOST, VERSION, KEY));
    assert_closed(&self, LWS_GUARD_HOST, HANDSHAKE("GET", "", VERSION, KEY));
    assert_closed(&self, LWS_GUARD_HOST, HANDSHAKE("GET", HOST "Host: b\r\n", VERSION, KEY));
    assert_int_equal(atomic_load(&self.established), 0);
    finish(&self);
}

static void the_http2_preface_is_not_spoken_to(void **state) {
    (void) state;
    struct fixture self = {0};
    struct raw_client client;
    start(&self);
    raw_client_connect(&client, self.port);
    raw_client_send_text(&client, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_true(raw_client_read_all(&client));
    assert_false(raw_client_contains(&client, " 200 "));
    raw_client_close(&client);
    finish(&self);
}

static void silent_peers_and_half_headers_are_closed_in_time(void **state) {
    (void) state;
    struct fixture self = {0};
    struct raw_client silent;
    struct raw_client half;
    start(&self);
    raw_client_connect(&silent, self.port);
    raw_client_connect(&half, self.port);
    raw_client_send_text(&half, "GET / HTTP/1.1\r\nHost");
    assert_true(raw_client_read_all(&silent));
    assert_true(raw_client_read_all(&half));
    raw_client_close(&silent);
    raw_client_close(&half);
    finish(&self);
}

static void a_context_closes_with_all_its_connections(void **state) {
    (void) state;
    struct fixture self = {0};
    struct raw_client clients[10];
    start(&self);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(raw_client_upgrade(&clients[i], self.port, "/", ""));
    }
    finish(&self); /* the actor checks that its loop is empty */
    for (unsigned i = 0; i < 10; i++) {
        assert_true(raw_client_read_all(&clients[i]));
        raw_client_close(&clients[i]);
    }
}

/* A root without /dev, or a process out of descriptors: libwebsockets would crash. */
static void without_a_random_device_there_is_no_context_but_a_reason(void **state) {
    (void) state;
    static const struct lws_protocols protocols[] = {{.name = "echo", .callback = on_event}, {.name = NULL}};
    const struct lws_guard_service service = {.what = "the test", .protocols = protocols};
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct rlimit limit;
    char error[256] = "";
    uv_loop_t loop;
    uv_loop_init(&loop);
    getrlimit(RLIMIT_NOFILE, &limit);
    int next = dup(0);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t) next, limit.rlim_max}), 0);
    bool is_open = lws_guard_open_context(&service, &loop, &context, &vhost, error, sizeof error);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_false(is_open);
    assert_null(context);
    assert_non_null(strstr(error, "no context for the test: /dev/urandom"));
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_handshake_gets_through),
        cmocka_unit_test(connect_never_becomes_a_raw_connection),
        cmocka_unit_test(a_bad_upgrade_after_a_keep_alive_request_is_closed),
        cmocka_unit_test(upgrades_to_anything_but_websocket_are_closed),
        cmocka_unit_test(other_versions_than_13_are_closed),
        cmocka_unit_test(other_keys_than_one_of_24_characters_are_closed),
        cmocka_unit_test(a_handshake_needs_get_and_one_host),
        cmocka_unit_test(the_http2_preface_is_not_spoken_to),
        cmocka_unit_test(silent_peers_and_half_headers_are_closed_in_time),
        cmocka_unit_test(without_a_random_device_there_is_no_context_but_a_reason),
        cmocka_unit_test(a_context_closes_with_all_its_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
