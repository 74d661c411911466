/* The JSON decoder against cJSON: commands made at random, sound and damaged. What ours takes, cJSON reads as the same;
 * cJSON takes more (it is lenient), so nothing follows from what ours refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "base/json_scan.h"
#include "gateway/protocol/client_protocol.h"

enum { CASES = 300 };

static uint64_t seed = 0x9E3779B97F4A7C15;

static size_t below(size_t bound) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t) (seed % bound);
}

/* ---- making ---- */

static void put_string(struct buffer *out) {
    static const char *const strings[] = {
        "\"\"",      "\"a\"",     "\"news\"",       "\"\\u00e9\\ud83d\\ude00\"",   "\"\\\"\\\\\\/\\n\"",
        "\"чат 😀\"", "\"{[,]}\"", "\"\\u0041\\t\"", "\"a longer one with blanks\""};
    buffer_append_text(out, strings[below(sizeof strings / sizeof strings[0])]);
}

static void put_number(struct buffer *out) {
    static const char *const numbers[] = {"0", "1", "7", "-1", "4294967295", "2147483647", "9007199254740991"};
    buffer_append_text(out, numbers[below(sizeof numbers / sizeof numbers[0])]);
}

static void put_blank(struct buffer *out) {
    static const char *const blanks[] = {"", "", "", " ", "\t", " \r "};
    buffer_append_text(out, blanks[below(sizeof blanks / sizeof blanks[0])]);
}

static void put_value(struct buffer *out, unsigned depth) {
    size_t kind = below(depth > 3 ? 4 : 6);
    if (kind == 0) {
        put_string(out);
    } else if (kind == 1) {
        put_number(out);
    } else if (kind < 4) {
        buffer_append_text(out, kind == 2 ? "null" : "true");
    } else {
        buffer_append_char(out, kind == 4 ? '[' : '{');
        for (size_t n = below(4), i = 0; i < n; i++) {
            buffer_append_text(out, i == 0 ? "" : ",");
            put_blank(out);
            if (kind == 5) {
                buffer_append_format(out, "\"k%zu\":", i); /* each once: of twins cJSON finds the first */
            }
            put_value(out, depth + 1);
        }
        buffer_append_char(out, kind == 4 ? ']' : '}');
    }
}

static void put_member(struct buffer *out, const char *name, void (*put)(struct buffer *out)) {
    if (below(3) == 0) {
        return;
    }
    buffer_append_text(out, out->data[out->size - 1] == '{' ? "" : ",");
    put_blank(out);
    buffer_append_format(out, "\"%s\"", name);
    put_blank(out);
    buffer_append_char(out, ':');
    put(out);
    put_blank(out);
}

static void put_any(struct buffer *out) {
    put_value(out, 0);
}

static void put_bool(struct buffer *out) {
    buffer_append_text(out, below(2) == 0 ? "true" : "false");
}

static void put_since(struct buffer *out) {
    buffer_append_char(out, '{');
    put_member(out, "offset", put_number);
    buffer_append_char(out, '}');
}

static void put_request(struct buffer *out) {
    buffer_append_char(out, '{');
    put_member(out, "channel", put_string);
    put_member(out, "token", put_string);
    put_member(out, "data", put_any);
    put_member(out, "recover", put_bool);
    put_member(out, "offset", put_number);
    put_member(out, "limit", put_number);
    put_member(out, "method", put_string);
    put_member(out, "since", put_since);
    put_member(out, "unknown", put_any);
    buffer_append_char(out, '}');
}

static void make_command(struct buffer *out) {
    static const char *const requests[] = {"subscribe", "publish", "history", "rpc", "send", "unsubscribe", "presence"};
    buffer_append_text(out, "{\"id\":3");
    put_member(out, "unknown", put_any);
    buffer_append_text(out, ",");
    buffer_append_format(out, "\"%s\":", requests[below(sizeof requests / sizeof requests[0])]);
    put_request(out);
    buffer_append_char(out, '}');
}

static void damage(struct buffer *message) {
    static const char bytes[] = "{}[]\",:\\0129truefalsn \t";
    for (size_t n = 1 + below(2); n > 0; n--) {
        message->data[below(message->size)] = (uint8_t) bytes[below(sizeof bytes - 1)];
    }
}

/* ---- comparing ---- */

static void expect_text(const cJSON *request, const char *name, struct span ours) {
    const cJSON *theirs = cJSON_GetObjectItemCaseSensitive(request, name);
    const char *text = cJSON_IsString(theirs) ? theirs->valuestring : "";
    assert_int_equal(ours.size, strlen(text));
    assert_true(span_equal_text(ours, text));
}

static void expect_number(const cJSON *request, const char *name, double ours) {
    const cJSON *theirs = cJSON_GetObjectItemCaseSensitive(request, name);
    assert_true((cJSON_IsNumber(theirs) ? theirs->valuedouble : 0) == ours);
}

static void expect_flag(const cJSON *request, const char *name, bool ours) {
    assert_int_equal(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(request, name)) != 0, ours);
}

/* The payload's bytes are the same value. */
static void expect_payload(const cJSON *request, const char *name, struct span ours) {
    const cJSON *theirs = cJSON_GetObjectItemCaseSensitive(request, name);
    assert_int_equal(theirs != NULL, ours.size > 0);
    if (theirs != NULL) {
        cJSON *parsed = cJSON_ParseWithLength((const char *) ours.data, ours.size);
        char *text = cJSON_PrintUnformatted(parsed);
        char *expected = cJSON_PrintUnformatted(theirs); /* cJSON_Compare finds an object with twins unlike itself */
        assert_non_null(text);
        assert_string_equal(text, expected);
        cJSON_free(text);
        cJSON_free(expected);
        cJSON_Delete(parsed);
    }
}

static void compare(const struct client_command *ours, const cJSON *theirs) {
    static const char *const names[] = {
        [CLIENT_COMMAND_SUBSCRIBE] = "subscribe", [CLIENT_COMMAND_UNSUBSCRIBE] = "unsubscribe",
        [CLIENT_COMMAND_PUBLISH] = "publish",     [CLIENT_COMMAND_PRESENCE] = "presence",
        [CLIENT_COMMAND_HISTORY] = "history",     [CLIENT_COMMAND_RPC] = "rpc",
        [CLIENT_COMMAND_SEND] = "send",
    };
    expect_number(theirs, "id", ours->id);
    if ((size_t) ours->kind >= sizeof names / sizeof names[0] || names[ours->kind] == NULL) {
        return; /* a damaged name that became another one */
    }
    const cJSON *request = cJSON_GetObjectItemCaseSensitive(theirs, names[ours->kind]);
    assert_non_null(request);
    if (ours->kind == CLIENT_COMMAND_SUBSCRIBE) {
        expect_text(request, "channel", ours->body.subscribe.channel);
        expect_text(request, "token", ours->body.subscribe.token);
        expect_flag(request, "recover", ours->body.subscribe.recover);
        expect_number(request, "offset", (double) ours->body.subscribe.offset);
        expect_payload(request, "data", ours->body.subscribe.data);
    } else if (ours->kind == CLIENT_COMMAND_PUBLISH) {
        expect_text(request, "channel", ours->body.publish.channel);
        expect_payload(request, "data", ours->body.publish.data);
    } else if (ours->kind == CLIENT_COMMAND_HISTORY) {
        expect_text(request, "channel", ours->body.history.channel);
        expect_number(request, "limit", (double) ours->body.history.limit);
        expect_number(cJSON_GetObjectItemCaseSensitive(request, "since"), "offset",
                      (double) ours->body.history.since.offset);
    } else if (ours->kind == CLIENT_COMMAND_RPC) {
        expect_text(request, "method", ours->body.rpc.method);
        expect_payload(request, "data", ours->body.rpc.data);
    } else if (ours->kind == CLIENT_COMMAND_SEND) {
        expect_payload(request, "data", ours->body.data);
    } else {
        expect_text(request, "channel", ours->body.channel);
    }
}

/* Does ours take it? */
static bool run_case(struct span message) {
    struct cursor cursor = cursor_of(message);
    struct buffer scratch = BUFFER_EMPTY;
    struct client_command command;
    bool taken = client_codec_json.decode_next(&cursor, &scratch, &command) == CLIENT_DECODE_OK && cursor.left == 0;
    if (taken) {
        cJSON *theirs = cJSON_ParseWithLength((const char *) message.data, message.size);
        if (theirs == NULL) {
            print_error("cJSON refuses: %.*s\n", (int) message.size, (const char *) message.data);
        }
        assert_non_null(theirs);
        compare(&command, theirs);
        cJSON_Delete(theirs);
    }
    buffer_finish(&scratch);
    return taken;
}

static void test_both_read_random_commands_as_the_same(void **state) {
    (void) state;
    unsigned n_taken = 0;
    for (unsigned i = 0; i < CASES; i++) {
        struct buffer message = BUFFER_EMPTY;
        make_command(&message);
        n_taken += run_case(buffer_span(&message));
        buffer_finish(&message);
    }
    assert_true(n_taken > CASES / 3); /* the others have negative offsets and the like */
}

static void test_of_damaged_commands_ours_takes_none_that_cjson_reads_otherwise(void **state) {
    (void) state;
    unsigned n_taken = 0;
    for (unsigned i = 0; i < 10 * CASES; i++) {
        struct buffer message = BUFFER_EMPTY;
        make_command(&message);
        damage(&message);
        n_taken += run_case(buffer_span(&message));
        buffer_finish(&message);
    }
    assert_true(n_taken > 0 && n_taken < 10 * CASES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_read_random_commands_as_the_same),
        cmocka_unit_test(test_of_damaged_commands_ours_takes_none_that_cjson_reads_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
