/* Raw clients that send what no SDK would: messages in pieces, closing, slow readers, reload and drain. */
#include "gateway_harness.h"

/* --- messages --- */

static void a_client_connects_subscribes_publishes_and_hears_itself(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    start(&self, ANONYMOUS);
    connect_client(&self, &client);
    send_text(&client, "{\"id\":2,\"subscribe\":{\"channel\":\"open:a\"}}");
    expect_text(&client, "{\"id\":2,\"subscribe\":{");
    send_text(&client, "{\"id\":3,\"publish\":{\"channel\":\"open:a\",\"data\":{\"n\":12345678901234567890}}}");
    /* The push and the reply, in one write or two, in either order. */
    assert_true(raw_client_read_until(&client, "\"id\":3"));
    assert_true(raw_client_read_until(&client, "{\"n\":12345678901234567890}"));
    raw_client_close(&client);
    finish(&self);
}

static void a_message_in_many_frames_and_segments_is_one_message(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    start(&self, ANONYMOUS);
    assert_true(raw_client_upgrade(&client, self.port, PATH, ""));
    struct span message = SPAN_LITERAL(CONNECT);
    raw_client_send_frame(&client, 1, false, span_of(message.data, 5));
    raw_client_send_frame(&client, 0, false, SPAN_EMPTY);
    raw_client_send_frame(&client, 9, true, SPAN_LITERAL("ping in between"));
    raw_client_send_frame(&client, 0, false, span_of(message.data + 5, 7));
    raw_client_send_frame(&client, 0, true, span_of(message.data + 12, message.size - 12));
    /* The pong waits for its turn, so the order of the two is open. */
    assert_true(raw_client_read_until(&client, "\x8a\x0fping in between"));
    assert_true(raw_client_read_until(&client, "{\"id\":1,\"connect\":{"));
    raw_client_close(&client);
    finish(&self);
}

/* A publish of `size` bytes of payload, sent as one frame. */
static char *large_publish(size_t size) {
    char *text = malloc(size + 200);
    int head = sprintf(text, "{\"id\":7,\"publish\":{\"channel\":\"open:a\",\"data\":\"");
    memset(text + head, 'x', size);
    strcpy(text + head + size, "\"}}");
    return text;
}

static void a_message_larger_than_lws_reads_at_once_arrives_whole(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    start(&self, ANONYMOUS);
    connect_client(&self, &client);
    send_text(&client, "{\"id\":2,\"subscribe\":{\"channel\":\"open:a\"}}");
    expect_text(&client, "{\"id\":2,\"subscribe\":{");
    char *text = large_publish(60000);
    send_text(&client, text);
    assert_true(raw_client_read_until(&client, "\"id\":7,\"publish\":{}"));
    assert_true(raw_client_read_until(&client, "\"push\""));
    assert_true(raw_client_read_size(&client, 60000));
    free(text);
    raw_client_close(&client);
    finish(&self);
}

static void a_message_over_the_limit_closes_with_1009(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    start(&self, ANONYMOUS);
    connect_client(&self, &client);
    char *text = large_publish(70000);
    send_text(&client, text);
    free(text);
    expect_close(&client, 1009, "message too big");
    raw_client_close(&client);
    /* Said by the frame's header, before any of it was sent. */
    connect_client(&self, &client);
    raw_client_send(&client,
                    "\x81\xff\x00\x00\x00\x00\x10\x00\x00\x00"
                    "abcd{",
                    15);
    expect_close(&client, 1009, "message too big");
    raw_client_close(&client);
    /* In pieces that are small each. */
    connect_client(&self, &client);
    uint8_t piece[1000];
    memset(piece, ' ', sizeof piece);
    for (unsigned i = 0; i < 66; i++) {
        raw_client_send_frame(&client, i == 0, false, span_of(piece, sizeof piece));
    }
    expect_close(&client, 1009, "message too big");
    raw_client_close(&client);
    finish(&self);
}

static void too_many_fragments_close_with_1008_and_empty_ones_count(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    start(&self, ANONYMOUS);
    connect_client(&self, &client);
    for (unsigned i = 0; i < 128; i++) {
        raw_client_send_frame(&client, i == 0, false, SPAN_EMPTY);
    }
    expect_close(&client, 1008, "too many fragments");
    raw_client_close(&client);
    connect_client(&self, &client);
    for (unsigned i = 0; i < 127; i++) {
        raw_client_send_frame(&client, i == 0, false, SPAN_EMPTY);
    }
    raw_client_send_frame(&client, 0, true, SPAN_LITERAL("{\"id\":9,\"ping\":{}}"));
    expect_text(&client, "\"id\":9");
    raw_client_close(&client);
    finish(&self);
}

static void a_message_that_is_not_finished_in_time_closes_with_1008(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    start(&self, "client: {allow_anonymous_connect_without_token: true, message_timeout: 200ms}\n");
    connect_client(&self, &client);
    raw_client_send_frame(&client, 1, false, SPAN_LITERAL("{\"id\":2,"));
    expect_close(&client, 1008, "message timeout");
    raw_client_close(&client);
    finish(&self);
}

static void protocol_errors_of_frames_close_the_connection(void **state) {
    (void) state;
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {"\x83\x80xxxx", 6},                              /* opcode 3 */
        {"\xc1\x80xxxx", 6},                              /* RSV1 without an extension */
        {"\x80\x80xxxx", 6},                              /* continuation of nothing */
        {"\x09\x80xxxx", 6},                              /* a fragmented ping */
        {"\x89\xfe\x00\x80xxxx", 8},                      /* a ping of 128 bytes */
        {"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10}, /* a negative size */
    };
    enum { N = sizeof bad / sizeof bad[0] };
    struct fixture self;
    struct raw_client clients[N];
    start(&self, ANONYMOUS);
    for (size_t i = 0; i < N; i++) {
        connect_client(&self, &clients[i]);
        raw_client_send(&clients[i], bad[i].bytes, bad[i].size);
    }
    /* They do not answer our close, and wait together until they are cut off. */
    for (size_t i = 0; i < N; i++) {
        assert_true(raw_client_read_all(&clients[i]));
        raw_client_close(&clients[i]);
    }
    wait_for_websockets(&self, 0);
    finish(&self);
}

/* --- closing --- */

static void a_disconnect_has_code_and_reason_and_waits_for_the_peers_close(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    start(&self, "");
    assert_true(raw_client_upgrade(&client, self.port, PATH, ""));
    send_text(&client, "{}");
    expect_close(&client, 3501, "bad request");
    assert_true(raw_client_is_quiet(&client, 200));
    /* What comes after our close frame changes nothing. */
    send_text(&client, CONNECT);
    assert_true(raw_client_is_quiet(&client, 200));
    raw_client_send_frame(&client, 8, true, SPAN_LITERAL("\x0d\xad"));
    assert_true(raw_client_read_all(&client));
    assert_int_equal(client.input.size, 0);
    raw_client_close(&client);
    wait_for_websockets(&self, 0);
    finish(&self);
}

static void a_peer_that_does_not_answer_our_close_is_cut_off(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    start(&self, "");
    assert_true(raw_client_upgrade(&client, self.port, PATH, ""));
    send_text(&client, "{}");
    expect_close(&client, 3501, "bad request");
    assert_true(raw_client_read_all(&client)); /* within the client's deadline of 20 s: it takes 5 */
    assert_int_equal(metrics_read(self.metrics, "callboard_websocket_close_timeouts_total", NULL), 1);
    raw_client_close(&client);
    finish(&self);
}

static void a_peer_that_answers_no_ping_is_cut_off_without_waiting_for_its_close(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    start(&self, "client: {allow_anonymous_connect_without_token: true, ping_interval: 1s, pong_timeout: 100ms}\n");
    connect_client(&self, &client);
    expect_close(&client, 3012, "no pong");
    assert_true(raw_client_read_all(&client));
    wait_for_websockets(&self, 0);
    assert_int_equal(metrics_read(self.metrics, "callboard_websocket_close_timeouts_total", NULL), 0);
    raw_client_close(&client);
    finish(&self);
}

static void a_peer_that_closes_first_is_answered_and_forgotten(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    char reason[128];
    start(&self, ANONYMOUS);
    connect_client(&self, &client);
    wait_for_websockets(&self, 1);
    raw_client_send_frame(&client, 8, true, SPAN_LITERAL("\x03\xe8"));
    assert_int_equal(raw_client_read_close(&client, reason, sizeof reason), 1000);
    assert_true(raw_client_read_all(&client));
    raw_client_close(&client);
    wait_for_websockets(&self, 0);
    /* Without a close frame too, and with a reset. */
    connect_client(&self, &client);
    raw_client_close(&client);
    connect_client(&self, &client);
    struct linger reset = {1, 0};
    setsockopt(client.descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    raw_client_close(&client);
    wait_for_websockets(&self, 0);
    finish(&self);
}

static void silence_after_the_upgrade_closes_with_3502(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    start(&self, "client: {connect_timeout: 200ms}\n");
    assert_true(raw_client_upgrade(&client, self.port, PATH, ""));
    expect_close(&client, 3502, "stale");
    raw_client_close(&client);
    finish(&self);
}

static void publish_large(struct raw_client *publisher, size_t size) {
    char *text = large_publish(size);
    send_text(publisher, text);
    assert_true(raw_client_read_until(publisher, "\"id\":7"));
    buffer_clear(&publisher->input);
    free(text);
}

static void a_slow_reader_is_closed_with_3008_after_what_was_sent(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client slow;
    start(&self, "client: {allow_anonymous_connect_without_token: true, outbox_bytes: 64KiB, "
                 "ping_interval: 1h, commands_per_second: 100000}\n");
    connect_client(&self, &slow);
    send_text(&slow, "{\"id\":2,\"subscribe\":{\"channel\":\"open:a\"}}");
    expect_text(&slow, "{\"id\":2,\"subscribe\":{");
    /* More than both sockets' buffers hold, while nobody reads. */
    struct raw_client publisher;
    connect_client(&self, &publisher);
    unsigned published = 0;
    while (metrics_read(self.metrics, "callboard_client_disconnects_total", "code=\"3008\",reason=\"slow\"") == 0) {
        publish_large(&publisher, 50000);
        assert_true(++published < 10000);
    }
    raw_client_close(&publisher);
    /* Everything that comes is whole frames; the last is the close. */
    char text[256];
    int opcode;
    unsigned pushes = 0;
    while ((opcode = raw_client_read_frame(&slow, text, sizeof text)) == 1) {
        assert_non_null(strstr(text, "\"push\""));
        pushes++;
    }
    assert_int_equal(opcode, 8);
    assert_int_equal((uint8_t) text[0] << 8 | (uint8_t) text[1], 3008);
    assert_string_equal(text + 2, "slow");
    assert_in_range(pushes, 1, published - 1);
    assert_true(metrics_read(self.metrics, "callboard_websocket_backlogs_total", NULL) > 0);
    raw_client_close(&slow);
    finish(&self);
}

static void a_reader_that_catches_up_gets_every_push(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client reader;
    start(&self, "client: {allow_anonymous_connect_without_token: true, outbox_bytes: 256MiB, write_stall: 1h, "
                 "ping_interval: 1h, commands_per_second: 100000}\n");
    connect_client(&self, &reader);
    send_text(&reader, "{\"id\":2,\"subscribe\":{\"channel\":\"open:a\"}}");
    expect_text(&reader, "{\"id\":2,\"subscribe\":{");
    struct raw_client publisher;
    connect_client(&self, &publisher);
    for (unsigned i = 0; i < 200; i++) {
        publish_large(&publisher, 50000);
    }
    raw_client_close(&publisher);
    for (unsigned i = 0; i < 200; i++) {
        expect_text(&reader, "\"push\"");
    }
    raw_client_close(&reader);
    finish(&self);
}

/* --- reload and drain --- */

static void a_reload_changes_what_is_reloadable(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client client;
    char text[2048];
    char error[ERROR_SIZE] = "";
    start(&self, ANONYMOUS);
    connect_client(&self, &client);
    gateway_text(text, sizeof text, self.port, "client: {connections_max: 1}\n");
    read_gateway_config(text, &self.reloaded);
    assert_true(gateway_reload(self.gateway, &self.reloaded, error, sizeof error));
    expect_refused(&self, PATH, "", "HTTP/1.1 503 ");
    send_text(&client, "{\"id\":5,\"ping\":{}}");
    expect_text(&client, "\"id\":5");
    raw_client_close(&client);
    finish(&self);
}

static void draining_is_not_ready_then_closes_all_with_3001(void **state) {
    (void) state;
    enum { CLIENTS = 20 };
    struct fixture self;
    struct raw_client clients[CLIENTS];
    start(&self, ANONYMOUS "drain: {delay: 300ms, window: 500ms}\n");
    for (unsigned i = 0; i < CLIENTS; i++) {
        connect_client(&self, &clients[i]);
    }
    gateway_drain(self.gateway);
    struct raw_client late;
    connect_client(&self, &late); /* still serving */
    assert_false(gateway_is_drained(self.gateway));
    assert_int_equal(http_get_status(self.port, "/ready"), 503);
    assert_int_equal(http_get_status(self.port, "/health"), 200);
    for (unsigned i = 0; i < CLIENTS; i++) {
        expect_close(&clients[i], 3001, "shutdown");
        raw_client_close(&clients[i]);
    }
    expect_close(&late, 3001, "shutdown");
    raw_client_close(&late);
    for (unsigned i = 0; i < 2000 && !gateway_is_drained(self.gateway); i++) {
        poll(NULL, 0, 10);
    }
    assert_true(gateway_is_drained(self.gateway));
    finish(&self);
}

static void destroying_with_open_connections_leaves_nothing(void **state) {
    (void) state;
    struct fixture self;
    struct raw_client clients[10];
    start(&self, ANONYMOUS);
    for (unsigned i = 0; i < 10; i++) {
        connect_client(&self, &clients[i]);
        send_text(&clients[i], "{\"id\":2,\"subscribe\":{\"channel\":\"open:a\"}}");
    }
    finish(&self);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(raw_client_read_all(&clients[i]));
        raw_client_close(&clients[i]);
    }
}

static void a_port_in_use_is_said_and_nothing_is_left(void **state) {
    (void) state;
    struct fixture self;
    char error[ERROR_SIZE] = "";
    start(&self, ANONYMOUS);
    int taken = free_port();
    char text[2048];
    gateway_text(text, sizeof text, taken, "");
    read_gateway_config(text, &self.reloaded);
    int holder = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_storage address = {0};
    uv_ip4_addr("127.0.0.1", taken, (struct sockaddr_in *) &address);
    assert_int_equal(bind(holder, (struct sockaddr *) &address, sizeof(struct sockaddr_in)), 0);
    assert_int_equal(listen(holder, 1), 0);
    const struct gateway_options options = {.config = &self.reloaded, .zmq_context = self.zmq, .metrics = self.metrics};
    assert_null(gateway_new(&options, error, sizeof error));
    assert_non_null(strstr(error, "Address already in use"));
    close(holder);
    finish(&self);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_connects_subscribes_publishes_and_hears_itself),
        cmocka_unit_test(a_message_in_many_frames_and_segments_is_one_message),
        cmocka_unit_test(a_message_larger_than_lws_reads_at_once_arrives_whole),
        cmocka_unit_test(a_message_over_the_limit_closes_with_1009),
        cmocka_unit_test(too_many_fragments_close_with_1008_and_empty_ones_count),
        cmocka_unit_test(a_message_that_is_not_finished_in_time_closes_with_1008),
        cmocka_unit_test(protocol_errors_of_frames_close_the_connection),
        cmocka_unit_test(a_disconnect_has_code_and_reason_and_waits_for_the_peers_close),
        cmocka_unit_test(a_peer_that_does_not_answer_our_close_is_cut_off),
        cmocka_unit_test(a_peer_that_answers_no_ping_is_cut_off_without_waiting_for_its_close),
        cmocka_unit_test(a_peer_that_closes_first_is_answered_and_forgotten),
        cmocka_unit_test(silence_after_the_upgrade_closes_with_3502),
        cmocka_unit_test(a_slow_reader_is_closed_with_3008_after_what_was_sent),
        cmocka_unit_test(a_reader_that_catches_up_gets_every_push),
        cmocka_unit_test(a_reload_changes_what_is_reloadable),
        cmocka_unit_test(draining_is_not_ready_then_closes_all_with_3001),
        cmocka_unit_test(destroying_with_open_connections_leaves_nothing),
        cmocka_unit_test(a_port_in_use_is_said_and_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
