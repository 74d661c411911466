/* The decision lists of client-protocol.md section 13, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/session/permission.h"

static const struct namespace_options nothing = {.name = (char *) ""};

/* ---- which options ---- */

static void test_a_channel_finds_its_namespace_or_its_error(void **state) {
    (void) state;
    struct namespace_options items[] = {{.name = (char *) ""}, {.name = (char *) "chat"}};
    const struct config_section_list list = {items, 2};
    namespace_set_t *set = namespace_set_new(&list);
    char long_name[300];
    memset(long_name, 'a', sizeof long_name);
    const struct {
        struct span channel;
        enum error_code error;
        const struct namespace_options *options;
    } rows[] = {
        {SPAN_LITERAL("news"), ERROR_NONE, &items[0]},
        {SPAN_LITERAL("chat:index"), ERROR_NONE, &items[1]},
        {SPAN_LITERAL("$chat:index"), ERROR_NONE, &items[1]},
        {SPAN_LITERAL("$news"), ERROR_NONE, &items[0]},
        {SPAN_LITERAL("chat:a:b"), ERROR_NONE, &items[1]},
        {SPAN_LITERAL("other:a"), ERROR_UNKNOWN_CHANNEL, NULL},
        {SPAN_LITERAL("$other:a"), ERROR_UNKNOWN_CHANNEL, NULL},
        {SPAN_LITERAL("Chat:a"), ERROR_UNKNOWN_CHANNEL, NULL},
        {SPAN_LITERAL("new s"), ERROR_BAD_REQUEST, NULL},
        {SPAN_LITERAL("chat:\xc3\xa9"), ERROR_BAD_REQUEST, NULL},
        {SPAN_LITERAL("a{b}"), ERROR_BAD_REQUEST, NULL},
        {SPAN_LITERAL("a*"), ERROR_BAD_REQUEST, NULL},
        {SPAN_LITERAL("a\r\nb"), ERROR_BAD_REQUEST, NULL},
        {SPAN_LITERAL("a\0b"), ERROR_BAD_REQUEST, NULL},
        {span_of(long_name, 255), ERROR_NONE, &items[0]},
        {span_of(long_name, 256), ERROR_BAD_REQUEST, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct namespace_options *options = NULL;
        assert_int_equal(permission_find_options(set, rows[i].channel, &options), rows[i].error);
        assert_ptr_equal(options, rows[i].options);
    }
    namespace_set_destroy(&set);
}

static void test_without_an_entry_for_it_a_plain_channel_is_unknown(void **state) {
    (void) state;
    struct namespace_options items[] = {{.name = (char *) "chat"}};
    const struct config_section_list list = {items, 1};
    namespace_set_t *set = namespace_set_new(&list);
    const struct namespace_options *options = NULL;
    assert_int_equal(permission_find_options(set, SPAN_LITERAL("news"), &options), ERROR_UNKNOWN_CHANNEL);
    namespace_set_destroy(&set);
}

/* ---- subscribe ---- */

enum { CLIENT = 1, ANONYMOUS = 2, SUBSCRIBER = 4, LIMITED = 8, OFF = 16 };

static void test_who_may_subscribe_without_a_token(void **state) {
    (void) state;
    static const struct {
        int options;
        const char *channel;
        const char *user;
        bool allowed;
    } rows[] = {
        {0, "news", "42", false},
        {0, "news", "", false},
        {CLIENT, "news", "42", true},
        {CLIENT, "news", "", false},
        {CLIENT | ANONYMOUS, "news", "", true},
        {CLIENT | ANONYMOUS, "news", "42", true},
        {ANONYMOUS, "news", "", false},
        {ANONYMOUS, "news", "42", false},
        /* private: a token or nothing */
        {CLIENT | ANONYMOUS | LIMITED, "$news", "42", false},
        {CLIENT | ANONYMOUS | LIMITED, "$news#42", "42", false},
        {CLIENT, "$chat:a", "42", false},
        /* user-limited: the list decides, and only it */
        {LIMITED, "#42", "42", true},
        {LIMITED, "dialog#42,43", "42", true},
        {LIMITED, "dialog#42,43", "43", true},
        {LIMITED, "dialog#42,43", "4", false},
        {LIMITED, "dialog#42,43", "42,43", false},
        {LIMITED, "dialog#42,43", "44", false},
        {LIMITED, "dialog#42,43", "", false},
        {LIMITED, "dialog#", "", false},
        {LIMITED, "dialog#,", "", false},
        {LIMITED | CLIENT | ANONYMOUS, "dialog#42", "7", false},
        {LIMITED | CLIENT | ANONYMOUS, "dialog#42", "", false},
        {LIMITED | CLIENT, "a#42#7", "42", false}, /* the last # counts */
        {LIMITED | CLIENT, "a#42#7", "7", true},
        {LIMITED | CLIENT, "news", "42", true},
        {LIMITED, "news", "42", false},
        /* where the namespace knows no user-limited channels it is a name like any other */
        {CLIENT, "dialog#42", "7", true},
        {0, "dialog#42", "42", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct namespace_options options = nothing;
        options.allow_subscribe_for_client = (rows[i].options & CLIENT) != 0;
        options.allow_subscribe_for_anonymous = (rows[i].options & ANONYMOUS) != 0;
        options.allow_user_limited_channels = (rows[i].options & LIMITED) != 0;
        enum error_code error =
            permission_subscribe(&options, span_of_text(rows[i].channel), span_of_text(rows[i].user));
        if (error != (rows[i].allowed ? ERROR_NONE : ERROR_PERMISSION_DENIED)) {
            fail_msg("row %zu: %s for user \"%s\"", i, rows[i].channel, rows[i].user);
        }
    }
}

/* ---- publish, history, presence: one pattern ---- */

static const struct {
    int options;
    const char *user;
    bool subscribed;
    bool allowed;
} pattern[] = {
    {0, "42", false, false},
    {0, "42", true, false},
    {CLIENT, "42", false, true},
    {CLIENT, "42", true, true},
    {CLIENT, "", false, false},
    {CLIENT, "", true, false},
    {CLIENT | ANONYMOUS, "", false, true},
    {SUBSCRIBER, "42", false, false},
    {SUBSCRIBER, "42", true, true},
    {SUBSCRIBER, "", true, false},
    {SUBSCRIBER | ANONYMOUS, "", true, true},
    {SUBSCRIBER | ANONYMOUS, "", false, false},
    {ANONYMOUS, "", true, false},
    {ANONYMOUS, "42", true, false},
    {CLIENT | SUBSCRIBER | ANONYMOUS, "", false, true},
};
enum { N_PATTERN = sizeof pattern / sizeof pattern[0] };

static void test_who_may_publish(void **state) {
    (void) state;
    for (size_t i = 0; i < N_PATTERN; i++) {
        struct namespace_options options = nothing;
        options.allow_publish_for_client = (pattern[i].options & CLIENT) != 0;
        options.allow_publish_for_subscriber = (pattern[i].options & SUBSCRIBER) != 0;
        options.allow_publish_for_anonymous = (pattern[i].options & ANONYMOUS) != 0;
        struct permission_subject subject = {span_of_text(pattern[i].user), pattern[i].subscribed};
        assert_int_equal(permission_publish(&options, &subject),
                         pattern[i].allowed ? ERROR_NONE : ERROR_PERMISSION_DENIED);
    }
}

static void test_who_may_read_history(void **state) {
    (void) state;
    for (size_t i = 0; i < N_PATTERN; i++) {
        struct namespace_options options = nothing;
        options.allow_history_for_client = (pattern[i].options & CLIENT) != 0;
        options.allow_history_for_subscriber = (pattern[i].options & SUBSCRIBER) != 0;
        options.allow_history_for_anonymous = (pattern[i].options & ANONYMOUS) != 0;
        struct permission_subject subject = {span_of_text(pattern[i].user), pattern[i].subscribed};
        assert_int_equal(permission_history(&options, &subject), ERROR_NOT_AVAILABLE);
        options.history_size = 10;
        assert_int_equal(permission_history(&options, &subject), ERROR_NOT_AVAILABLE);
        options.history_ttl_ms = 1000;
        assert_int_equal(permission_history(&options, &subject),
                         pattern[i].allowed ? ERROR_NONE : ERROR_PERMISSION_DENIED);
    }
}

static void test_who_may_read_presence(void **state) {
    (void) state;
    for (size_t i = 0; i < N_PATTERN; i++) {
        struct namespace_options options = nothing;
        options.allow_presence_for_client = (pattern[i].options & CLIENT) != 0;
        options.allow_presence_for_subscriber = (pattern[i].options & SUBSCRIBER) != 0;
        options.allow_presence_for_anonymous = (pattern[i].options & ANONYMOUS) != 0;
        struct permission_subject subject = {span_of_text(pattern[i].user), pattern[i].subscribed};
        assert_int_equal(permission_presence(&options, &subject), ERROR_NOT_AVAILABLE);
        options.presence = true;
        assert_int_equal(permission_presence(&options, &subject),
                         pattern[i].allowed ? ERROR_NONE : ERROR_PERMISSION_DENIED);
    }
}

/* ---- features ---- */

static struct namespace_options with_history(void) {
    struct namespace_options options = nothing;
    options.history_size = 10;
    options.history_ttl_ms = 1000;
    return options;
}

static struct subscription_features features_of(const struct namespace_options *options, const char *user,
                                                struct subscription_wishes wishes) {
    return permission_features(options, span_of_text(user), &wishes, JSON_ABSENT);
}

static const struct subscription_wishes everything = {true, true, true};
static const struct subscription_wishes nothing_wished = {false, false, false};

static void test_a_closed_namespace_grants_nothing(void **state) {
    (void) state;
    struct namespace_options options = with_history();
    struct subscription_features features = features_of(&options, "42", everything);
    assert_false(features.positioned || features.recoverable || features.pushes_join_leave || features.has_presence ||
                 features.tells_join_leave);
}

static void test_positions_are_granted_where_allowed_and_wished(void **state) {
    (void) state;
    struct namespace_options options = with_history();
    options.allow_positioning = true;
    assert_true(features_of(&options, "", everything).positioned);
    assert_false(features_of(&options, "", everything).recoverable);
    assert_false(features_of(&options, "", nothing_wished).positioned);
    options.allow_positioning = false;
    options.allow_recovery = true;
    assert_true(features_of(&options, "", everything).recoverable);
    assert_true(features_of(&options, "", (struct subscription_wishes){.recoverable = true}).positioned);
    assert_false(features_of(&options, "", nothing_wished).recoverable);
}

static void test_who_may_read_history_may_have_positions(void **state) {
    (void) state;
    struct namespace_options options = with_history();
    options.allow_history_for_subscriber = true; /* a subscriber is what it is about to be */
    assert_true(features_of(&options, "42", everything).positioned);
    assert_true(features_of(&options, "42", everything).recoverable);
    assert_false(features_of(&options, "", everything).positioned);
}

static void test_forced_features_need_no_wish(void **state) {
    (void) state;
    struct namespace_options options = with_history();
    options.force_positioning = true;
    assert_true(features_of(&options, "", nothing_wished).positioned);
    assert_false(features_of(&options, "", nothing_wished).recoverable);
    options.force_positioning = false;
    options.force_recovery = true;
    assert_true(features_of(&options, "", nothing_wished).positioned);
    assert_true(features_of(&options, "", nothing_wished).recoverable);
}

static void test_without_history_there_are_no_positions(void **state) {
    (void) state;
    struct namespace_options options = nothing;
    options.force_positioning = options.force_recovery = options.allow_recovery = options.allow_positioning = true;
    assert_false(features_of(&options, "42", everything).positioned);
    assert_false(features_of(&options, "42", everything).recoverable);
}

static void test_join_and_leave_are_pushed_to_who_may_see_presence_and_wants_them(void **state) {
    (void) state;
    struct namespace_options options = nothing;
    options.join_leave = true;
    assert_true(features_of(&options, "42", nothing_wished).tells_join_leave);
    assert_false(features_of(&options, "42", everything).pushes_join_leave);
    options.allow_presence_for_client = true;
    assert_true(features_of(&options, "42", everything).pushes_join_leave);
    assert_false(features_of(&options, "42", nothing_wished).pushes_join_leave);
    options.allow_presence_for_client = false;
    options.force_push_join_leave = true;
    assert_true(features_of(&options, "42", nothing_wished).pushes_join_leave);
    options.join_leave = false;
    assert_false(features_of(&options, "42", everything).pushes_join_leave);
}

static struct subscription_features overridden_by(const struct namespace_options *options, const char *json) {
    struct json_value override;
    assert_int_equal(json_scan(span_of_text(json), &JSON_LIMITS_DEFAULT, &override, NULL), JSON_OK);
    return permission_features(options, SPAN_LITERAL("42"), &nothing_wished, override);
}

static void test_a_token_may_override_options(void **state) {
    (void) state;
    struct namespace_options options = with_history();
    assert_true(overridden_by(&options, "{\"presence\":{\"value\":true}}").has_presence);
    assert_true(overridden_by(&options, "{\"force_recovery\":{\"value\":true}}").recoverable);
    assert_true(overridden_by(&options, "{\"force_positioning\":{\"value\":true}}").positioned);
    assert_true(overridden_by(&options, "{\"join_leave\":{\"value\":true}}").tells_join_leave);
    assert_true(overridden_by(&options, "{\"join_leave\":{\"value\":true},\"force_push_join_leave\":{\"value\":true}}")
                    .pushes_join_leave);
    options.presence = options.force_recovery = options.join_leave = options.force_push_join_leave = true;
    assert_false(overridden_by(&options, "{\"presence\":{\"value\":false}}").has_presence);
    assert_false(overridden_by(&options, "{\"force_recovery\":{\"value\":false}}").recoverable);
    assert_false(overridden_by(&options, "{\"join_leave\":{\"value\":false}}").pushes_join_leave);
}

static void test_an_override_of_the_wrong_shape_changes_nothing(void **state) {
    (void) state;
    static const char *const shapes[] = {
        "{}",
        "[]",
        "true",
        "{\"presence\":true}",
        "{\"presence\":{}}",
        "{\"presence\":{\"value\":1}}",
        "{\"presence\":{\"value\":\"false\"}}",
        "{\"presence\":null}",
        "{\"Presence\":{\"value\":false}}",
    };
    struct namespace_options options = nothing;
    options.presence = true;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        assert_true(overridden_by(&options, shapes[i]).has_presence);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_channel_finds_its_namespace_or_its_error),
        cmocka_unit_test(test_without_an_entry_for_it_a_plain_channel_is_unknown),
        cmocka_unit_test(test_who_may_subscribe_without_a_token),
        cmocka_unit_test(test_who_may_publish),
        cmocka_unit_test(test_who_may_read_history),
        cmocka_unit_test(test_who_may_read_presence),
        cmocka_unit_test(test_a_closed_namespace_grants_nothing),
        cmocka_unit_test(test_positions_are_granted_where_allowed_and_wished),
        cmocka_unit_test(test_who_may_read_history_may_have_positions),
        cmocka_unit_test(test_forced_features_need_no_wish),
        cmocka_unit_test(test_without_history_there_are_no_positions),
        cmocka_unit_test(test_join_and_leave_are_pushed_to_who_may_see_presence_and_wants_them),
        cmocka_unit_test(test_a_token_may_override_options),
        cmocka_unit_test(test_an_override_of_the_wrong_shape_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
