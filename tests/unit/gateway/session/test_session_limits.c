/* What ends a session or holds it up: the rate of commands, slow readers, closing and draining. */
#include "session_harness.h"

#include "base/metrics.h"
#include "gateway/session/session_commands.h"

/* ---- rate ---- */

static unsigned count_text(const char *text, const char *part) {
    unsigned n = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        n++;
    }
    return n;
}

static void send_pings(unsigned n) {
    struct buffer message = BUFFER_EMPTY;
    for (unsigned i = 0; i < n; i++) {
        buffer_append_text(&message, i == 0 ? "" : "\n");
        buffer_append_text(&message, "{\"id\":7,\"ping\":{}}");
    }
    session_on_message(t.session, buffer_span(&message));
    flush();
    buffer_finish(&message);
}

static void test_a_burst_of_twice_the_rate_passes_and_what_is_over_it_gets_111(void **state) {
    (void) state;
    connect_user();
    send_pings(250);
    const char *text = written();
    assert_int_equal(count_text(text, "{\"id\":7,\"ping\":{}}"), 200);
    assert_int_equal(count_text(text, "{\"id\":7,\"error\":{\"code\":111,"), 50);
    assert_open();
}

static void test_the_allowed_rate_may_go_on_for_ever(void **state) {
    (void) state;
    connect_user();
    send_pings(200);
    written();
    for (int i = 0; i < 50; i++) {
        pass_ms(100);
        send_pings(10);
        assert_int_equal(count_text(written(), "error"), 0);
    }
    assert_open();
}

static void test_the_third_second_over_the_rate_is_the_end(void **state) {
    (void) state;
    connect_user();
    send_pings(300);
    pass_ms(1000);
    send_pings(300);
    assert_open();
    pass_ms(1000);
    send_pings(300);
    assert_closed(3013, "too many requests");
}

static void test_a_client_that_was_quiet_long_enough_begins_anew(void **state) {
    (void) state;
    connect_user();
    for (int i = 0; i < 5; i++) {
        send_pings(300);
        pass_ms(2100);
    }
    assert_open();
}

static void test_rate_0_is_no_limit(void **state) {
    (void) state;
    connect_user();
    t.config.commands_per_second = 0;
    send_pings(1000);
    assert_int_equal(count_text(written(), "error"), 0);
}

/* ---- slow readers ---- */

static void test_after_a_backlog_nothing_is_written_until_there_is_room(void **state) {
    (void) state;
    connect_user();
    subscribe_plainly("plain:a");
    t.transport.answer = TRANSPORT_BACKLOG;
    deliver("plain:a", "1");
    flush();
    unsigned before = t.transport.n_writes;
    deliver("plain:a", "2");
    deliver("plain:a", "3");
    flush();
    assert_int_equal(t.transport.n_writes, before);
    t.transport.answer = TRANSPORT_TAKEN;
    session_on_writable(t.session);
    flush();
    assert_int_equal(t.transport.n_writes, before + 1);
    assert_written("1\n2\n3\n");
    pass_ms(11000);
    assert_open();
}

static void test_a_write_that_stalls_ends_the_session(void **state) {
    (void) state;
    connect_user();
    t.transport.answer = TRANSPORT_BACKLOG;
    receive("{\"id\":2,\"ping\":{}}");
    pass_ms(9900);
    assert_open();
    pass_ms(200);
    assert_closed(3008, "slow");
}

static void test_an_outbox_over_its_bytes_ends_the_session(void **state) {
    (void) state;
    connect_user();
    subscribe_plainly("plain:a");
    t.config.outbox_bytes = 10;
    t.transport.answer = TRANSPORT_BACKLOG;
    deliver("plain:a", "1234");
    flush();
    deliver("plain:a", "1234");
    deliver("plain:a", "1234");
    assert_open();
    deliver("plain:a", "1234");
    assert_open(); /* not while the hub walks its members */
    assert_non_null(hub_call("plain:a")->member);
    flush();
    assert_closed(3008, "slow");
    assert_null(hub_call("plain:a")->member);
}

static void test_an_outbox_over_its_frames_ends_the_session(void **state) {
    (void) state;
    connect_user();
    subscribe_plainly("plain:a");
    t.config.outbox_frames = 3;
    t.transport.answer = TRANSPORT_BACKLOG;
    deliver("plain:a", "1");
    flush();
    for (int i = 0; i < 4; i++) {
        deliver("plain:a", "1");
    }
    flush();
    assert_closed(3008, "slow");
}

static void test_a_burst_above_the_outbox_is_written_to_a_reader_who_takes_it(void **state) {
    (void) state;
    connect_user();
    subscribe_plainly("plain:a");
    written();
    t.config.outbox_frames = 3;
    for (int i = 0; i < 7; i++) {
        deliver("plain:a", "1");
    }
    flush();
    assert_written("1\n1\n1\n1\n1\n1\n1\n");
    assert_open();
}

static void test_a_burst_meets_a_dead_connection_half_way(void **state) {
    (void) state;
    connect_user();
    subscribe_plainly("plain:a");
    t.config.outbox_frames = 3;
    t.transport.answer = TRANSPORT_DEAD;
    for (int i = 0; i < 7; i++) {
        deliver("plain:a", "1");
    }
    assert_non_null(hub_call("plain:a")->member); /* not while the hub walks its members */
    flush();
    assert_null(hub_call("plain:a")->member);
}

static void test_one_reply_may_be_larger_than_the_outbox(void **state) {
    (void) state;
    connect_user();
    t.config.outbox_bytes = 64;
    receive("{\"id\":2,\"history\":{\"channel\":\"news\",\"limit\":10}}");
    struct buffer publications = BUFFER_EMPTY;
    char data[203];
    memset(data, '1', 202);
    data[202] = '\0';
    wire_append_publication(&publications, &(struct wire_publication){.offset = 1, .data = span_of_text(data)});
    answer(last_call(), &(struct broker_answer){.n = 1, .bytes = buffer_span(&publications), .position.offset = 1});
    buffer_finish(&publications);
    assert_open();
    assert_true(strlen(written()) > 200);
}

static void test_the_budget_over_all_sessions_counts(void **state) {
    (void) state;
    connect_user();
    subscribe_plainly("plain:a");
    quota_init(&t.environment.outbox_budget, 3, NULL);
    t.transport.answer = TRANSPORT_BACKLOG;
    deliver("plain:a", "1");
    flush();
    deliver("plain:a", "1");
    deliver("plain:a", "2");
    flush();
    assert_closed(3008, "slow");
}

/* ---- the end ---- */

static void test_a_dead_connection_is_not_closed_again(void **state) {
    (void) state;
    connect_user();
    t.transport.answer = TRANSPORT_DEAD;
    receive("{\"id\":2,\"ping\":{}}");
    assert_open();
    assert_int_equal(t.environment.connections, 0);
    pass_ms(60000);
    assert_open();
}

static void test_a_closed_session_leaves_everything(void **state) {
    (void) state;
    connect_user();
    subscribe_plainly("plain:a");
    receive(
        "{\"id\":3,\"subscribe\":{\"channel\":\"plain:b\"}}\n{\"id\":4,\"publish\":{\"channel\":\"c\",\"data\":1}}\n"
        "{\"id\":5,\"unsubscribe\":{\"channel\":\"plain:b\"}}");
    assert_non_null(last_call()->request);
    session_on_closed(&t.session);
    assert_null(t.session);
    assert_null(hub_call("plain:a")->member);
    assert_null(hub_call("plain:b")->member);
    assert_null(last_call()->request);
    assert_int_equal(t.environment.connections, 0);
}

static void test_a_session_that_never_spoke_goes_as_well(void **state) {
    (void) state;
    session_on_closed(&t.session);
    assert_null(t.session);
    session_on_closed(&t.session);
}

static void test_draining_closes_some_at_a_time(void **state) {
    (void) state;
    connect_user();
    struct test_transport others[3];
    session_t *sessions[3];
    for (int i = 0; i < 3; i++) {
        others[i] = (struct test_transport){.base = {&test_methods}, .answer = TRANSPORT_TAKEN};
        sessions[i] = session_new(&t.environment, &others[i].base, CLIENT_ENCODING_JSON);
    }
    assert_int_equal(session_drain_some(&t.environment, 2), 2);
    flush();
    int n_closed = (t.transport.close_code == 3001) + (others[0].close_code == 3001) + (others[1].close_code == 3001) +
                   (others[2].close_code == 3001);
    assert_int_equal(n_closed, 2);
    assert_int_equal(session_drain_some(&t.environment, 10), 2);
    assert_int_equal(session_drain_some(&t.environment, 10), 0);
    flush();
    assert_closed(3001, "shutdown");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(others[i].close_code, 3001);
        session_on_closed(&sessions[i]);
    }
}

static void test_users_are_counted_once(void **state) {
    (void) state;
    connect_user();
    struct test_transport other = {.base = {&test_methods}, .answer = TRANSPORT_TAKEN};
    session_t *second = session_new(&t.environment, &other.base, CLIENT_ENCODING_JSON);
    char message[2048];
    snprintf(message, sizeof message, "{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\"}"));
    session_on_message(second, span_of_text(message));
    assert_int_equal(t.environment.connections, 2);
    assert_int_equal(t.environment.users, 1);
    session_on_closed(&second);
    assert_int_equal(t.environment.users, 1);
    buffer_finish(&other.written);
}

static void test_metrics_tell_commands_errors_and_disconnects(void **state) {
    (void) state;
    metrics_t *registry = metrics_new();
    t.environment.metrics = metric_values_new(registry, session_metric_table, session_metric_count);
    connect_user();
    receive("{\"id\":9,\"rpc\":{\"method\":\"m\"}}");
    assert_int_equal(metrics_read(registry, "callboard_client_connections", NULL), 1);
    t.transport.answer = TRANSPORT_BACKLOG;
    receive("{\"id\":8,\"ping\":{}}");
    receive("{\"id\":9,\"ping\":{}}");
    flush();
    session_environment_show(&t.environment);
    assert_true(metrics_read(registry, "callboard_client_outbox_bytes", NULL) > 0);
    assert_int_equal(metrics_read(registry, "callboard_client_commands_total", "command=\"rpc\""), 1);
    assert_int_equal(metrics_read(registry, "callboard_client_errors_total", "code=\"108\",reason=\"not_available\""),
                     1);
    receive("nonsense");
    assert_int_equal(metrics_read(registry, "callboard_client_connections", NULL), 0);
    assert_int_equal(
        metrics_read(registry, "callboard_client_disconnects_total", "code=\"3501\",reason=\"bad request\""), 1);
    session_on_closed(&t.session);
    metric_values_destroy(&t.environment.metrics);
    metrics_destroy(&registry);
}

enum { SHUFFLED = 64 };

static void test_the_order_of_a_drain_is_chance(void **state) {
    (void) state;
    struct session_environment environment;
    static struct session sessions[SHUFFLED];
    unsigned n = 0;
    unsigned in_place = 0;
    bool was_there[SHUFFLED] = {false};
    list_init(&environment.sessions);
    session_shuffle(&environment);
    assert_true(list_is_empty(&environment.sessions));
    for (unsigned i = 0; i < SHUFFLED; i++) {
        list_push_back(&environment.sessions, &sessions[i].link);
    }
    session_shuffle(&environment);
    list_for_each (link, &environment.sessions) {
        size_t which = (size_t) (list_entry(link, struct session, link) - sessions);
        assert_false(was_there[which]);
        was_there[which] = true;
        in_place += which == n++;
    }
    assert_int_equal(n, SHUFFLED);
    assert_true(in_place < SHUFFLED / 2); /* one is, by chance; half of them once in 10^42 times */
}

/* ---- age ---- */

enum { AGE_MS = 100000, AGED = 24 };

/* Ms from the connect to the close; 0: still open after AGE_MS. */
static uint64_t age_at_the_end(void) {
    t.config.pong_timeout_ms = config_of_test.pong_timeout_ms;
    connect_user();
    t.config.pong_timeout_ms = 0; /* nobody answers pings here */
    uint64_t begun_ms = clock_monotonic_ms();
    for (int i = 0; i <= AGE_MS / 1000 && t.transport.close_code == 0; i++) {
        pass_ms(1000);
    }
    return t.transport.close_code == 0 ? 0 : clock_monotonic_ms() - begun_ms;
}

static void open_next(void) {
    session_on_closed(&t.session);
    written();
    buffer_finish(&t.transport.written);
    open_session();
}

static void test_an_old_connection_is_sent_away_at_an_age_by_chance(void **state) {
    (void) state;
    metrics_t *registry = metrics_new();
    t.environment.metrics = metric_values_new(registry, session_metric_table, session_metric_count);
    t.config.connection_age_max_ms = AGE_MS;
    uint64_t youngest = UINT64_MAX;
    uint64_t oldest = 0;
    for (unsigned i = 0; i < AGED; i++) {
        uint64_t age_ms = age_at_the_end();
        assert_closed(3011, "force reconnect");
        assert_in_range(age_ms, AGE_MS / 100 * 80, AGE_MS + 1000);
        youngest = age_ms < youngest ? age_ms : youngest;
        oldest = age_ms > oldest ? age_ms : oldest;
        open_next();
    }
    assert_true(oldest - youngest > AGE_MS / 20); /* not so once in 10^11 times */
    assert_int_equal(metrics_read(registry, "callboard_client_aged_total", NULL), AGED);
    session_on_closed(&t.session);
    metric_values_destroy(&t.environment.metrics);
    metrics_destroy(&registry);
}

static void test_age_0_is_no_bound_also_for_who_came_under_one(void **state) {
    (void) state;
    assert_int_equal(age_at_the_end(), 0);
    open_next();
    t.config.pong_timeout_ms = config_of_test.pong_timeout_ms;
    t.config.connection_age_max_ms = AGE_MS;
    connect_user();
    t.config.pong_timeout_ms = 0;
    t.config.connection_age_max_ms = 0; /* as a reload does */
    pass_ms(AGE_MS);
    assert_open();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        session_test(test_a_burst_of_twice_the_rate_passes_and_what_is_over_it_gets_111),
        session_test(test_the_allowed_rate_may_go_on_for_ever),
        session_test(test_the_third_second_over_the_rate_is_the_end),
        session_test(test_a_client_that_was_quiet_long_enough_begins_anew),
        session_test(test_rate_0_is_no_limit),
        session_test(test_after_a_backlog_nothing_is_written_until_there_is_room),
        session_test(test_a_write_that_stalls_ends_the_session),
        session_test(test_an_outbox_over_its_bytes_ends_the_session),
        session_test(test_an_outbox_over_its_frames_ends_the_session),
        session_test(test_a_burst_above_the_outbox_is_written_to_a_reader_who_takes_it),
        session_test(test_a_burst_meets_a_dead_connection_half_way),
        session_test(test_one_reply_may_be_larger_than_the_outbox),
        session_test(test_the_budget_over_all_sessions_counts),
        session_test(test_a_dead_connection_is_not_closed_again),
        session_test(test_a_closed_session_leaves_everything),
        session_test(test_a_session_that_never_spoke_goes_as_well),
        session_test(test_draining_closes_some_at_a_time),
        session_test(test_users_are_counted_once),
        session_test(test_metrics_tell_commands_errors_and_disconnects),
        session_test(test_an_old_connection_is_sent_away_at_an_age_by_chance),
        session_test(test_age_0_is_no_bound_also_for_who_came_under_one),
        cmocka_unit_test(test_the_order_of_a_drain_is_chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
