/* What the scripts write: whole, cut anywhere, and bent. */
#include "base/wire.h"
#include "broker/redis/redis_messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char epoch_a[] = "aaaaaaaaaaaaaaaa";

static void append_publication(struct buffer *out, const char *data) {
    struct buffer publication = BUFFER_EMPTY;
    uint8_t head[REDIS_ENTRY_HEAD_SIZE];
    wire_append_publication(&publication, &(struct wire_publication){.time_ms = 5, .data = span_of_text(data)});
    redis_entry_head(buffer_span(&publication), head);
    buffer_append(out, head, sizeof head);
    buffer_append_span(out, buffer_span(&publication));
    buffer_finish(&publication);
}

static void append_channel(struct buffer *out, uint8_t kind, const char *name, const char *epoch, uint64_t first) {
    static const char none[EPOCH_LENGTH] = {0};
    buffer_append_u8(out, kind);
    buffer_append_u8(out, (uint8_t) strlen(name));
    buffer_append_text(out, name);
    buffer_append(out, epoch == NULL ? none : epoch, EPOCH_LENGTH);
    buffer_append_u64(out, first);
}

static void append_member(struct buffer *out, uint8_t action, const char *client) {
    struct buffer value = BUFFER_EMPTY;
    struct buffer info = BUFFER_EMPTY;
    wire_append_client_info(&info, &(struct wire_client_info){.client = span_of_text(client)});
    redis_member_append(&value, &(struct redis_member){SPAN_LITERAL("gw"), 7, buffer_span(&info)});
    buffer_append_u8(out, action);
    buffer_append_u8(out, (uint8_t) strlen(client));
    buffer_append_text(out, client);
    buffer_append_sized(out, buffer_span(&value));
    buffer_finish(&info);
    buffer_finish(&value);
}

static void append_topic_head(struct buffer *out, uint8_t kind) {
    buffer_append_u8(out, REDIS_TOPIC_VERSION);
    buffer_append_u8(out, kind);
    buffer_append_text(out, "GGGGGGGGGGGGGGGG");
    buffer_append_u64(out, 41);
    buffer_append_text(out, "b:BBBBBBBBBBBB");
    buffer_append_u32(out, 7);
}

/* x twice with history, one refused item, y without, a join and a leave in x */
static struct buffer sample_topic(void) {
    struct buffer out = BUFFER_EMPTY;
    append_topic_head(&out, REDIS_TOPIC_BATCH);
    buffer_append_u16(&out, 6);
    buffer_append_u8(&out, 3);
    append_channel(&out, REDIS_POSITIONED, "x", epoch_a, 10);
    append_channel(&out, REDIS_PLAIN, "y", NULL, 0);
    append_channel(&out, REDIS_PRESENCE, "x", NULL, 0);
    buffer_append(&out, "\1\0\2\3\1\3", 6);
    append_publication(&out, "one");
    append_publication(&out, "two");
    append_member(&out, REDIS_PRESENCE_SET, "c1");
    append_publication(&out, "three");
    append_member(&out, REDIS_PRESENCE_CLEAR, "c2");
    return out;
}

static struct wire_publication decode(struct span publication) {
    struct wire_publication decoded;
    struct cursor cursor = cursor_of(publication);
    assert_true(wire_read_publication(&cursor, &decoded));
    return decoded;
}

static void a_topic_message_tells_its_items_in_order(void **state) {
    (void) state;
    struct buffer bytes = sample_topic();
    struct redis_topic_message message;
    assert_true(redis_topic_parse(buffer_span(&bytes), &message));
    assert_string_equal(message.gen.text, "GGGGGGGGGGGGGGGG");
    assert_int_equal(message.seq, 41);
    assert_int_equal(message.number, 7);
    struct redis_topic_item item;
    assert_true(redis_topic_next(&message, &item));
    assert_true(span_equal_text(item.channel->name, "x"));
    assert_string_equal(item.channel->place.epoch.text, epoch_a);
    assert_int_equal(item.offset, 10);
    assert_true(span_equal_text(decode(item.publication).data, "one"));
    assert_true(redis_topic_next(&message, &item));
    assert_true(span_equal_text(item.channel->name, "y"));
    assert_true(epoch_is_empty(&item.channel->place.epoch));
    assert_int_equal(item.offset, 0);
    assert_true(redis_topic_next(&message, &item));
    assert_true(item.joined);
    struct redis_member member;
    assert_true(redis_member_parse(item.value, &member));
    assert_true(span_equal_text(member.gateway_id, "gw"));
    assert_int_equal(member.lease_number, 7);
    assert_true(redis_topic_next(&message, &item));
    assert_int_equal(item.offset, 11);
    assert_true(redis_topic_next(&message, &item));
    assert_false(item.joined);
    assert_false(redis_topic_next(&message, &item));
    buffer_finish(&bytes);
}

static void removed_names_one_channel_and_its_top(void **state) {
    (void) state;
    struct buffer bytes = BUFFER_EMPTY;
    append_topic_head(&bytes, REDIS_TOPIC_REMOVED);
    buffer_append_u8(&bytes, 6);
    buffer_append_text(&bytes, "news:a");
    buffer_append_text(&bytes, "0123456789abcdef");
    buffer_append_u64(&bytes, 41);
    struct redis_topic_message message;
    struct redis_topic_item item;
    assert_true(redis_topic_parse(buffer_span(&bytes), &message));
    assert_int_equal(message.kind, REDIS_TOPIC_REMOVED);
    assert_true(span_equal_text(message.channels[0].name, "news:a"));
    assert_string_equal(message.channels[0].place.epoch.text, "0123456789abcdef");
    assert_int_equal(message.channels[0].place.first, 41);
    assert_false(redis_topic_next(&message, &item));
    for (size_t size = 0; size < bytes.size; size++) {
        assert_false(redis_topic_parse(span_of(bytes.data, size), &message));
    }
    buffer_append_u8(&bytes, 0);
    assert_false(redis_topic_parse(buffer_span(&bytes), &message));
    buffer_finish(&bytes);
}

static void opened_has_a_head_only(void **state) {
    (void) state;
    struct buffer bytes = BUFFER_EMPTY;
    append_topic_head(&bytes, REDIS_TOPIC_OPENED);
    struct redis_topic_message message;
    struct redis_topic_item item;
    assert_true(redis_topic_parse(buffer_span(&bytes), &message));
    assert_int_equal(message.kind, REDIS_TOPIC_OPENED);
    assert_false(redis_topic_next(&message, &item));
    buffer_append_u8(&bytes, 0);
    assert_false(redis_topic_parse(buffer_span(&bytes), &message));
    buffer_finish(&bytes);
}

static void a_message_cut_anywhere_is_refused(void **state) {
    (void) state;
    struct buffer bytes = sample_topic();
    struct redis_topic_message message;
    for (size_t size = 0; size < bytes.size; size++) {
        assert_false(redis_topic_parse(span_of(bytes.data, size), &message));
    }
    buffer_finish(&bytes);
}

static void a_message_with_one_byte_bent_never_harms(void **state) {
    (void) state;
    struct buffer bytes = sample_topic();
    for (size_t i = 0; i < bytes.size; i++) {
        for (unsigned bend = 1; bend < 256; bend = bend * 2 + 1) {
            bytes.data[i] ^= (uint8_t) bend;
            struct redis_topic_message message;
            struct redis_topic_item item;
            if (redis_topic_parse(buffer_span(&bytes), &message)) {
                while (redis_topic_next(&message, &item)) {
                }
                assert_false(message.items.failed);
            }
            bytes.data[i] ^= (uint8_t) bend;
        }
    }
    buffer_finish(&bytes);
}

static void another_version_is_refused(void **state) {
    (void) state;
    struct buffer bytes = sample_topic();
    struct redis_topic_message message;
    bytes.data[0] = REDIS_TOPIC_VERSION + 1;
    assert_false(redis_topic_peek(buffer_span(&bytes), &message));
    buffer_finish(&bytes);
}

static struct buffer sample_results(void) {
    struct buffer out = BUFFER_EMPTY;
    buffer_append_u8(&out, 1);
    buffer_append_u64(&out, 41);
    buffer_append_u8(&out, 1);
    buffer_append_text(&out, epoch_a);
    buffer_append_u64(&out, 10);
    buffer_append_u16(&out, 2);
    buffer_append_u8(&out, REDIS_ODD_DUPLICATE);
    buffer_append_text(&out, epoch_a);
    buffer_append_u64(&out, 3);
    buffer_append_u16(&out, 4);
    buffer_append_u8(&out, REDIS_ODD_KEY_REUSED);
    buffer_append_u16(&out, 5);
    buffer_append_u8(&out, REDIS_ODD_LEFT);
    buffer_append_sized(&out, SPAN_LITERAL("value"));
    return out;
}

static void results_name_the_places_and_what_is_not_plain(void **state) {
    (void) state;
    struct buffer bytes = sample_results();
    struct redis_results results;
    struct redis_odd_item item;
    assert_true(redis_results_parse(buffer_span(&bytes), &results));
    assert_true(results.told);
    assert_int_equal(results.seq, 41);
    assert_int_equal(results.places[0].first, 10);
    assert_true(redis_results_next(&results, &item));
    assert_int_equal(item.index, 1);
    assert_int_equal(item.position.offset, 3);
    assert_true(redis_results_next(&results, &item));
    assert_int_equal(item.what, REDIS_ODD_KEY_REUSED);
    assert_true(redis_results_next(&results, &item));
    assert_true(span_equal_text(item.value, "value"));
    assert_false(redis_results_next(&results, &item));
    assert_false(results.odd.failed);
    buffer_finish(&bytes);
}

static void results_cut_anywhere_end_without_harm(void **state) {
    (void) state;
    struct buffer bytes = sample_results();
    for (size_t size = 0; size < bytes.size; size++) {
        struct redis_results results;
        struct redis_odd_item item;
        if (redis_results_parse(span_of(bytes.data, size), &results)) {
            while (redis_results_next(&results, &item)) {
            }
        }
    }
    buffer_finish(&bytes);
}

static void an_entry_is_a_version_a_hash_and_exactly_one_publication(void **state) {
    (void) state;
    struct buffer bytes = BUFFER_EMPTY;
    struct span publication;
    append_publication(&bytes, "x");
    assert_true(redis_entry_parse(buffer_span(&bytes), &publication));
    assert_true(span_equal_text(decode(publication).data, "x"));
    buffer_append_u8(&bytes, 0);
    assert_false(redis_entry_parse(buffer_span(&bytes), &publication));
    assert_false(redis_entry_parse(SPAN_LITERAL("foreign"), &publication));
    assert_false(redis_entry_parse(SPAN_EMPTY, &publication));
    buffer_finish(&bytes);
}

/* However well it still reads: {"k":"backend-1"} may not become {"k":"backend-q"} in Redis. */
static void an_entry_with_any_bit_flipped_is_none(void **state) {
    (void) state;
    struct buffer bytes = BUFFER_EMPTY;
    struct span publication;
    append_publication(&bytes, "{\"k\":\"backend-1\"}");
    for (size_t bit = 0; bit < 8 * bytes.size; bit++) {
        bytes.data[bit / 8] ^= (uint8_t) (1U << bit % 8);
        assert_false(redis_entry_parse(buffer_span(&bytes), &publication));
        bytes.data[bit / 8] ^= (uint8_t) (1U << bit % 8);
    }
    assert_true(redis_entry_parse(buffer_span(&bytes), &publication));
    buffer_finish(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_message_tells_its_items_in_order),
        cmocka_unit_test(removed_names_one_channel_and_its_top),
        cmocka_unit_test(opened_has_a_head_only),
        cmocka_unit_test(a_message_cut_anywhere_is_refused),
        cmocka_unit_test(a_message_with_one_byte_bent_never_harms),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(results_name_the_places_and_what_is_not_plain),
        cmocka_unit_test(results_cut_anywhere_end_without_harm),
        cmocka_unit_test(an_entry_is_a_version_a_hash_and_exactly_one_publication),
        cmocka_unit_test(an_entry_with_any_bit_flipped_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
