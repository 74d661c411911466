/* Whatever is judged valid must be walkable, decodable and judged alike again; nothing may be read outside. */
#include "base/check.h"
#include "base/json_scan.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct json_value value) {
    uint64_t unsigned_value;
    int64_t signed_value;
    bool flag;
    json_to_bool(value, &flag);
    if (json_to_u64(value, &unsigned_value) && unsigned_value <= INT64_MAX) {
        check(json_to_i64(value, &signed_value), "an integer is signed too");
    }
    struct buffer text;
    buffer_init(&text, 0);
    struct span plain;
    if (json_decode_string(value, &text)) {
        check(utf8_is_valid(buffer_span(&text)), "decoded text is UTF-8");
        check(!json_plain_string(value, &plain) || span_equal(plain, buffer_span(&text)), "plain text is the text");
    }
    buffer_finish(&text);
    json_has_duplicate_names(value);

    struct json_iterator iterator = json_iterate(value);
    struct json_value name;
    struct json_value item;
    while (json_next(&iterator, &name, &item)) {
        check((value.type == JSON_OBJECT) == (name.type == JSON_STRING), "only members have names");
        struct json_value again;
        check(json_scan(item.text, &JSON_LIMITS_PAYLOAD, &again, NULL) == JSON_OK, "a cut item is valid");
        check(span_equal(again.text, item.text) && again.type == item.type, "a cut item is exact");
        json_name_is(name, "method");
        walk(item);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span text = span_of(data, size);
    struct json_value value;
    struct json_error error;
    struct json_value unused;
    bool is_valid = json_scan(text, &JSON_LIMITS_PAYLOAD, &value, &error) == JSON_OK;
    check(error.offset <= size, "an offset inside");
    if (json_scan(text, &JSON_LIMITS_DEFAULT, &unused, NULL) == JSON_OK) {
        check(is_valid, "the larger limits accept more");
    }
    if (!is_valid) {
        return 0;
    }
    check(utf8_is_valid(text), "valid JSON is valid UTF-8");
    walk(value);

    struct buffer line;
    buffer_init(&line, 0);
    check(json_append_one_line(&line, value.text), "it fits");
    check(memchr(line.data, '\n', line.size) == NULL && memchr(line.data, '\r', line.size) == NULL, "one line");
    check(json_scan(buffer_span(&line), &JSON_LIMITS_PAYLOAD, &unused, NULL) == JSON_OK, "still valid");
    buffer_finish(&line);
    return 0;
}
