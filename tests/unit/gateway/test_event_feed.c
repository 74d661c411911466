/* The feed of events: what is published, when it is published again, under which key, and what its bound does. The
 * brokers are fakes that replace broker_publish by name. */
#include "gateway/event_feed.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint64_t now_us;
static timer_wheel_t *wheel;
static event_feed_t *feed;
static struct gateway_config config;
static struct broker_request *asked; /* NULL: none is under way */
static unsigned n_published;
static char text[1 << 17];
static char key[256];

static uint64_t monotonic_us(void) {
    return now_us;
}

static int64_t wall_ms(void) {
    return 1800000000000;
}

void broker_publish(broker_requests_t *self, struct broker_request *request,
                    const struct broker_publication *publication) {
    (void) self;
    assert_null(asked);
    assert_true(span_equal_text(publication->channel, "events:all"));
    assert_true(publication->data.size < sizeof text && publication->key.size < sizeof key);
    memcpy(text, publication->data.data, publication->data.size);
    text[publication->data.size] = '\0';
    memcpy(key, publication->key.data, publication->key.size);
    key[publication->key.size] = '\0';
    asked = request;
    n_published++;
}

void broker_request_cancel(broker_requests_t *self, struct broker_request *request) {
    (void) self;
    assert_ptr_equal(asked, request);
    asked = NULL;
}

static int set_up(void **state) {
    (void) state;
    now_us = 1000000000;
    clock_replace(monotonic_us, wall_ms);
    wheel = timer_wheel_new(clock_monotonic_ms(), 10);
    config = (struct gateway_config){.id = (char *) "g", .events_channel = (char *) "events:all", .events_queue = 4096};
    asked = NULL;
    n_published = 0;
    const struct event_feed_options options = {.config = &config, .wheel = wheel, .boot_nonce = 1, .worker = 2};
    feed = event_feed_new(&options);
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    event_feed_destroy(&feed);
    assert_null(asked);
    assert_int_equal(timer_wheel_count(wheel), 0);
    timer_wheel_destroy(&wheel);
    clock_replace(NULL, NULL);
    return 0;
}

static void pass_ms(unsigned ms) {
    for (unsigned passed = 0; passed < ms; passed += 10) {
        now_us += 10000;
        timer_wheel_advance(wheel, clock_monotonic_ms());
    }
}

static void tell(const char *type, const char *channel) {
    const struct event event = {.type = type,
                                .client = {SPAN_LITERAL("42"), SPAN_LITERAL("c"), SPAN_EMPTY, SPAN_EMPTY},
                                .channel = span_of_text(channel)};
    event_feed_tell(feed, &event);
}

static void answer(enum error_code error) {
    struct broker_request *request = asked;
    assert_non_null(request);
    asked = NULL;
    request->on_done(request, &(struct broker_answer){.error = error});
}

#define EVENT(type, more)                                                                                              \
    "{\"type\":\"" type "\",\"time\":1800000000000,\"gateway\":\"g\",\"client\":\"c\",\"user\":\"42\"" more "}"

static void events_are_gathered_in_order_and_forgotten_when_acknowledged(void **state) {
    (void) state;
    tell("connected", "");
    tell("subscribed", "a:b");
    assert_int_equal(n_published, 0);
    pass_ms(50);
    assert_int_equal(n_published, 1);
    assert_string_equal(text,
                        "{\"events\":[" EVENT("connected", "") "," EVENT("subscribed", ",\"channel\":\"a:b\"") "]}");
    assert_string_equal(key, "events:gateway:g:0000000000000001:2:1");
    tell("disconnected", "");
    pass_ms(5000);
    assert_int_equal(n_published, 1); /* one at a time */
    assert_false(event_feed_is_done(feed));
    answer(ERROR_NONE);
    assert_int_equal(n_published, 2);
    assert_string_equal(text, "{\"events\":[" EVENT("disconnected", "") "]}");
    assert_string_equal(key, "events:gateway:g:0000000000000001:2:2");
    answer(ERROR_NONE);
    assert_true(event_feed_is_done(feed));
}

static void what_is_not_acknowledged_goes_again_as_it_was_under_its_key(void **state) {
    (void) state;
    char first[512];
    tell("connected", "");
    pass_ms(50);
    snprintf(first, sizeof first, "%.500s", text);
    for (unsigned i = 0; i < 8; i++) {
        tell("subscribed", "a:b");
        answer(i % 2 == 0 ? ERROR_OUTCOME_UNKNOWN : ERROR_UNKNOWN_CHANNEL);
        assert_null(asked); /* not at once */
        pass_ms(5100);
        assert_string_equal(text, first);
        assert_string_equal(key, "events:gateway:g:0000000000000001:2:1");
    }
    answer(ERROR_NONE);
    assert_string_equal(key, "events:gateway:g:0000000000000001:2:2");
    answer(ERROR_NONE);
    assert_true(event_feed_is_done(feed));
}

static void what_does_not_fit_is_told_as_lost(void **state) {
    (void) state;
    for (unsigned i = 0; i < 100; i++) {
        tell("connected", "");
    }
    pass_ms(50);
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, "connected")) != NULL; at++) {
        n++;
    }
    assert_in_range(n, 30, 60);
    answer(ERROR_NONE); /* now there is room, and nobody else has to come */
    char expected[256];
    snprintf(expected, sizeof expected,
             "{\"events\":[{\"type\":\"lost\",\"time\":1800000000000,\"gateway\":\"g\",\"n\":%u}]}", 100 - n);
    assert_string_equal(text, expected);
    tell("disconnected", "");
    answer(ERROR_NONE);
    assert_string_equal(text, "{\"events\":[" EVENT("disconnected", "") "]}");
    answer(ERROR_NONE);
    assert_true(event_feed_is_done(feed));
}

static void without_a_channel_nothing_is_told(void **state) {
    (void) state;
    assert_true(event_feed_is_on(feed));
    assert_false(event_feed_is_on(NULL));
    assert_true(event_feed_is_done(NULL));
    tell("connected", "");
    config.events_channel = (char *) "";
    event_feed_configure(feed, &config);
    assert_false(event_feed_is_on(feed));
    pass_ms(1000);
    assert_int_equal(n_published, 0);
    assert_true(event_feed_is_done(feed));
}

static void one_that_goes_takes_its_question_along(void **state) {
    (void) state;
    tell("connected", "");
    pass_ms(50);
    assert_non_null(asked);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events_are_gathered_in_order_and_forgotten_when_acknowledged, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_acknowledged_goes_again_as_it_was_under_its_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_told_as_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_channel_nothing_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_goes_takes_its_question_along, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
