/* The JSON codec: what commands are read as, what is refused, how payloads are embedded (client-protocol.md 4, 5). What
 * every codec does is tests/contract/codec_contract.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "gateway/protocol/client_protocol_json.h"
#include "tests/support/client_commands_text.h"

static const struct client_codec *const codec = &client_codec_json;

static char *decoded(struct span message) {
    return client_commands_text(codec, message);
}

static void expect(struct span message, const char *expected) {
    char *text = decoded(message);
    if (strcmp(text, expected) != 0) {
        print_error("message:  %.*s\n", (int) message.size, (const char *) message.data);
    }
    assert_string_equal(text, expected);
    memory_free(text);
}

/* ---- commands that are read ---- */

static const struct {
    const char *message;
    const char *expected;
} read_rows[] = {
    {"{\"id\":1,\"connect\":{\"name\":\"js\"}}", "1 connect name=js"},
    {"{\"id\":1,\"connect\":{\"token\":\"eyJ.a.b\"}}", "1 connect token=eyJ.a.b"},
    {"{\"id\":1,\"connect\":{}}", "1 connect"},
    {"{\"id\":4,\"connect\":{\"token\":\"T\",\"data\":{\"a\":1},\"subs\":{\"x\":{\"recover\":true}},\"name\":\"js\","
     "\"version\":"
     "\"2\",\"headers\":{\"h\":\"v\"},\"flag\":1,\"dict\":\"d\",\"profile\":\"p\"}}",
     "4 connect token=T data={\"a\":1} subs={\"x\":{\"recover\":true}} name=js version=2"},
    {"{\"id\":2,\"subscribe\":{\"channel\":\"news\",\"flag\":1}}", "2 subscribe channel=news flag=1"},
    {"{\"id\":2,\"subscribe\":{\"channel\":\"news\",\"recoverable\":true,\"flag\":1}}",
     "2 subscribe channel=news recoverable flag=1"},
    {"{\"id\":2,\"subscribe\":{\"channel\":\"news\",\"recover\":true,\"epoch\":\"kxYz\",\"offset\":6,\"flag\":1}}",
     "2 subscribe channel=news recover epoch=kxYz offset=6 flag=1"},
    {"{\"id\":3,\"subscribe\":{\"channel\":\"$secret\"}}", "3 subscribe channel=$secret"},
    {"{\"id\":3,\"subscribe\":{\"channel\":\"a\",\"token\":\"t\",\"data\":[1],\"positioned\":true,\"join_leave\":true,"
     "\"delta\":"
     "\"fossil\",\"tf\":{\"op\":\"and\"},\"type\":4,\"phase\":1,\"cursor\":\"c\",\"limit\":1,\"asc\":true}}",
     "3 subscribe channel=a token=t data=[1] positioned join_leave tf={\"op\":\"and\"} delta=fossil type=4"},
    {"{\"id\":4,\"publish\":{\"channel\":\"news\",\"data\":{\"a\":2}}}", "4 publish channel=news data={\"a\":2}"},
    {"{\"id\":4,\"publish\":{\"channel\":\"m\",\"data\":null,\"type\":1,\"key\":\"k\",\"removed\":true}}",
     "4 publish channel=m data=null type=1"},
    {"{\"id\":4,\"publish\":{\"channel\":\"c\",\"data\":1,\"idempotency_key\":\"a\\u0062\"}}",
     "4 publish channel=c data=1 idempotency_key=ab"},
    {"{\"id\":5,\"history\":{\"channel\":\"news\",\"limit\":2,\"since\":{\"offset\":6,\"epoch\":\"kxYz\"}}}",
     "5 history channel=news limit=2 since epoch=kxYz offset=6"},
    {"{\"id\":5,\"history\":{\"channel\":\"news\",\"limit\":-1,\"reverse\":true,\"since\":null}}",
     "5 history channel=news limit=-1 reverse"},
    {"{\"id\":5,\"history\":{\"channel\":\"news\",\"since\":{}}}", "5 history channel=news since"},
    {"{\"id\":6,\"history\":{\"channel\":\"news\"}}", "6 history channel=news"},
    {"{\"id\":7,\"presence\":{\"channel\":\"news\"}}", "7 presence channel=news"},
    {"{\"id\":8,\"presence_stats\":{\"channel\":\"news\"}}", "8 presence_stats channel=news"},
    {"{\"id\":9,\"rpc\":{\"method\":\"m\",\"data\":{}}}", "9 rpc method=m data={}"},
    {"{\"id\":10,\"unsubscribe\":{\"channel\":\"news\"}}", "10 unsubscribe channel=news"},
    {"{\"id\":11,\"refresh\":{\"token\":\"eyJ\"}}", "11 refresh token=eyJ"},
    {"{\"id\":12,\"sub_refresh\":{\"channel\":\"news\",\"token\":\"eyJ\"}}", "12 sub_refresh channel=news token=eyJ"},
    {"{\"id\":12,\"sub_refresh\":{\"channel\":\"n\",\"type\":1,\"track\":[]}}", "12 sub_refresh channel=n type=1"},
    {"{\"id\":13,\"ping\":{}}", "13 ping"},
    {"{\"send\":{\"data\":{\"x\":1}}}", "0 send data={\"x\":1}"},
    {"{\"id\":3,\"send\":{\"data\":1}}", "3 send data=1"},
    {"{}", "0 pong"},
    {" {\t} \r", "0 pong"},
    /* without an id and without send it is a pong, whatever it holds */
    {"{\"connect\":{}}", "0 pong"},
    {"{\"id\":0,\"publish\":{\"channel\":\"a\"}}", "0 pong"},
    {"{\"id\":null}", "0 pong"},
    {"{\"id\":0,\"rpc\":{\"method\":\"m\"},\"send\":{}}", "0 send"},
    /* of several requests the first in upstream's order counts, wherever it stands */
    {"{\"sub_refresh\":{\"channel\":\"s\"},\"publish\":{\"channel\":\"p\"},\"id\":1}", "1 publish channel=p"},
    {"{\"id\":1,\"subscribe\":{\"channel\":\"s\"},\"ping\":{}}", "1 ping"},
    {"{\"id\":1,\"ping\":{},\"connect\":{\"name\":\"n\"}}", "1 connect name=n"},
    {"{\"id\":1,\"send\":{},\"rpc\":{\"method\":\"m\"}}", "1 rpc method=m"},
    {"{\"id\":1,\"refresh\":{\"token\":\"r\"},\"send\":{}}", "1 send"},
    {"{\"id\":1,\"history\":{\"channel\":\"h\"},\"presence_stats\":{\"channel\":\"s\"}}", "1 presence_stats channel=s"},
    /* null counts as absent */
    {"{\"id\":1,\"connect\":null,\"ping\":{}}", "1 ping"},
    {"{\"id\":1,\"subscribe\":{\"channel\":\"c\",\"token\":null,\"recover\":null,\"epoch\":null,\"offset\":null,\"tf\":"
     "null,"
     "\"delta\":null,\"flag\":null,\"type\":null}}",
     "1 subscribe channel=c"},
    {"{\"id\":1,\"connect\":{\"subs\":null,\"name\":null}}", "1 connect"},
    /* unknown names are skipped, whatever they hold */
    {"{\"id\":1,\"unknown\":[{\"connect\":5}],\"ping\":{\"x\":[]},\"2\":3}", "1 ping"},
    {"{\"id\":1,\"unsubscribe\":{\"Channel\":\"no\",\"channel\":\"yes\",\"channels\":7}}", "1 unsubscribe channel=yes"},
    /* any white space, any order, escaped names and strings */
    {"\t{ \"unsubscribe\" :\r{ \"channel\" : \"a\" } , \"id\" : 7 } ", "7 unsubscribe channel=a"},
    {"{\"\\u0069d\":7,\"\\u0075nsubscribe\":{\"ch\\u0061nnel\":\"\\u0061\\/\\u00e9\"}}",
     "7 unsubscribe channel=a/\xc3\xa9"},
    {"{\"id\":7,\"rpc\":{\"method\":\"\\\"\\\\\\b\\f\\n\\r\\t\\ud83d\\ude00\"}}",
     "7 rpc method=\"\\\b\f\n\r\t\xf0\x9f\x98\x80"},
    {"{\"id\":7,\"connect\":{\"token\":\"\\u0061\",\"name\":\"\\u0062b\",\"version\":\"\\u0063cc\"}}",
     "7 connect token=a name=bb version=ccc"},
    /* of a name that stands twice the last one counts */
    {"{\"id\":1,\"id\":2,\"ping\":{}}", "2 ping"},
    {"{\"id\":1,\"unsubscribe\":{\"channel\":\"a\",\"channel\":\"b\"}}", "1 unsubscribe channel=b"},
    {"{\"id\":1,\"unsubscribe\":{\"channel\":\"a\",\"\\u0063hannel\":\"b\"}}", "1 unsubscribe channel=b"},
    /* numbers at their bounds */
    {"{\"id\":4294967295,\"ping\":{}}", "4294967295 ping"},
    {"{\"id\":1,\"subscribe\":{\"channel\":\"c\",\"offset\":18446744073709551615}}",
     "1 subscribe channel=c offset=18446744073709551615"},
    {"{\"id\":1,\"subscribe\":{\"channel\":\"c\",\"flag\":-9223372036854775808}}",
     "1 subscribe channel=c flag=-9223372036854775808"},
    {"{\"id\":1,\"history\":{\"channel\":\"c\",\"limit\":2147483647}}", "1 history channel=c limit=2147483647"},
    {"{\"id\":1,\"history\":{\"channel\":\"c\",\"limit\":-2147483648}}", "1 history channel=c limit=-2147483648"},
    /* an epoch that cannot be one of ours becomes "_", which never matches */
    {"{\"id\":1,\"subscribe\":{\"channel\":\"c\",\"epoch\":\"with blank\"}}", "1 subscribe channel=c epoch=_"},
    {"{\"id\":1,\"subscribe\":{\"channel\":\"c\",\"epoch\":\"123456789012345678901234\"}}",
     "1 subscribe channel=c epoch=_"},
    {"{\"id\":1,\"subscribe\":{\"channel\":\"c\",\"epoch\":\"_\"}}", "1 subscribe channel=c epoch=_"},
    {"{\"id\":1,\"subscribe\":{\"channel\":\"c\",\"epoch\":\"\"}}", "1 subscribe channel=c"},
    /* batches */
    {"{}\n{}", "0 pong | 0 pong"},
    {"{}\n", "0 pong"},
    {"{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}\n{\"id\":3,\"ping\":{}}",
     "1 connect | 2 subscribe channel=a | 3 ping"},
    {"{}\r\n{}\r\n", "0 pong | 0 pong"},
    {"", ""},
};

static void test_commands_are_read(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof read_rows / sizeof read_rows[0]; i++) {
        expect(span_of_text(read_rows[i].message), read_rows[i].expected);
    }
}

/* ---- payloads travel byte for byte ---- */

static const char *const payloads[] = {
    "0",
    "-0",
    "-0.0",
    "1e999",
    "1E+2",
    "9007199254740993",
    "123456789012345678901234567890",
    "0.1000000000000000055511151231257827021181583404541015625",
    "\"\"",
    "\"\\u0000\"", /* only what is decoded as text may not hold it */
    "\"\\u0041\\/\\b\"",
    "\"\xf0\x9f\x98\x80 \\ud83d\\ude00\"",
    "\"\x7f\"",
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "[ 1 ,\t2 ]",
    "{\"b\":1,\"a\":2,\"b\":3}",
    "{\"\\u0061\":1,\"a\":2}",
    "{\"id\":7,\"publish\":{\"channel\":\"x\",\"data\":\"}\"}}",
    "\"]}{[\\\"\"",
    "{ \"a\" : [ { } , [ ] ] }",
};

static void test_payloads_are_the_bytes_that_came(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        char message[512];
        char expected[512];
        snprintf(message, sizeof message, "{\"id\":1,\"publish\":{\"data\": %s ,\"channel\":\"c\"}}", payloads[i]);
        snprintf(expected, sizeof expected, "1 publish channel=c data=%s", payloads[i]);
        expect(span_of_text(message), expected);
    }
}

static void test_a_payload_may_have_many_values_and_names(void **state) {
    (void) state;
    struct buffer message = BUFFER_EMPTY;
    buffer_append_text(&message, "{\"id\":1,\"publish\":{\"channel\":\"c\",\"data\":{\"list\":[0");
    for (int i = 0; i < 9000; i++) {
        buffer_append_text(&message, ",1");
    }
    buffer_append_text(&message, "]");
    for (int i = 0; i < 500; i++) {
        buffer_append_format(&message, ",\"%d\":0", i);
    }
    buffer_append_text(&message, "}}}");
    struct cursor cursor = cursor_of(buffer_span(&message));
    struct buffer scratch = BUFFER_EMPTY;
    struct client_command command;
    assert_int_equal(codec->decode_next(&cursor, &scratch, &command), CLIENT_DECODE_OK);
    assert_int_equal(command.body.publish.data.size,
                     message.size - strlen("{\"id\":1,\"publish\":{\"channel\":\"c\",\"data\":}}"));
    buffer_finish(&message);
    buffer_finish(&scratch);
}

/* ---- commands that are refused ---- */

#define ROW(text)                                                                                                      \
    { text, sizeof(text) - 1 }

static const struct {
    const char *message;
    size_t size;
} hostile_rows[] = {
    /* not JSON */
    ROW(" "),
    ROW("\n"),
    ROW("\n{}"),
    ROW("{}\n\n"),
    ROW("{}\n\n{}"),
    ROW("\n\n"),
    ROW("{}\n "),
    ROW("{"),
    ROW("}"),
    ROW("{}}"),
    ROW("{{}"),
    ROW("{}{}"),
    ROW("{} {}"),
    ROW("{},{}"),
    ROW("[{}]"),
    ROW("{\"id\":1"),
    ROW("{\"id\"}"),
    ROW("{\"id\":}"),
    ROW("{\"id\" 1}"),
    ROW("{\"id\"=1}"),
    ROW("{id:1}"),
    ROW("{'id':1}"),
    ROW("{\"id\":1,}"),
    ROW("{,\"id\":1}"),
    ROW("{\"id\":1,,\"ping\":{}}"),
    ROW("{\"id\":1 \"ping\":{}}"),
    ROW("{\"id\":1;\"ping\":{}}"),
    ROW("{\"id\":1,\"ping\":{}"),
    ROW("{\"id\":1,\"ping\":{]}"),
    ROW("{\"id\":1,\"ping\":{}}x"),
    ROW("x{\"id\":1,\"ping\":{}}"),
    ROW("{\"id\":1,\"ping\":{}}\0"),
    ROW("\0"),
    ROW("{\0}"),
    ROW("\xef\xbb\xbf{}"),
    ROW("\xff\xfe{\0}\0"),
    ROW("{\"id\":1,\"ping\":{}} // comment"),
    ROW("{\"id\":1,/* comment */\"ping\":{}}"),
    ROW("# comment"),
    ROW("null"),
    ROW("true"),
    ROW("1"),
    ROW("\"{}\""),
    ROW("[]"),
    ROW("[1]"),
    ROW("undefined"),
    ROW("NaN"),
    ROW("{\"id\":NaN}"),
    ROW("{\"id\":Infinity}"),
    ROW("\v{}"),
    ROW("\f{}"),
    ROW("{}\xc2\xa0"),
    ROW("\xe2\x80\xa8{}"),
    /* a line feed separates, it is never inside a command */
    ROW("{\"id\":1,\n\"ping\":{}}"),
    ROW("{\n}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"a\nb\"}}"),
    ROW("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":{\n}}}"),
    /* id */
    ROW("{\"id\":-1,\"ping\":{}}"),
    ROW("{\"id\":4294967296,\"ping\":{}}"),
    ROW("{\"id\":18446744073709551616,\"ping\":{}}"),
    ROW("{\"id\":99999999999999999999999,\"ping\":{}}"),
    ROW("{\"id\":1.0,\"ping\":{}}"),
    ROW("{\"id\":1.5,\"ping\":{}}"),
    ROW("{\"id\":1e0,\"ping\":{}}"),
    ROW("{\"id\":01,\"ping\":{}}"),
    ROW("{\"id\":+1,\"ping\":{}}"),
    ROW("{\"id\":0x1,\"ping\":{}}"),
    ROW("{\"id\":-0,\"ping\":{}}"),
    ROW("{\"id\":.5,\"ping\":{}}"),
    ROW("{\"id\":1.,\"ping\":{}}"),
    ROW("{\"id\":1e,\"ping\":{}}"),
    ROW("{\"id\":-,\"ping\":{}}"),
    ROW("{\"id\":\"1\",\"ping\":{}}"),
    ROW("{\"id\":true,\"ping\":{}}"),
    ROW("{\"id\":[1],\"ping\":{}}"),
    ROW("{\"id\":{},\"ping\":{}}"),
    ROW("{\"id\":1_000,\"ping\":{}}"),
    ROW("{\"id\":\xef\xbc\x91,\"ping\":{}}"),
    /* an id, and nothing is asked for */
    ROW("{\"id\":1}"),
    ROW("{\"id\":1,\"connect\":null}"),
    ROW("{\"id\":1,\"Connect\":{}}"),
    ROW("{\"id\":1,\"CONNECT\":{}}"),
    ROW("{\"id\":1,\"connect \":{}}"),
    ROW("{\"id\":1,\"method\":1,\"params\":{}}"),
    ROW("{\"id\":1,\"\":{}}"),
    ROW("{\"id\":1,\"push\":{}}"),
    /* a request that is no object */
    ROW("{\"id\":1,\"connect\":[]}"),
    ROW("{\"id\":1,\"connect\":\"\"}"),
    ROW("{\"id\":1,\"connect\":1}"),
    ROW("{\"id\":1,\"connect\":true}"),
    ROW("{\"id\":1,\"ping\":false}"),
    ROW("{\"id\":1,\"subscribe\":\"news\"}"),
    ROW("{\"id\":1,\"publish\":[\"news\"]}"),
    ROW("{\"id\":1,\"send\":0}"),
    ROW("{\"id\":1,\"connect\":{},\"rpc\":7}"),
    ROW("{\"send\":\"x\"}"),
    /* fields of the wrong type */
    ROW("{\"id\":1,\"connect\":{\"token\":1}}"),
    ROW("{\"id\":1,\"connect\":{\"token\":{}}}"),
    ROW("{\"id\":1,\"connect\":{\"token\":[\"a\"]}}"),
    ROW("{\"id\":1,\"connect\":{\"token\":true}}"),
    ROW("{\"id\":1,\"connect\":{\"name\":7}}"),
    ROW("{\"id\":1,\"connect\":{\"version\":false}}"),
    ROW("{\"id\":1,\"connect\":{\"subs\":[]}}"),
    ROW("{\"id\":1,\"connect\":{\"subs\":\"a\"}}"),
    ROW("{\"id\":1,\"connect\":{\"subs\":1}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":1}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":[\"a\"]}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":{}}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"recover\":1}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"recover\":\"true\"}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"positioned\":0}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"recoverable\":{}}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"join_leave\":[]}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"epoch\":1}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"epoch\":[]}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"offset\":\"1\"}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"offset\":-1}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"offset\":1.0}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"offset\":1e3}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"offset\":18446744073709551616}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"offset\":true}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"delta\":1}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"flag\":\"1\"}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"flag\":9223372036854775808}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"flag\":1.5}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"type\":2147483648}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"type\":-2147483649}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"type\":\"map\"}}"),
    ROW("{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"token\":0}}"),
    ROW("{\"id\":1,\"unsubscribe\":{\"channel\":0}}"),
    ROW("{\"id\":1,\"publish\":{\"channel\":0,\"data\":1}}"),
    ROW("{\"id\":1,\"publish\":{\"channel\":\"a\",\"type\":1.0}}"),
    ROW("{\"id\":1,\"presence\":{\"channel\":false}}"),
    ROW("{\"id\":1,\"presence_stats\":{\"channel\":[]}}"),
    ROW("{\"id\":1,\"history\":{\"channel\":\"a\",\"limit\":\"all\"}}"),
    ROW("{\"id\":1,\"history\":{\"channel\":\"a\",\"limit\":2147483648}}"),
    ROW("{\"id\":1,\"history\":{\"channel\":\"a\",\"limit\":1.5}}"),
    ROW("{\"id\":1,\"history\":{\"channel\":\"a\",\"since\":1}}"),
    ROW("{\"id\":1,\"history\":{\"channel\":\"a\",\"since\":[]}}"),
    ROW("{\"id\":1,\"history\":{\"channel\":\"a\",\"since\":\"e:1\"}}"),
    ROW("{\"id\":1,\"history\":{\"channel\":\"a\",\"since\":{\"offset\":-1}}}"),
    ROW("{\"id\":1,\"history\":{\"channel\":\"a\",\"since\":{\"offset\":\"1\"}}}"),
    ROW("{\"id\":1,\"history\":{\"channel\":\"a\",\"since\":{\"epoch\":1}}}"),
    ROW("{\"id\":1,\"history\":{\"channel\":\"a\",\"reverse\":1}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":1}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":[]}}"),
    ROW("{\"id\":1,\"refresh\":{\"token\":1}}"),
    ROW("{\"id\":1,\"sub_refresh\":{\"channel\":1}}"),
    ROW("{\"id\":1,\"sub_refresh\":{\"channel\":\"a\",\"token\":1}}"),
    ROW("{\"id\":1,\"sub_refresh\":{\"channel\":\"a\",\"type\":\"0\"}}"),
    /* strings */
    ROW("{\"id\":1,\"rpc\":{\"method\":\"a\\u0000b\"}}"),
    ROW("{\"id\":1,\"unsubscribe\":{\"channel\":\"\\u0000\"}}"),
    ROW("{\"id\":1,\"connect\":{\"token\":\"a\\u0000\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\\ud800\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\\udc00\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\\ud800\\u0041\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\\ud800\\ud800\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\\u12\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\\u12g4\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\\x41\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\\'\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\\\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"a}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\t\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\x01\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\0\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\x80\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\xff\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\xc0\xaf\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\xc3\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\xe2\x82\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\xed\xa0\x80\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\xf4\x90\x80\x80\"}}"),
    ROW("{\"id\":1,\"rpc\":{\"method\":\"\xf8\x88\x80\x80\x80\"}}"),
    ROW("{\"\xff\":1}"),
    ROW("{\"\\ud800\":1}"),
    /* payloads are judged too */
    ROW("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":}}"),
    ROW("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":{\"a\"}}}"),
    ROW("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":[1,]}}"),
    ROW("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":01}}"),
    ROW("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":1.}}"),
    ROW("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":tru}}"),
    ROW("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":True}}"),
    ROW("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":nulls}}"),
    ROW("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":\"\xed\xbf\xbf\"}}"),
    ROW("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":\"\x1f\"}}"),
    ROW("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":'a'}}"),
    ROW("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":a}}"),
    ROW("{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":}"),
    ROW("{\"id\":1,\"send\":{\"data\":{}}"),
    ROW("{\"unknown\":[1,2}"),
};

static void test_there_are_at_least_150_hostile_rows(void **state) {
    (void) state;
    assert_true(sizeof hostile_rows / sizeof hostile_rows[0] >= 150);
}

/* Rows with line feeds may hold good commands before the bad one; what counts is that decoding stops. */
static void test_hostile_messages_are_refused(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof hostile_rows / sizeof hostile_rows[0]; i++) {
        char *text = decoded(span_of(hostile_rows[i].message, hostile_rows[i].size));
        size_t length = strlen(text);
        if (length < 3 || strcmp(text + length - 3, "BAD") != 0) {
            print_error("row %zu was taken: %s\n", i, hostile_rows[i].message);
        }
        assert_true(length >= 3);
        assert_string_equal(text + length - 3, "BAD");
        memory_free(text);
    }
}

static void test_every_prefix_of_a_command_is_refused(void **state) {
    (void) state;
    const char *whole =
        "{\"id\":5,\"history\":{\"channel\":\"n\\u0065ws\",\"limit\":2,\"since\":{\"offset\":6,\"epoch\":\"kx\"}}}";
    for (size_t size = 1; size < strlen(whole); size++) {
        expect(span_of(whole, size), "BAD");
    }
}

static void append_levels(struct buffer *out, char bracket, int n) {
    for (int i = 0; i < n; i++) {
        buffer_append_char(out, bracket);
    }
}

static void expect_depth(int levels, enum client_decode_outcome expected) {
    struct buffer message = BUFFER_EMPTY;
    buffer_append_text(&message, "{\"id\":1,\"publish\":{\"channel\":\"c\",\"data\":");
    append_levels(&message, '[', levels);
    append_levels(&message, ']', levels);
    buffer_append_text(&message, "}}");
    struct cursor cursor = cursor_of(buffer_span(&message));
    struct buffer scratch = BUFFER_EMPTY;
    struct client_command command;
    assert_int_equal(codec->decode_next(&cursor, &scratch, &command), expected);
    buffer_finish(&message);
    buffer_finish(&scratch);
}

static void test_a_payload_may_be_64_levels_deep_and_no_deeper(void **state) {
    (void) state;
    expect_depth(64, CLIENT_DECODE_OK);
    expect_depth(65, CLIENT_DECODE_BAD);
    expect_depth(30000, CLIENT_DECODE_BAD);
}

static void expect_names(const char *before, const char *after, int n, enum client_decode_outcome expected) {
    struct buffer message = BUFFER_EMPTY;
    buffer_append_text(&message, before);
    for (int i = 0; i < n; i++) {
        buffer_append_format(&message, ",\"x%d\":0", i);
    }
    buffer_append_text(&message, after);
    struct cursor cursor = cursor_of(buffer_span(&message));
    struct buffer scratch = BUFFER_EMPTY;
    struct client_command command;
    assert_int_equal(codec->decode_next(&cursor, &scratch, &command), expected);
    buffer_finish(&message);
    buffer_finish(&scratch);
}

static void test_an_object_of_the_envelope_has_at_most_64_names(void **state) {
    (void) state;
    expect_names("{\"id\":1,\"ping\":{}", "}", 62, CLIENT_DECODE_OK);
    expect_names("{\"id\":1,\"ping\":{}", "}", 63, CLIENT_DECODE_BAD);
    expect_names("{\"id\":1,\"unsubscribe\":{\"channel\":\"c\"", "}}", 63, CLIENT_DECODE_OK);
    expect_names("{\"id\":1,\"unsubscribe\":{\"channel\":\"c\"", "}}", 64, CLIENT_DECODE_BAD);
    expect_names("{\"id\":1,\"unsubscribe\":{\"channel\":\"c\"", "}}", 6000, CLIENT_DECODE_BAD);
}

static void test_decoded_strings_stay_where_they_are_while_others_are_decoded(void **state) {
    (void) state;
    struct buffer message = BUFFER_EMPTY;
    buffer_append_text(&message, "{\"id\":1,\"connect\":{\"token\":\"\\u0061first\",\"name\":\"\\u0061");
    for (int i = 0; i < 5000; i++) {
        buffer_append_char(&message, 'n');
    }
    buffer_append_text(&message, "\"}}");
    struct cursor cursor = cursor_of(buffer_span(&message));
    struct buffer scratch = BUFFER_EMPTY;
    struct client_command command;
    assert_int_equal(codec->decode_next(&cursor, &scratch, &command), CLIENT_DECODE_OK);
    assert_true(span_equal_text(command.body.connect.token, "afirst"));
    assert_int_equal(command.body.connect.name.size, 5001);
    buffer_finish(&message);
    buffer_finish(&scratch);
}

/* ---- replies and pushes as only JSON has them; the others stand in tests/contract/codec_contract.c ---- */

static struct buffer out;

static void assert_encoded(const char *expected) {
    char *text = memory_strndup(out.data, out.size);
    assert_string_equal(text, expected);
    memory_free(text);
    buffer_finish(&out);
}

static void test_payloads_are_embedded_as_they_are(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        char expected[512];
        struct wire_publication publication = {.data = span_of_text(payloads[i])};
        snprintf(expected, sizeof expected, "{\"push\":{\"channel\":\"c\",\"pub\":{\"data\":%s}}}", payloads[i]);
        codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("c"), 0}, &publication, NULL, NULL);
        assert_encoded(expected);
    }
}

static void test_raw_line_feeds_between_tokens_are_left_out(void **state) {
    (void) state;
    struct wire_publication publication = {.data = SPAN_LITERAL("{\r\n  \"a\": \"x\\n\",\n\t\"b\": [\n1 ]\n}")};
    codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("c"), 0}, &publication, NULL, NULL);
    assert_encoded("{\"push\":{\"channel\":\"c\",\"pub\":{\"data\":{  \"a\": \"x\\n\",\t\"b\": [1 ]}}}}");
}

static void test_binary_data_becomes_a_string_of_base64(void **state) {
    (void) state;
    static const uint8_t bytes[] = {0, 1, 0xff, '\n', '"', '}', 'x'};
    struct wire_publication publication = {
        .offset = 2, .flags = WIRE_PUBLICATION_BINARY, .data = {bytes, sizeof bytes}};
    codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("c"), 0}, &publication, NULL, NULL);
    assert_encoded("{\"push\":{\"channel\":\"c\",\"pub\":{\"data\":\"AAH/CiJ9eA==\",\"offset\":2}}}");
    publication.data = SPAN_EMPTY;
    codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("c"), 0}, &publication, NULL, NULL);
    assert_encoded("{\"push\":{\"channel\":\"c\",\"pub\":{\"data\":\"\",\"offset\":2}}}");
}

static void test_strings_are_escaped(void **state) {
    (void) state;
    struct wire_client_info info = {.user = SPAN_LITERAL("a\"b\\c\n\x01\xc3\xa9</script>"),
                                    .client = SPAN_LITERAL("c")};
    codec->encode_push_presence(&out, &(struct client_channel){SPAN_LITERAL("news"), 0}, true, &info);
    struct json_value value;
    assert_int_equal(json_scan(buffer_span(&out), &JSON_LIMITS_DEFAULT, &value, NULL), JSON_OK);
    assert_null(memchr(out.data, '\n', out.size));
    struct json_value user = json_member(json_member(json_member(json_member(value, "push"), "join"), "info"), "user");
    struct buffer decoded_user = BUFFER_EMPTY;
    assert_true(json_decode_string(user, &decoded_user));
    assert_true(span_equal(buffer_span(&decoded_user), info.user));
    buffer_finish(&decoded_user);
    buffer_finish(&out);
}

static void test_malformed_parts_are_left_out(void **state) {
    (void) state;
    struct wire_publication publication = {
        .data = SPAN_LITERAL("1"), .info = SPAN_LITERAL("xx"), .tags = SPAN_LITERAL("y")};
    codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("c"), 0}, &publication, NULL, NULL);
    assert_encoded("{\"push\":{\"channel\":\"c\",\"pub\":{\"data\":1,\"tags\":{}}}}");
    codec->encode_history(&out, 1, &(struct position){.offset = 1}, 3, SPAN_LITERAL("short"));
    assert_encoded("{\"id\":1,\"history\":{\"publications\":[],\"epoch\":\"\",\"offset\":1}}");
    codec->encode_presence(&out, 1, 3, SPAN_LITERAL("\5"));
    assert_encoded("{\"id\":1,\"presence\":{\"presence\":{}}}");
}

static void test_a_full_buffer_is_left_with_its_overflow_flag(void **state) {
    (void) state;
    struct wire_publication publication = {.data = SPAN_LITERAL("[1,2,3,4,5,6,7,8]")};
    for (size_t limit = 1; limit < 50; limit++) {
        struct buffer small;
        buffer_init(&small, limit);
        codec->encode_push_publication(&small, &(struct client_channel){SPAN_LITERAL("c"), 0}, &publication, NULL,
                                       NULL);
        assert_true(small.overflow);
        buffer_finish(&small);
    }
}

static void test_disconnect_reasons(void **state) {
    (void) state;
    assert_string_equal(disconnect_reason(DISCONNECT_SLOW), "slow");
    assert_string_equal(disconnect_reason(DISCONNECT_BAD_REQUEST), "bad request");
    assert_string_equal(disconnect_reason(DISCONNECT_SHUTDOWN), "shutdown");
    assert_string_equal(disconnect_reason(DISCONNECT_POLICY), "");
    assert_string_equal(disconnect_reason((enum disconnect_code) 4321), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_are_read),
        cmocka_unit_test(test_payloads_are_the_bytes_that_came),
        cmocka_unit_test(test_a_payload_may_have_many_values_and_names),
        cmocka_unit_test(test_there_are_at_least_150_hostile_rows),
        cmocka_unit_test(test_hostile_messages_are_refused),
        cmocka_unit_test(test_every_prefix_of_a_command_is_refused),
        cmocka_unit_test(test_a_payload_may_be_64_levels_deep_and_no_deeper),
        cmocka_unit_test(test_an_object_of_the_envelope_has_at_most_64_names),
        cmocka_unit_test(test_decoded_strings_stay_where_they_are_while_others_are_decoded),
        cmocka_unit_test(test_payloads_are_embedded_as_they_are),
        cmocka_unit_test(test_raw_line_feeds_between_tokens_are_left_out),
        cmocka_unit_test(test_binary_data_becomes_a_string_of_base64),
        cmocka_unit_test(test_strings_are_escaped),
        cmocka_unit_test(test_malformed_parts_are_left_out),
        cmocka_unit_test(test_a_full_buffer_is_left_with_its_overflow_flag),
        cmocka_unit_test(test_disconnect_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
