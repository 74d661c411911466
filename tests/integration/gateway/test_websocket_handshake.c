/* What is asked before a WebSocket opens, and what is refused: paths, origins, bounds, subprotocols; and the HTTP
 * answers of the public port. */
#include "gateway_harness.h"

/* --- the handshake --- */

static void other_paths_are_404(void **state) {
    (void) state;
    struct fixture self;
    start(&self, ANONYMOUS);
    expect_refused(&self, "/", "", "HTTP/1.1 404 ");
    expect_refused(&self, "/connection/websocket/", "", "HTTP/1.1 404 ");
    expect_refused(&self, "/health", "", "HTTP/1.1 404 ");
    finish(&self);
}

static void other_pages_origins_are_403(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    char own[128];
    start(&self, ANONYMOUS);
    expect_refused(&self, PATH, "Origin: https://evil.example\r\n", "HTTP/1.1 403 ");
    expect_refused(&self, PATH, "Origin: null\r\n", "HTTP/1.1 403 ");
    snprintf(own, sizeof own, "Origin: http://127.0.0.1:%d\r\n", self.port);
    assert_true(raw_client_upgrade(&client, self.port, PATH, own));
    raw_client_close(&client);
    char twice[256];
    snprintf(twice, sizeof twice, "%s%s", own, own);
    expect_refused(&self, PATH, twice, "HTTP/1.1 403 ");
    finish(&self);
}

static void listed_origins_pass_and_one_may_be_required(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    start(&self,
          "  allowed_origins: ['https://app.example', 'https://*.cdn.example']\n  require_origin: true\n" ANONYMOUS);
    assert_true(raw_client_upgrade(&client, self.port, PATH, "Origin: https://app.example\r\n"));
    raw_client_close(&client);
    assert_true(raw_client_upgrade(&client, self.port, PATH, "Origin: https://a.cdn.example\r\n"));
    raw_client_close(&client);
    expect_refused(&self, PATH, "Origin: http://app.example\r\n", "HTTP/1.1 403 ");
    expect_refused(&self, PATH, "", "HTTP/1.1 403 ");
    finish(&self);
}

static void over_connections_max_is_503(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client clients[3];
    start(&self, "client: {allow_anonymous_connect_without_token: true, connections_max: 2}\n");
    connect_client(&self, &clients[0]);
    connect_client(&self, &clients[1]);
    expect_refused(&self, PATH, "", "HTTP/1.1 503 ");
    raw_client_close(&clients[0]);
    wait_for_websockets(&self, 1);
    connect_client(&self, &clients[2]);
    raw_client_close(&clients[1]);
    raw_client_close(&clients[2]);
    finish(&self);
}

static void expect_subprotocol(struct fixture *self, const char *offered, const char *chosen) {
    struct raw_client client;
    char text[512];
    raw_client_connect(&client, self->port);
    snprintf(text, sizeof text,
             "GET " PATH " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Protocol: %s\r\n\r\n",
             offered);
    raw_client_send_text(&client, text);
    assert_true(raw_client_read_until(&client, "\r\n\r\n"));
    assert_true(raw_client_starts_with(&client, "HTTP/1.1 101 "));
    snprintf(text, sizeof text, "Sec-WebSocket-Protocol: %s\r\n", chosen);
    assert_true(raw_client_contains(&client, text));
    assert_true(raw_client_contains(&client, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    raw_client_close(&client);
}

static void the_first_subprotocol_of_ours_is_echoed_and_others_are_closed(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    start(&self, ANONYMOUS);
    expect_subprotocol(&self, "centrifuge-json", "centrifuge-json");
    expect_subprotocol(&self, "centrifuge-protobuf", "centrifuge-protobuf");
    expect_subprotocol(&self, "centrifuge-protobuf, centrifuge-json", "centrifuge-protobuf");
    expect_subprotocol(&self, "mqtt, centrifuge-json, centrifuge-protobuf", "centrifuge-json");
    assert_false(raw_client_upgrade(&client, self.port, PATH, "Sec-WebSocket-Protocol: mqtt\r\n"));
    assert_true(client.is_closed);
    raw_client_close(&client);
    finish(&self);
}

/* An anonymous connect command in protobuf is answered in a binary frame, whatever the opcode it came in. */
static void expect_protobuf(struct raw_client *client, unsigned opcode) {
    static const uint8_t connect[] = {4, 0x08, 1, 0x22, 0};
    char reply[256];
    raw_client_send_frame(client, opcode, true, span_of(connect, sizeof connect));
    assert_int_equal(raw_client_read_frame(client, reply, sizeof reply), WEBSOCKET_BINARY);
    assert_memory_equal(reply + 1, "\x08\x01\x2a", 3); /* behind the length: id 1, connect */
}

static void protobuf_is_asked_for_by_query_or_subprotocol(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    start(&self, ANONYMOUS);
    static const char *const paths[] = {PATH "?a=b&format=protobuf", PATH "?cf_protocol=protobuf"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_true(raw_client_upgrade(&client, self.port, paths[i], ""));
        expect_protobuf(&client, WEBSOCKET_BINARY);
        raw_client_close(&client);
    }
    assert_true(raw_client_upgrade(&client, self.port, PATH, "Sec-WebSocket-Protocol: centrifuge-protobuf\r\n"));
    expect_protobuf(&client, WEBSOCKET_TEXT);
    raw_client_send_frame(&client, WEBSOCKET_BINARY, true, SPAN_LITERAL("\x05{}"));
    expect_close(&client, 3501, "bad request");
    raw_client_close(&client);
    assert_true(raw_client_upgrade(&client, self.port, PATH "?cf_protocol=json", ""));
    send_text(&client, CONNECT);
    expect_text(&client, "{\"id\":1,\"connect\":{");
    raw_client_close(&client);
    finish(&self);
}

static void many_handshakes_from_one_source_are_closed_at_accept(void **state) {
    (void) state;
    struct fixture self;
    start(&self, ANONYMOUS);
    finish(&self);
    start(&self, "client: {handshakes_per_source: 1}\n");
    unsigned closed = 0;
    for (unsigned i = 0; i < 30; i++) {
        struct raw_client client;
        if (!raw_client_upgrade(&client, self.port, PATH, "")) {
            closed++;
        }
        raw_client_close(&client);
    }
    /* 5 at once for each of two workers, less those that asked for /ready. */
    assert_in_range(closed, 15, 30);
    assert_true(metrics_read(self.metrics, "callboard_gateway_accept_refused_total", "reason=\"source\"") >= closed);
    finish(&self);
}

/* --- HTTP --- */

static void the_public_port_answers_health_and_hides_the_rest(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    start(&self, ANONYMOUS);
    connect_client(&self, &client);
    assert_int_equal(http_get_status(self.port, "/health"), 200);
    assert_int_equal(http_get_status(self.port, "/ws/health"), 200);
    assert_int_equal(http_get_status(self.port, "/ws/stats"), 404);
    assert_int_equal(http_get_status(self.port, "/health/redis"), 404);
    assert_int_equal(http_get_status(self.port, "/metrics"), 404);
    assert_int_equal(http_get_status(self.port, "/"), 404);
    for (unsigned i = 0;; i++) {
        struct http_got got = http_get(self.port, "/ws/health", NULL, 5000);
        bool counted = strstr(got.body, "\"local\":1,\"alive\":1,\"dead\":0},\"redis\":{\"connected\":false,"
                                        "\"pubsub_connected\":false,\"mode\":\"memory\"}}") != NULL &&
                       strstr(got.body, "{\"status\":\"ok\",\"connections\":{\"total\":1,") != NULL;
        http_got_finish(&got);
        if (counted) {
            break;
        }
        assert_true(i < 300);
        poll(NULL, 0, 20);
    }
    raw_client_close(&client);
    finish(&self);
}

static void details_are_public_where_configured(void **state) {
    (void) state;
    struct fixture self;
    start(&self, "  public_health_details: true\n");
    struct http_got got = http_get(self.port, "/ws/stats", NULL, 5000);
    assert_int_equal(got.status, 200);
    assert_non_null(strstr(got.body, "{\"local_connections\":0,\"local_users\":0,\"redis_enabled\":false,"));
    http_got_finish(&got);
    assert_int_equal(http_get_status(self.port, "/health/redis"), 200);
    assert_int_equal(http_get_status(self.port, "/metrics"), 404);
    finish(&self);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_paths_are_404),
        cmocka_unit_test(other_pages_origins_are_403),
        cmocka_unit_test(listed_origins_pass_and_one_may_be_required),
        cmocka_unit_test(over_connections_max_is_503),
        cmocka_unit_test(the_first_subprotocol_of_ours_is_echoed_and_others_are_closed),
        cmocka_unit_test(protobuf_is_asked_for_by_query_or_subprotocol),
        cmocka_unit_test(many_handshakes_from_one_source_are_closed_at_accept),
        cmocka_unit_test(the_public_port_answers_health_and_hides_the_rest),
        cmocka_unit_test(details_are_public_where_configured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
