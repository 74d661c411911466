/* The forms in which the hub fans a publication out: each encoding, by name or by id, whole or as a patch, filtered.
 * How often it is encoded, and who gets which. */
#include "gateway/hub.h"

#include "base/clock.h"
#include "gateway/broker_links.h"
#include "tests/support/delta_apply.h"
#include "tests/support/gateway_bench.h"
#include "tests/support/protobuf_view.h"
#include "tests/support/wire_broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20000, VIEWERS = 12 };

static struct gateway_bench bench;
static wire_broker_t *broker;
static hub_t *hub;
static unsigned n_framed;
static uint32_t handle;

struct viewer {
    struct hub_member member;
    unsigned n_joined, n_lost, n_delivered;
    struct hub_joined joined;
    const payload_t *framed; /* of the last delivery; only to be compared */
    char last[2048];         /* as JSON */
};

static struct viewer viewers[VIEWERS];

static void on_joined(struct hub_member *member, const struct hub_joined *joined) {
    struct viewer *viewer = member->owner;
    viewer->n_joined++;
    viewer->joined = *joined;
}

static void on_join_failed(struct hub_member *member, enum error_code code) {
    (void) member;
    fail_msg("joining failed with %d", (int) code);
}

static void deliver(struct hub_member *member, payload_t *framed) {
    struct viewer *viewer = member->owner;
    struct buffer json = BUFFER_EMPTY;
    viewer->n_delivered++;
    viewer->framed = framed;
    if (member->encoding == CLIENT_ENCODING_PROTOBUF) {
        assert_true(protobuf_view(payload_span(framed), &json));
    } else {
        buffer_append_span(&json, payload_span(framed));
    }
    snprintf(viewer->last, sizeof viewer->last, "%.*s", (int) json.size, (const char *) json.data);
    buffer_finish(&json);
    payload_unref(&framed);
}

static void on_lost(struct hub_member *member, const struct position *position) {
    (void) position;
    ((struct viewer *) member->owner)->n_lost++;
}

static payload_t *frame(enum client_encoding encoding, struct span message) {
    (void) encoding;
    n_framed++;
    return payload_new(message);
}

static unsigned n_compressed;

/* Stands for a compressed frame. */
static payload_t *frame_compressed(void *context, enum client_encoding encoding, struct span message) {
    assert_ptr_equal(context, &bench);
    (void) encoding;
    n_compressed++;
    return payload_new(message);
}

#define AWAIT(condition)                                                                                               \
    do {                                                                                                               \
        uint64_t deadline_ms_ = clock_monotonic_ms() + DEADLINE_MS;                                                    \
        while (!(condition)) {                                                                                         \
            assert_true(clock_monotonic_ms() < deadline_ms_);                                                          \
            wire_broker_poll(broker);                                                                                  \
            gateway_bench_turn(&bench);                                                                                \
        }                                                                                                              \
    } while (0)

static int set_up(void **state) {
    static const struct hub_callbacks callbacks = {.on_joined = on_joined,
                                                   .on_join_failed = on_join_failed,
                                                   .deliver = deliver,
                                                   .on_lost = on_lost,
                                                   .frame = frame,
                                                   .frame_compressed = frame_compressed,
                                                   .frame_context = &bench};
    (void) state;
    gateway_bench_init(&bench);
    memset(viewers, 0, sizeof viewers);
    n_framed = 0;
    n_compressed = 0;
    broker = wire_broker_new(&(struct wire_broker_settings){.zmq_context = bench.zmq_context,
                                                            .endpoint = "inproc://a",
                                                            .id = "broker-a",
                                                            .turn = gateway_bench_turn,
                                                            .context = &bench});
    gateway_bench_add_endpoint(&bench, "inproc://a");
    gateway_bench_start(&bench);
    hub = hub_new(bench.requests, bench.metrics, bench.wheel, &callbacks);
    wire_broker_await_link(broker);
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    for (size_t i = 0; i < VIEWERS; i++) {
        hub_leave(hub, &viewers[i].member);
    }
    hub_destroy(&hub);
    wire_broker_destroy(&broker);
    gateway_bench_finish(&bench);
    return 0;
}

static void answer_subscribe(unsigned flags, uint64_t offset, struct span publications, uint32_t n) {
    struct wire_subscribe subscribe;
    assert_true(wire_decode_subscribe(wire_broker_expect(broker, WIRE_SUBSCRIBE, NULL).body, &subscribe));
    handle = subscribe.handle;
    wire_encode_subscribed(wire_broker_batch(broker), &(struct wire_subscribed){.request = subscribe.request,
                                                                                .handle = handle,
                                                                                .flags = (uint8_t) flags,
                                                                                .epoch = epoch_from(SPAN_LITERAL("e")),
                                                                                .offset = offset,
                                                                                .n_publications = n,
                                                                                .publications = publications});
    wire_broker_send(broker, 0, 1);
}

/* The member's wishes are set already. */
static void join_at(struct viewer *viewer, const char *channel, const struct position *since) {
    viewer->member.owner = viewer;
    hub_join(hub, span_of_text(channel), NULL, &viewer->member, since != NULL, since,
             clock_monotonic_ms() + DEADLINE_MS);
}

/* All viewers up to n, live at offset 9. */
static void join_all(size_t n, unsigned flags) {
    for (size_t i = 0; i < n; i++) {
        join_at(&viewers[i], "news", NULL);
    }
    answer_subscribe(flags, 9, SPAN_EMPTY, 0);
    AWAIT(viewers[n - 1].n_joined == 1);
}

static void push_with(uint64_t offset, unsigned flags, const char *data, struct span tags) {
    struct buffer publication = BUFFER_EMPTY;
    wire_append_publication(&publication,
                            &(struct wire_publication){
                                .offset = offset, .flags = (uint8_t) flags, .data = span_of_text(data), .tags = tags});
    wire_append_push(wire_broker_batch(broker), handle, buffer_span(&publication));
    buffer_finish(&publication);
    wire_broker_send(broker, 0, 1);
}

static void push(uint64_t offset, const char *data) {
    push_with(offset, WIRE_PUBLICATION_DELTA, data, SPAN_EMPTY);
}

static void expect_last(const struct viewer *viewer, unsigned n, const char *json) {
    AWAIT(viewer->n_delivered >= n);
    assert_int_equal(viewer->n_delivered, n);
    assert_string_equal(viewer->last, json);
}

/* ---- specs ---- */

static void each_form_is_encoded_once(void **state) {
    (void) state;
    for (size_t i = 0; i < VIEWERS; i++) {
        viewers[i].member.encoding = i % 2 == 0 ? CLIENT_ENCODING_JSON : CLIENT_ENCODING_PROTOBUF;
        viewers[i].member.is_compacted = i % 4 >= 2;
    }
    join_all(VIEWERS, WIRE_SUBSCRIBED_HISTORY);
    push(10, "{\"a\":1}");
    char by_id[128];
    snprintf(by_id, sizeof by_id, "{\"push\":{\"id\":%llu,\"pub\":{\"data\":{\"a\":1},\"offset\":10}}}",
             (unsigned long long) viewers[0].joined.id);
    AWAIT(viewers[VIEWERS - 1].n_delivered == 1);
    assert_int_equal(n_framed, 4);
    for (size_t i = 0; i < VIEWERS; i++) {
        assert_true(viewers[i].joined.id > 0 && viewers[i].joined.id == viewers[0].joined.id);
        expect_last(&viewers[i], 1,
                    i % 4 >= 2 ? by_id
                               : "{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":{\"a\":1},\"offset\":10}}}");
        assert_ptr_equal(viewers[i].framed, viewers[i % 4].framed);
    }
}

static void a_publication_is_compressed_once_for_all_who_take_it_so_and_joins_never(void **state) {
    (void) state;
    for (size_t i = 0; i < VIEWERS; i++) {
        viewers[i].member.encoding = i % 2 == 0 ? CLIENT_ENCODING_JSON : CLIENT_ENCODING_PROTOBUF;
        viewers[i].member.is_compressed = i >= VIEWERS / 3;
        viewers[i].member.wants_presence_events = true;
    }
    join_all(VIEWERS, WIRE_SUBSCRIBED_HISTORY);
    push(10, "{\"a\":1}");
    AWAIT(viewers[VIEWERS - 1].n_delivered == 1);
    assert_int_equal(n_framed, 2);
    assert_int_equal(n_compressed, 2);
    for (size_t i = VIEWERS / 3; i < VIEWERS; i++) {
        assert_ptr_equal(viewers[i].framed, viewers[VIEWERS - 2 + i % 2].framed);
        assert_ptr_not_equal(viewers[i].framed, viewers[i % 2].framed);
        expect_last(&viewers[i], 1, "{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":{\"a\":1},\"offset\":10}}}");
    }
    struct buffer info = BUFFER_EMPTY;
    wire_append_client_info(&info, &(struct wire_client_info){.user = SPAN_LITERAL("u"), .client = SPAN_LITERAL("c")});
    wire_encode_join(wire_broker_batch(broker), &(struct wire_join){.handle = handle, .info = buffer_span(&info)});
    wire_broker_send(broker, 0, 1);
    buffer_finish(&info);
    AWAIT(viewers[VIEWERS - 1].n_delivered == 2);
    assert_int_equal(n_compressed, 2);
}

static void joins_carry_the_id_too_and_another_channel_has_another_one(void **state) {
    (void) state;
    viewers[0].member.is_compacted = true;
    viewers[0].member.wants_presence_events = true;
    join_all(1, 0);
    struct buffer info = BUFFER_EMPTY;
    wire_append_client_info(&info, &(struct wire_client_info){.user = SPAN_LITERAL("u"), .client = SPAN_LITERAL("c")});
    wire_encode_join(wire_broker_batch(broker), &(struct wire_join){.handle = handle, .info = buffer_span(&info)});
    wire_broker_send(broker, 0, 1);
    buffer_finish(&info);
    char expected[128];
    snprintf(expected, sizeof expected,
             "{\"push\":{\"id\":%llu,\"join\":{\"info\":{\"user\":\"u\",\"client\":\"c\"}}}}",
             (unsigned long long) viewers[0].joined.id);
    expect_last(&viewers[0], 1, expected);
    join_at(&viewers[1], "other", NULL);
    answer_subscribe(0, 0, SPAN_EMPTY, 0);
    AWAIT(viewers[1].n_joined == 1);
    assert_true(viewers[1].joined.id != viewers[0].joined.id);
}

#define DOCUMENT(price) "{\"price\":" price ",\"symbol\":\"ACME\",\"venue\":\"XNYS\"}"
#define PATCH           "h\nB@0,1:1W@C,1BpAPV;" /* from 100 to 101 */

static void want_delta(size_t n) {
    for (size_t i = 0; i < n; i++) {
        viewers[i].member.wants_delta = true;
    }
}

static void the_first_is_whole_then_one_patch_serves_all(void **state) {
    (void) state;
    want_delta(4);
    join_all(6, WIRE_SUBSCRIBED_HISTORY);
    push(10, DOCUMENT("100"));
    AWAIT(viewers[5].n_delivered == 1);
    assert_int_equal(n_framed, 2);
    expect_last(&viewers[0], 1,
                "{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":\"{\\\"price\\\":100,\\\"symbol\\\":\\\"ACME\\\","
                "\\\"venue\\\":\\\"XNYS\\\"}\",\"offset\":10}}}");
    expect_last(&viewers[5], 1,
                "{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":" DOCUMENT("100") ",\"offset\":10}}}");
    push(11, DOCUMENT("101"));
    AWAIT(viewers[5].n_delivered == 2);
    assert_int_equal(n_framed, 4);
    for (size_t i = 0; i < 4; i++) {
        expect_last(
            &viewers[i], 2,
            "{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":\"h\\nB@0,1:1W@C,1BpAPV;\",\"offset\":11,\"delta\":"
            "true}}}");
        assert_ptr_equal(viewers[i].framed, viewers[0].framed);
    }
    expect_last(&viewers[5], 2,
                "{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":" DOCUMENT("101") ",\"offset\":11}}}");
}

static bool got_patch(const struct viewer *viewer) {
    return strstr(viewer->last, "\"delta\":true") != NULL;
}

static void who_joins_later_gets_a_whole_one_first(void **state) {
    (void) state;
    want_delta(2);
    join_all(1, WIRE_SUBSCRIBED_HISTORY);
    push(10, DOCUMENT("100"));
    AWAIT(viewers[0].n_delivered == 1);
    join_at(&viewers[1], "news", NULL);
    AWAIT(viewers[1].n_joined == 1);
    push(11, DOCUMENT("101"));
    AWAIT(viewers[1].n_delivered == 1);
    assert_true(got_patch(&viewers[0]) && !got_patch(&viewers[1]));
    push(12, DOCUMENT("102"));
    AWAIT(viewers[1].n_delivered == 2);
    assert_true(got_patch(&viewers[0]) && got_patch(&viewers[1]));
}

static void after_a_recovery_patches_go_on_only_where_something_was_recovered(void **state) {
    (void) state;
    want_delta(3);
    join_all(1, WIRE_SUBSCRIBED_HISTORY);
    push(10, DOCUMENT("100"));
    AWAIT(viewers[0].n_delivered == 1);
    const struct position nothing_missed = {epoch_from(SPAN_LITERAL("e")), 10};
    const struct position one_missed = {epoch_from(SPAN_LITERAL("e")), 9};
    join_at(&viewers[1], "news", &nothing_missed);
    AWAIT(viewers[1].n_joined == 1 && viewers[1].joined.recovered);
    join_at(&viewers[2], "news", &one_missed);
    struct buffer publications = BUFFER_EMPTY;
    wire_append_publication(&publications, &(struct wire_publication){.offset = 10, .data = SPAN_LITERAL("1")});
    answer_subscribe(WIRE_SUBSCRIBED_HISTORY | WIRE_SUBSCRIBED_RECOVERED, 10, buffer_span(&publications), 1);
    AWAIT(viewers[2].n_joined == 1 && viewers[2].joined.n_publications == 1);
    buffer_finish(&publications);
    push(11, DOCUMENT("101"));
    AWAIT(viewers[2].n_delivered == 1);
    assert_true(got_patch(&viewers[0]) && !got_patch(&viewers[1]) && got_patch(&viewers[2]));
}

static void without_history_delta_is_not_granted(void **state) {
    (void) state;
    want_delta(1);
    join_all(1, 0);
    assert_false(viewers[0].member.wants_delta);
    push(0, DOCUMENT("100"));
    expect_last(&viewers[0], 1, "{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":" DOCUMENT("100") "}}}");
}

static void after_a_loss_the_next_is_whole(void **state) {
    (void) state;
    want_delta(1);
    join_all(1, WIRE_SUBSCRIBED_HISTORY);
    push(10, DOCUMENT("100"));
    AWAIT(viewers[0].n_delivered == 1);
    wire_encode_lost(wire_broker_batch(broker),
                     &(struct wire_lost){.handle = handle, .epoch = epoch_from(SPAN_LITERAL("f")), .offset = 10});
    wire_broker_send(broker, 0, 1);
    AWAIT(viewers[0].n_lost == 1);
    push(11, DOCUMENT("101"));
    AWAIT(viewers[0].n_delivered == 2);
    assert_false(got_patch(&viewers[0]));
}

static void what_is_not_to_be_patched_or_not_worth_it_goes_whole(void **state) {
    (void) state;
    want_delta(1);
    join_all(1, WIRE_SUBSCRIBED_HISTORY);
    push(10, DOCUMENT("100"));
    push_with(11, 0, DOCUMENT("101"), SPAN_EMPTY); /* its namespace did not say delta_publish then */
    AWAIT(viewers[0].n_delivered == 2);
    assert_false(got_patch(&viewers[0]));
    push(12, "\"something else altogether, of which nothing was there\"");
    AWAIT(viewers[0].n_delivered == 3);
    assert_false(got_patch(&viewers[0]));
    push_with(0, WIRE_PUBLICATION_DELTA, DOCUMENT("101"), SPAN_EMPTY); /* passes live, without a position */
    AWAIT(viewers[0].n_delivered == 4);
    push(13, DOCUMENT("101"));
    AWAIT(viewers[0].n_delivered == 5);
    assert_false(got_patch(&viewers[0]));
}

static void bytes_are_patched_for_protobuf_and_go_whole_to_json(void **state) {
    (void) state;
    want_delta(2);
    viewers[1].member.encoding = CLIENT_ENCODING_PROTOBUF;
    join_all(2, WIRE_SUBSCRIBED_HISTORY);
    push_with(10, WIRE_PUBLICATION_DELTA | WIRE_PUBLICATION_BINARY, DOCUMENT("100"), SPAN_EMPTY);
    push_with(11, WIRE_PUBLICATION_DELTA | WIRE_PUBLICATION_BINARY, DOCUMENT("101"), SPAN_EMPTY);
    AWAIT(viewers[0].n_delivered == 2 && viewers[1].n_delivered == 2);
    assert_true(!got_patch(&viewers[0]) && got_patch(&viewers[1]));
    assert_non_null(strstr(viewers[1].last, PATCH)); /* raw in the view */
    assert_non_null(strstr(viewers[0].last, "\"data\":\"eyJwcmljZSI6MTAxLCJz"));
}

/* ---- withholding ---- */

static tag_filter_t *filter_of(tag_filter_set_t *set, const char *value) {
    char json[128];
    struct json_value request;
    snprintf(json, sizeof json, "{\"key\":\"sport\",\"cmp\":\"eq\",\"val\":\"%s\"}", value);
    assert_int_equal(json_scan(span_of_text(json), &JSON_LIMITS_DEFAULT, &request, NULL), JSON_OK);
    return tag_filter_take(set, request);
}

static void push_tagged(uint64_t offset, const char *sport) {
    struct buffer tags = BUFFER_EMPTY;
    wire_append_tag(&tags, &(struct wire_tag){SPAN_LITERAL("sport"), span_of_text(sport)});
    push_with(offset, 0, "1", buffer_span(&tags));
    buffer_finish(&tags);
}

static void who_filters_gets_what_passes_in_the_same_bytes_as_everybody(void **state) {
    (void) state;
    tag_filter_set_t *set = tag_filter_set_new();
    for (size_t i = 0; i < 6; i++) {
        viewers[i].member.filter = i < 2 ? filter_of(set, "chess") : i < 4 ? filter_of(set, "go") : NULL;
    }
    assert_int_equal(tag_filter_set_count(set), 2);
    join_all(6, WIRE_SUBSCRIBED_HISTORY);
    push_tagged(10, "chess");
    push_tagged(11, "go");
    push_tagged(12, "darts");
    push_tagged(13, "chess");
    AWAIT(viewers[5].n_delivered == 4);
    assert_int_equal(n_framed, 4); /* once each, whoever filters */
    static const unsigned expected[] = {2, 2, 1, 1, 4, 4};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(viewers[i].n_delivered, expected[i]);
        assert_int_equal(viewers[i].n_lost, 0);
    }
    for (size_t i = 0; i < 6; i++) {
        hub_leave(hub, &viewers[i].member);
        tag_filter_release(&viewers[i].member.filter);
    }
    tag_filter_set_destroy(&set);
}

static void who_excludes_its_own_gets_that_of_others_and_is_patched_right(void **state) {
    (void) state;
    want_delta(2);
    viewers[0].member.excluded_client = client_id_hash(SPAN_LITERAL("c0"));
    join_all(2, WIRE_SUBSCRIBED_HISTORY);
    struct buffer info = BUFFER_EMPTY;
    wire_append_client_info(&info, &(struct wire_client_info){.client = SPAN_LITERAL("c0")});
    push(10, DOCUMENT("100"));
    struct buffer publication = BUFFER_EMPTY;
    wire_append_publication(&publication, &(struct wire_publication){.offset = 11,
                                                                     .flags = WIRE_PUBLICATION_DELTA,
                                                                     .data = SPAN_LITERAL(DOCUMENT("101")),
                                                                     .info = buffer_span(&info)});
    wire_append_push(wire_broker_batch(broker), handle, buffer_span(&publication));
    wire_broker_send(broker, 0, 1);
    buffer_finish(&publication);
    buffer_finish(&info);
    AWAIT(viewers[1].n_delivered == 2);
    assert_int_equal(viewers[0].n_delivered, 1);
    push(12, DOCUMENT("102"));
    AWAIT(viewers[1].n_delivered == 3 && viewers[0].n_delivered == 2);
    assert_true(!got_patch(&viewers[0]) && got_patch(&viewers[1])); /* it has not the one before */
    push(13, DOCUMENT("103"));
    AWAIT(viewers[0].n_delivered == 3);
    assert_true(got_patch(&viewers[0]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_form_is_encoded_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_publication_is_compressed_once_for_all_who_take_it_so_and_joins_never, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(joins_carry_the_id_too_and_another_channel_has_another_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_is_whole_then_one_patch_serves_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_joins_later_gets_a_whole_one_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_a_recovery_patches_go_on_only_where_something_was_recovered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_history_delta_is_not_granted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_a_loss_the_next_is_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_to_be_patched_or_not_worth_it_goes_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_are_patched_for_protobuf_and_go_whole_to_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_filters_gets_what_passes_in_the_same_bytes_as_everybody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_excludes_its_own_gets_that_of_others_and_is_patched_right, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
