/* The internal HTTP listener over real sockets: what it answers, and what it refuses. The probes of security.md S13–S17
 * and S42 that concern plain HTTP are here; those of the WebSocket handshake in test_lws_guard.c. */
#include "base/actor.h"
#include "base/http_service.h"
#include "base/memory.h"
#include "tests/support/free_port.h"
#include "tests/support/raw_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include <cmocka.h>

enum { STOP_DEADLINE_MS = 20000, LARGE = 3 * 1024 * 1024 };

struct fixture {
    actor_t *actor;
    const char *token;
    http_service_t *service;
    int port;
    atomic_bool closed;
};

static void answer_hello(void *context, struct http_answer *answer) {
    (void) context;
    buffer_append_text(&answer->body, "{\"hello\":1}");
}

static void answer_degraded(void *context, struct http_answer *answer) {
    (void) context;
    answer->status = 503;
    answer->content_type = "text/plain";
    answer->extra_header = "Retry-After: 1";
    buffer_append_text(&answer->body, "down\n");
}

static void answer_large(void *context, struct http_answer *answer) {
    (void) context;
    buffer_reserve(&answer->body, LARGE);
    memset(answer->body.data, 'x', LARGE);
    answer->body.size = LARGE;
}

static const struct http_endpoint endpoints[] = {
    {"/hello", answer_hello, NULL, false},
    {"/degraded", answer_degraded, NULL, true},
    {"/large", answer_large, NULL, false},
};

static bool on_start(void *context, actor_t *actor, char *ret_error, size_t error_size) {
    struct fixture *self = context;
    struct http_service_options options = {.address = "127.0.0.1",
                                           .port = free_port(),
                                           .bearer_token = self->token,
                                           .endpoints = endpoints,
                                           .n_endpoints = 3};
    self->service = http_service_new(actor_loop(actor), &options, ret_error, error_size);
    if (self->service != NULL) {
        self->port = http_service_port(self->service);
    }
    return self->service != NULL;
}

static void on_closed(void *context) {
    struct fixture *self = context;
    atomic_store(&self->closed, true);
}

static void on_stop(void *context) {
    struct fixture *self = context;
    http_service_close(&self->service, on_closed, self);
}

static void on_message(void *context, struct actor_message *message) {
    (void) context;
    memory_free(message);
}

static void start(struct fixture *self) {
    static const struct actor_callbacks callbacks = {
        .on_start = on_start, .on_message = on_message, .on_stop = on_stop, .drop_message = on_message};
    char error[256] = "";
    self->actor = actor_new("http", &callbacks, self, NULL, error, sizeof error);
    if (self->actor == NULL) {
        fail_msg("%s", error);
    }
}

static void finish(struct fixture *self) {
    actor_destroy(&self->actor, STOP_DEADLINE_MS);
    assert_true(atomic_load(&self->closed));
}

/* Sends and reads until the server closes. */
static void ask(struct fixture *self, struct raw_client *client, const char *request) {
    raw_client_connect(client, self->port);
    raw_client_send_text(client, request);
    assert_true(raw_client_read_all(client));
}

static void assert_refused(struct fixture *self, const char *request, const char *status) {
    struct raw_client client;
    ask(self, &client, request);
    if (status == NULL) {
        assert_int_equal(client.input.size, 0);
    } else {
        assert_true(raw_client_starts_with(&client, status));
        assert_true(raw_client_contains(&client, "\r\nConnection: close\r\n"));
    }
    raw_client_close(&client);
}

static void a_path_of_the_table_is_answered_once_and_the_connection_closed(void **state) {
    (void) state;
    struct fixture self = {0};
    struct raw_client client;
    start(&self);
    raw_client_connect(&client, self.port);
    raw_client_send_text(&client, "GET /hello?x=1 HTTP/1.1\r\nHost: a\r\n\r\nGET /status HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(raw_client_read_all(&client));
    assert_true(raw_client_starts_with(&client, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"));
    assert_true(raw_client_contains(&client, "\r\nContent-Length: 11\r\n"));
    assert_true(raw_client_contains(&client, "\r\nConnection: close\r\n\r\n{\"hello\":1}"));
    assert_int_equal(client.input.data[client.input.size - 1], '}');
    raw_client_close(&client);
    finish(&self);
}

static void head_has_the_length_and_no_body(void **state) {
    (void) state;
    struct fixture self = {0};
    struct raw_client client;
    start(&self);
    ask(&self, &client, "HEAD /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_true(raw_client_starts_with(&client, "HTTP/1.1 200 OK\r\n"));
    assert_true(raw_client_contains(&client, "\r\nContent-Length: 11\r\n"));
    assert_false(raw_client_contains(&client, "hello"));
    raw_client_close(&client);
    finish(&self);
}

static void a_handler_chooses_status_type_and_a_header(void **state) {
    (void) state;
    struct fixture self = {0};
    struct raw_client client;
    start(&self);
    ask(&self, &client, "GET /degraded HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_true(raw_client_starts_with(&client, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"));
    assert_true(raw_client_contains(&client, "\r\nRetry-After: 1\r\n"));
    assert_true(raw_client_contains(&client, "\r\n\r\ndown\n"));
    raw_client_close(&client);
    finish(&self);
}

static void an_answer_larger_than_the_socket_buffer_arrives_whole(void **state) {
    (void) state;
    struct fixture self = {0};
    struct raw_client client;
    start(&self);
    ask(&self, &client, "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_true(raw_client_starts_with(&client, "HTTP/1.1 200 OK\r\n"));
    const uint8_t *end = memmem(client.input.data, client.input.size, "\r\n\r\n", 4);
    assert_int_equal(client.input.size - (size_t) (end + 4 - client.input.data), LARGE);
    raw_client_close(&client);
    finish(&self);
}

static void what_is_not_in_the_table_is_404_and_closed(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self);
    assert_refused(&self, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 Not Found\r\n");
    assert_refused(&self, "GET /hello/ HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 Not Found\r\n");
    assert_refused(&self, "GET /../hello2 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 Not Found\r\n");
    finish(&self);
}

static void other_methods_are_405_and_closed(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self);
    assert_refused(&self, "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
                   "HTTP/1.1 405 Method Not Allowed\r\n");
    assert_refused(&self, "DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n");
    assert_refused(&self, "OPTIONS /hello HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n");
    finish(&self);
}

static void bodies_and_missing_hosts_are_400_and_closed(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self);
    assert_refused(&self, "GET /hello HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n");
    assert_refused(&self, "GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n");
    assert_refused(&self, "GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
                   "HTTP/1.1 400 Bad Request\r\n");
    assert_refused(&self, "GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
                   "HTTP/1.1 400 Bad Request\r\n");
    assert_refused(&self, "GET /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                   "HTTP/1.1 400 Bad Request\r\n");
    finish(&self);
}

static void connect_upgrades_and_http2_are_closed_without_an_answer(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self);
    assert_refused(&self, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", NULL);
    assert_refused(&self,
                   "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                   NULL);
    assert_refused(&self,
                   "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                   "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
                   NULL);
    struct raw_client client;
    ask(&self, &client, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_false(raw_client_contains(&client, "HTTP/1.1 200"));
    raw_client_close(&client);
    finish(&self);
}

static void a_bearer_token_is_asked_where_one_is_set(void **state) {
    (void) state;
    struct fixture self = {.token = "s3cret"};
    struct raw_client client;
    start(&self);
    assert_refused(&self, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 401 Unauthorized\r\n");
    assert_refused(&self, "GET /hello HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s3creT\r\n\r\n",
                   "HTTP/1.1 401 Unauthorized\r\n");
    assert_refused(&self, "GET /hello HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s3cret1\r\n\r\n",
                   "HTTP/1.1 401 Unauthorized\r\n");
    assert_refused(&self, "GET /hello HTTP/1.1\r\nHost: a\r\nAuthorization: Basic s3cret\r\n\r\n",
                   "HTTP/1.1 401 Unauthorized\r\n");
    /* Which paths there are is not told either. */
    assert_refused(&self, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 401 Unauthorized\r\n");
    ask(&self, &client, "GET /hello HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s3cret\r\nConnection: close\r\n\r\n");
    assert_true(raw_client_starts_with(&client, "HTTP/1.1 200 OK\r\n"));
    raw_client_close(&client);
    ask(&self, &client, "GET /degraded HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_true(raw_client_starts_with(&client, "HTTP/1.1 503 "));
    raw_client_close(&client);
    finish(&self);
}

/* What comes through a proxy that keeps Authorization for itself. */
static void the_token_may_stand_in_a_header_of_its_own(void **state) {
    (void) state;
    struct fixture self = {.token = "s3cret"};
    struct raw_client client;
    start(&self);
    ask(&self, &client, "GET /hello HTTP/1.1\r\nHost: a\r\nX-Callboard-Token: s3cret\r\nConnection: close\r\n\r\n");
    assert_true(raw_client_starts_with(&client, "HTTP/1.1 200 OK\r\n"));
    raw_client_close(&client);
    assert_refused(&self, "GET /hello HTTP/1.1\r\nHost: a\r\nX-Callboard-Token: s3creT\r\n\r\n",
                   "HTTP/1.1 401 Unauthorized\r\n");
    assert_refused(&self,
                   "GET /hello HTTP/1.1\r\nHost: a\r\nX-Callboard-Token: s3cret\r\nAuthorization: Bearer "
                   "s3cret\r\n\r\n",
                   "HTTP/1.1 401 Unauthorized\r\n");
    for (unsigned i = 0; i < 8; i++) { /* two guesses were made above */
        assert_refused(&self, "GET /hello HTTP/1.1\r\nHost: a\r\nX-Callboard-Token: guess\r\n\r\n",
                       "HTTP/1.1 401 Unauthorized\r\n");
    }
    assert_refused(&self, "GET /hello HTTP/1.1\r\nHost: a\r\nX-Callboard-Token: s3cret\r\n\r\n",
                   "HTTP/1.1 429 Too Many Requests\r\n");
    finish(&self);
}

static void who_gives_ten_wrong_tokens_waits(void **state) {
    (void) state;
    struct fixture self = {.token = "s3cret"};
    struct raw_client client;
    start(&self);
    for (unsigned i = 0; i < 12; i++) { /* without a token it is no guess */
        assert_refused(&self, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 401 Unauthorized\r\n");
    }
    for (unsigned i = 0; i < 10; i++) {
        assert_refused(&self, "GET /hello HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer guess\r\n\r\n",
                       "HTTP/1.1 401 Unauthorized\r\n");
    }
    assert_refused(&self, "GET /hello HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s3cret\r\n\r\n",
                   "HTTP/1.1 429 Too Many Requests\r\n");
    ask(&self, &client, "GET /degraded HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); /* probes */
    assert_true(raw_client_starts_with(&client, "HTTP/1.1 503 "));
    raw_client_close(&client);
    finish(&self);
}

static void half_a_request_is_closed_after_the_timeout(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self);
    assert_refused(&self, "GET /hello HTTP/1.1\r\nHo", NULL);
    finish(&self);
}

static void a_port_in_use_is_named_in_the_error(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self);
    uv_loop_t loop;
    uv_loop_init(&loop);
    char error[256] = "";
    struct http_service_options options = {.address = "127.0.0.1", .port = self.port, .endpoints = endpoints};
    assert_null(http_service_new(&loop, &options, error, sizeof error));
    char expected[128];
    snprintf(expected, sizeof expected, "cannot listen on 127.0.0.1 port %d: Address already in use", self.port);
    assert_string_equal(error, expected);
    options.address = "localhost";
    assert_null(http_service_new(&loop, &options, error, sizeof error));
    assert_string_equal(error, "cannot listen on localhost: not an IPv4 or IPv6 address");
    assert_int_equal(uv_loop_close(&loop), 0);
    finish(&self);
}

static void closing_with_open_connections_leaves_nothing_in_the_loop(void **state) {
    (void) state;
    struct fixture self = {0};
    struct raw_client clients[5];
    start(&self);
    for (unsigned i = 0; i < 5; i++) {
        raw_client_connect(&clients[i], self.port);
        raw_client_send_text(&clients[i], "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_true(raw_client_read_until(&clients[i], "{\"hello\":1}"));
    }
    finish(&self); /* actor_destroy checks that the loop is empty */
    for (unsigned i = 0; i < 5; i++) {
        assert_true(raw_client_read_all(&clients[i]));
        raw_client_close(&clients[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_of_the_table_is_answered_once_and_the_connection_closed),
        cmocka_unit_test(head_has_the_length_and_no_body),
        cmocka_unit_test(a_handler_chooses_status_type_and_a_header),
        cmocka_unit_test(an_answer_larger_than_the_socket_buffer_arrives_whole),
        cmocka_unit_test(what_is_not_in_the_table_is_404_and_closed),
        cmocka_unit_test(other_methods_are_405_and_closed),
        cmocka_unit_test(bodies_and_missing_hosts_are_400_and_closed),
        cmocka_unit_test(connect_upgrades_and_http2_are_closed_without_an_answer),
        cmocka_unit_test(a_bearer_token_is_asked_where_one_is_set),
        cmocka_unit_test(the_token_may_stand_in_a_header_of_its_own),
        cmocka_unit_test(who_gives_ten_wrong_tokens_waits),
        cmocka_unit_test(half_a_request_is_closed_after_the_timeout),
        cmocka_unit_test(a_port_in_use_is_named_in_the_error),
        cmocka_unit_test(closing_with_open_connections_leaves_nothing_in_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
