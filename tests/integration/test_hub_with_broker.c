/* The gateway's upper side (hub, requests, links) against a whole broker on the memory engine, over inproc as in the
 * appliance: what one says the other must understand. */
#include "base/clock.h"
#include "base/curve_keys.h"
#include "base/log.h"
#include "broker/broker.h"
#include "gateway/hub.h"
#include "tests/support/free_port.h"
#include "tests/support/gateway_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ENDPOINT "inproc://hub-with-broker"

enum { DEADLINE_MS = 60000 };

static const char config_text[] = "broker:\n"
                                  "  id: broker-1\n"
                                  "  shards: 2\n"
                                  "backend:\n"
                                  "  endpoint: \"\"\n"
                                  "  pull_endpoint: \"\"\n"
                                  "namespaces:\n"
                                  "  - name: news\n"
                                  "    history_size: 100\n"
                                  "    history_ttl: 1h\n"
                                  "    presence: true\n"
                                  "    join_leave: true\n"
                                  "  - name: long\n"
                                  "    history_size: 20000\n"
                                  "    history_ttl: 1h\n"
                                  "  - name: plain\n";

static struct broker_config config;
static struct config_part part = {&broker_config_table, &config};
static struct gateway_bench bench;
static metrics_t *broker_metrics;
static broker_t *broker;
static hub_t *hub;
static bool is_on_tcp;

struct viewer {
    struct hub_member member;
    unsigned n_joined, n_failed, n_lost, n_joins, n_leaves;
    struct hub_joined joined;
    uint64_t n_delivered;
    uint64_t last_offset;
    unsigned n_out_of_step;
};

static void on_joined(struct hub_member *member, const struct hub_joined *joined) {
    struct viewer *viewer = member->owner;
    viewer->n_joined++;
    viewer->joined = *joined;
    viewer->last_offset = joined->position.offset;
}

static void on_join_failed(struct hub_member *member, enum error_code code) {
    (void) code;
    ((struct viewer *) member->owner)->n_failed++;
}

static void deliver(struct hub_member *member, payload_t *framed) {
    struct viewer *viewer = member->owner;
    char text[1024];
    snprintf(text, sizeof text, "%.*s", (int) payload_span(framed).size, (const char *) payload_span(framed).data);
    if (strstr(text, "\"join\"") != NULL) {
        viewer->n_joins++;
    } else if (strstr(text, "\"leave\"") != NULL) {
        viewer->n_leaves++;
    } else {
        const char *offset = strstr(text, "\"offset\":");
        uint64_t number = offset == NULL ? 0 : strtoull(offset + 9, NULL, 10);
        viewer->n_delivered++;
        viewer->n_out_of_step += viewer->joined.has_history && number != viewer->last_offset + 1;
        viewer->last_offset = number;
    }
    payload_unref(&framed);
}

static void on_lost(struct hub_member *member, const struct position *position) {
    struct viewer *viewer = member->owner;
    viewer->n_lost++;
    viewer->last_offset = position->offset;
}

static payload_t *frame(enum client_encoding encoding, struct span message) {
    (void) encoding;
    return payload_new(message);
}

#define AWAIT(condition)                                                                                               \
    do {                                                                                                               \
        uint64_t deadline_ms_ = clock_monotonic_ms() + DEADLINE_MS;                                                    \
        while (!(condition)) {                                                                                         \
            if (clock_monotonic_ms() > deadline_ms_) {                                                                 \
                fail_msg("in vain: " #condition);                                                                      \
            }                                                                                                          \
            gateway_bench_turn(&bench);                                                                                \
        }                                                                                                              \
    } while (0)

static bool try_to_start_broker(char *ret_error, size_t error_size) {
    broker_metrics = metrics_new();
    broker = broker_new(&(struct broker_options){.config = &config,
                                                 .zmq_context = bench.zmq_context,
                                                 .metrics = broker_metrics,
                                                 .inproc_endpoint = ENDPOINT,
                                                 .no_endpoint = !is_on_tcp},
                        ret_error, error_size);
    if (broker == NULL) {
        metrics_destroy(&broker_metrics);
    }
    return broker != NULL;
}

/* libzmq lets go of an address some time after its socket was closed: a broker that comes back may find it in use. */
static void start_broker(void) {
    char error[512] = "";
    uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (!try_to_start_broker(error, sizeof error)) {
        if (strstr(error, strerror(EADDRINUSE)) == NULL || clock_monotonic_ms() > deadline_ms) {
            fail_msg("%s", error);
        }
    }
}

static void stop_broker(void) {
    broker_destroy(&broker);
    metrics_destroy(&broker_metrics);
}

static int set_up(void **state) {
    static const struct hub_callbacks callbacks = {.on_joined = on_joined,
                                                   .on_join_failed = on_join_failed,
                                                   .deliver = deliver,
                                                   .on_lost = on_lost,
                                                   .frame = frame};
    struct buffer errors = BUFFER_EMPTY;
    (void) state;
    log_set_level(LOG_LEVEL_ERROR);
    if (!config_read(&part, 1, &(struct config_source){.file_name = "test", .file_text = span_of_text(config_text)},
                     &errors)) {
        fail_msg("%.*s", (int) errors.size, (const char *) errors.data);
    }
    buffer_finish(&errors);
    gateway_bench_init(&bench);
    bench.config.request_timeout_ms = DEADLINE_MS;
    gateway_bench_add_endpoint(&bench, ENDPOINT);
    start_broker();
    gateway_bench_start(&bench);
    hub = hub_new(bench.requests, bench.metrics, bench.wheel, &callbacks);
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    hub_destroy(&hub);
    stop_broker();
    gateway_bench_finish(&bench);
    config_finish(&part, 1);
    return 0;
}

static void join(struct viewer *viewer, const char *channel, const struct position *since) {
    viewer->member.owner = viewer;
    hub_join(hub, span_of_text(channel), NULL, &viewer->member, since != NULL, since,
             clock_monotonic_ms() + DEADLINE_MS);
}

struct asked {
    struct broker_request request;
    unsigned n_done;
    enum error_code error;
    struct position position;
    uint32_t n;
};

static void on_done(struct broker_request *request, const struct broker_answer *answer) {
    struct asked *asked = (struct asked *) (void *) request;
    asked->n_done++;
    asked->error = answer->error;
    asked->position = answer->position;
    asked->n = answer->n;
}

static void publish(struct asked *asked, const char *channel) {
    *asked = (struct asked){.request = {.on_done = on_done}};
    broker_publish(bench.requests, &asked->request,
                   &(struct broker_publication){.channel = span_of_text(channel), .data = SPAN_LITERAL("{\"a\":1}")});
}

static struct position publish_and_wait(const char *channel) {
    struct asked asked;
    publish(&asked, channel);
    AWAIT(asked.n_done == 1);
    assert_int_equal(asked.error, ERROR_NONE);
    return asked.position;
}

static void publications_reach_every_session_in_steps_of_one(void **state) {
    (void) state;
    static struct viewer viewers[3];
    memset(viewers, 0, sizeof viewers);
    for (size_t i = 0; i < 3; i++) {
        join(&viewers[i], "news:a", NULL);
    }
    AWAIT(viewers[2].n_joined == 1);
    assert_true(viewers[0].joined.has_history);
    assert_int_equal(viewers[0].joined.position.offset, 0);
    assert_false(epoch_is_empty(&viewers[0].joined.position.epoch));
    for (uint64_t i = 1; i <= 20; i++) {
        struct position position = publish_and_wait("news:a");
        assert_int_equal(position.offset, i);
        assert_true(epoch_equal(&position.epoch, &viewers[0].joined.position.epoch));
    }
    AWAIT(viewers[0].n_delivered == 20 && viewers[2].n_delivered == 20);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(viewers[i].n_out_of_step, 0);
        hub_leave(hub, &viewers[i].member);
    }
}

static void sessions_recover_what_they_missed(void **state) {
    (void) state;
    static struct viewer first, late, older, ancient;
    first = late = older = ancient = (struct viewer){.n_joined = 0};
    struct position position = {.offset = 0};
    for (int i = 0; i < 150; i++) { /* the history keeps 100 */
        position = publish_and_wait("news:b");
    }
    struct position since = {position.epoch, 145};
    join(&first, "news:b", &since);
    AWAIT(first.n_joined == 1);
    assert_true(first.joined.recovered);
    assert_int_equal(first.joined.n_publications, 5);
    join(&late, "news:b", &(struct position){position.epoch, 149});
    join(&older, "news:b", &(struct position){position.epoch, 50});
    join(&ancient, "news:b", &(struct position){position.epoch, 49});
    AWAIT(late.n_joined + older.n_joined + ancient.n_joined == 3);
    assert_true(late.joined.recovered && late.joined.n_publications == 1);
    assert_true(older.joined.recovered && older.joined.n_publications == 100);
    assert_false(ancient.joined.recovered);
    assert_int_equal(ancient.joined.position.offset, 150);
    publish_and_wait("news:b");
    AWAIT(first.n_delivered == 1 && late.n_delivered == 1 && older.n_delivered == 1 && ancient.n_delivered == 1);
    assert_int_equal(first.n_out_of_step + late.n_out_of_step + older.n_out_of_step + ancient.n_out_of_step, 0);
    hub_leave(hub, &first.member);
    hub_leave(hub, &late.member);
    hub_leave(hub, &older.member);
    hub_leave(hub, &ancient.member);
}

static void a_channel_without_history_has_no_position(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    join(&viewer, "plain:a", &(struct position){{"e"}, 3});
    AWAIT(viewer.n_joined == 1);
    assert_false(viewer.joined.has_history || viewer.joined.recovered);
    struct position position = publish_and_wait("plain:a");
    assert_true(epoch_is_empty(&position.epoch));
    AWAIT(viewer.n_delivered == 1);
    hub_leave(hub, &viewer.member);
}

static void an_unknown_namespace_is_refused(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    struct asked asked;
    join(&viewer, "nothing:a", NULL);
    publish(&asked, "nothing:a");
    AWAIT(viewer.n_failed == 1 && asked.n_done == 1);
    assert_int_equal(asked.error, ERROR_UNKNOWN_CHANNEL);
}

static payload_t *client_info(const char *client) {
    struct buffer bytes = BUFFER_EMPTY;
    wire_append_client_info(&bytes,
                            &(struct wire_client_info){.user = SPAN_LITERAL("u"), .client = span_of_text(client)});
    payload_t *info = payload_new(buffer_span(&bytes));
    buffer_finish(&bytes);
    return info;
}

static uint32_t present(const char *channel) {
    struct asked asked = {.request = {.on_done = on_done}};
    broker_presence(bench.requests, &asked.request, span_of_text(channel));
    AWAIT(asked.n_done == 1);
    assert_int_equal(asked.error, ERROR_NONE);
    return asked.n;
}

static void presence_comes_and_goes_with_the_session(void **state) {
    (void) state;
    static struct viewer watcher, other;
    watcher = other = (struct viewer){.n_joined = 0};
    watcher.member.wants_presence_events = true;
    join(&watcher, "news:c", NULL);
    join(&other, "news:c", NULL);
    AWAIT(watcher.n_joined == 1 && other.n_joined == 1);
    payload_t *info = client_info("c1");
    hub_presence_set(hub, &other.member, info, true);
    payload_unref(&info);
    AWAIT(watcher.n_joins == 1);
    assert_int_equal(present("news:c"), 1);
    hub_leave(hub, &other.member);
    AWAIT(watcher.n_leaves == 1);
    assert_int_equal(present("news:c"), 0);
    assert_int_equal(other.n_joins, 0);
    hub_leave(hub, &watcher.member);
}

static void a_broker_that_comes_back_empty_is_told_and_served_on(void **state) {
    (void) state;
    static struct viewer viewer, watcher;
    viewer = watcher = (struct viewer){.n_joined = 0};
    watcher.member.wants_presence_events = true;
    join(&viewer, "news:d", NULL);
    join(&watcher, "news:d", NULL);
    AWAIT(viewer.n_joined == 1 && watcher.n_joined == 1);
    payload_t *info = client_info("c1");
    hub_presence_set(hub, &viewer.member, info, true);
    payload_unref(&info);
    publish_and_wait("news:d");
    AWAIT(viewer.n_delivered == 1);
    stop_broker();
    start_broker();
    AWAIT(viewer.n_lost == 1); /* the memory engine has forgotten */
    publish_and_wait("news:d");
    AWAIT(viewer.n_delivered == 2);
    assert_int_equal(viewer.n_out_of_step, 0);
    AWAIT(present("news:d") == 1); /* told again without being asked */
    hub_leave(hub, &viewer.member);
    hub_leave(hub, &watcher.member);
}

/* Many more than any credit: every publish is answered, and the sessions see all of them, caught up where they lagged.
 */
static void a_flood_is_delivered_whole_and_in_order(void **state) {
    (void) state;
    enum { FLOOD = 20000, IN_FLIGHT = 2000 };
    static struct asked asked[IN_FLIGHT];
    static struct viewer viewers[2];
    memset(viewers, 0, sizeof viewers);
    memset(asked, 0, sizeof asked);
    join(&viewers[0], "long:e", NULL);
    join(&viewers[1], "long:f", NULL);
    AWAIT(viewers[0].n_joined == 1 && viewers[1].n_joined == 1);
    for (size_t i = 0; i < FLOOD; i++) {
        struct asked *slot = &asked[i % IN_FLIGHT];
        if (i >= IN_FLIGHT) {
            AWAIT(slot->n_done == 1);
            assert_int_equal(slot->error, ERROR_NONE);
        }
        publish(slot, i % 2 == 0 ? "long:e" : "long:f");
    }
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        AWAIT(asked[i].n_done == 1);
        assert_int_equal(asked[i].error, ERROR_NONE);
    }
    for (size_t i = 0; i < 2; i++) {
        AWAIT(viewers[i].last_offset == FLOOD / 2);
        assert_int_equal(viewers[i].n_out_of_step, 0);
        assert_int_equal(viewers[i].n_delivered, FLOOD / 2);
        assert_int_equal(viewers[i].n_lost, 0);
        hub_leave(hub, &viewers[i].member);
    }
}

/* ---- over TCP with CURVE ---- */

static char folder[] = "/tmp/callboard-curve-XXXXXX";
static char gateway_key[128], broker_key[128], broker_public[128], allowed[128], allowed_key[192], endpoint[64];

static struct curve_keys next_keys; /* the brokers' next pair, which the gateway knows already */

static void write_text(const char *path, const char *first, const char *second) {
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    dprintf(fd, "%s%s", first, second);
    close(fd);
}

/* Two keys in one .pub file, as while one is exchanged for the other. */
static void write_publics(const char *path, const struct curve_keys *first, const struct curve_keys *second) {
    char lines[2][64];
    snprintf(lines[0], sizeof lines[0], "public = %s\n", first->public_text);
    snprintf(lines[1], sizeof lines[1], "public = %s\n", second->public_text);
    write_text(path, lines[0], lines[1]);
}

static void use_next_keys(void) {
    char text[160];
    snprintf(text, sizeof text, "public = %s\nsecret = %s\n", next_keys.public_text, next_keys.secret_text);
    write_text(broker_key, text, "");
}

static void make_keys(void) {
    struct curve_keys keys;
    char error[256] = "";
    assert_non_null(mkdtemp(folder));
    snprintf(gateway_key, sizeof gateway_key, "%s/gateway", folder);
    snprintf(broker_key, sizeof broker_key, "%s/broker", folder);
    snprintf(broker_public, sizeof broker_public, "%s/broker.pub", folder);
    snprintf(allowed, sizeof allowed, "%s/allowed", folder);
    snprintf(allowed_key, sizeof allowed_key, "%s/gateway.pub", allowed);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", free_port());
    assert_int_equal(mkdir(allowed, 0700), 0);
    curve_keys_generate(&keys);
    assert_true(curve_keys_write(broker_key, &keys, error, sizeof error));
    curve_keys_generate(&next_keys);
    write_publics(broker_public, &keys, &next_keys);
    curve_keys_generate(&keys);
    assert_true(curve_keys_write(gateway_key, &keys, error, sizeof error));
    char made[160];
    snprintf(made, sizeof made, "%s.pub", gateway_key);
    unlink(made);
    write_publics(allowed_key, &next_keys, &keys); /* the second one is the gateway's */
}

static void remove_keys(void) {
    unlink(allowed_key);
    rmdir(allowed);
    unlink(gateway_key);
    unlink(broker_key);
    unlink(broker_public);
    rmdir(folder);
}

static int set_up_on_tcp(void **state) {
    static const struct hub_callbacks callbacks = {.on_joined = on_joined,
                                                   .on_join_failed = on_join_failed,
                                                   .deliver = deliver,
                                                   .on_lost = on_lost,
                                                   .frame = frame};
    struct buffer errors = BUFFER_EMPTY;
    (void) state;
    log_set_level(LOG_LEVEL_ERROR);
    make_keys();
    char settings[3][256];
    snprintf(settings[0], sizeof settings[0], "broker.endpoint=%s", endpoint);
    snprintf(settings[1], sizeof settings[1], "broker.curve_key_file=%s", broker_key);
    snprintf(settings[2], sizeof settings[2], "broker.curve_allowed_dir=%s", allowed);
    const char *const list[] = {settings[0], settings[1], settings[2], NULL};
    if (!config_read(
            &part, 1,
            &(struct config_source){.file_name = "test", .file_text = span_of_text(config_text), .settings = list},
            &errors)) {
        fail_msg("%.*s", (int) errors.size, (const char *) errors.data);
    }
    buffer_finish(&errors);
    is_on_tcp = true;
    gateway_bench_init(&bench);
    bench.config.request_timeout_ms = DEADLINE_MS;
    bench.config.curve_key_file = gateway_key;
    bench.config.curve_broker_key = broker_public;
    gateway_bench_add_endpoint(&bench, endpoint);
    start_broker();
    gateway_bench_start(&bench);
    hub = hub_new(bench.requests, bench.metrics, bench.wheel, &callbacks);
    return 0;
}

static int tear_down_on_tcp(void **state) {
    int status = tear_down(state);
    is_on_tcp = false;
    remove_keys();
    return status;
}

/* It comes back with its next pair. */
static void over_tcp_with_curve_a_restart_of_the_broker_is_survived(void **state) {
    (void) state;
    static struct viewer viewer;
    viewer = (struct viewer){.n_joined = 0};
    join(&viewer, "news:g", NULL);
    AWAIT(viewer.n_joined == 1);
    publish_and_wait("news:g");
    AWAIT(viewer.n_delivered == 1);
    stop_broker();
    struct asked meanwhile;
    publish(&meanwhile, "news:g"); /* into the void, or waiting: it must end */
    for (int i = 0; i < 100; i++) {
        gateway_bench_turn(&bench);
    }
    use_next_keys();
    start_broker();
    AWAIT(viewer.n_lost == 1);
    AWAIT(meanwhile.n_done == 1);
    assert_true(meanwhile.error == ERROR_NONE || meanwhile.error == ERROR_OUTCOME_UNKNOWN ||
                meanwhile.error == ERROR_INTERNAL);
    uint64_t before = viewer.n_delivered;
    publish_and_wait("news:g");
    AWAIT(viewer.n_delivered > before);
    assert_int_equal(viewer.n_out_of_step, 0);
    hub_leave(hub, &viewer.member);
}

int main(void) {
#define HUB_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        HUB_TEST(publications_reach_every_session_in_steps_of_one),
        HUB_TEST(sessions_recover_what_they_missed),
        HUB_TEST(a_channel_without_history_has_no_position),
        HUB_TEST(an_unknown_namespace_is_refused),
        HUB_TEST(presence_comes_and_goes_with_the_session),
        HUB_TEST(a_broker_that_comes_back_empty_is_told_and_served_on),
        HUB_TEST(a_flood_is_delivered_whole_and_in_order),
        cmocka_unit_test_setup_teardown(over_tcp_with_curve_a_restart_of_the_broker_is_survived, set_up_on_tcp,
                                        tear_down_on_tcp),
    };
    return cmocka_run_group_tests_name("hub_with_broker", tests, NULL, NULL);
}
