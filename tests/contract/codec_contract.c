/* See the header. */
#include "tests/contract/codec_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "tests/support/client_commands_text.h"

static const struct client_codec *codec_of(void **state) {
    return ((const struct codec_under_test *) *state)->codec;
}

/* ---- commands ---- */

static const struct codec_row rows[] = {
    {"{\"id\":1,\"connect\":{\"name\":\"js\"}}", "080801220422026a73", "1 connect name=js"},
    {"{\"id\":1,\"connect\":{\"token\":\"T\",\"name\":\"js\"}}", "0b080122070a015422026a73",
     "1 connect token=T name=js"},
    {"{\"id\":1,\"connect\":{}}", "0408012200", "1 connect"},
    {"{\"id\":4,\"connect\":{\"token\":\"T\",\"data\":{\"a\":1},\"subs\":{\"x\":{\"recover\":true,\"epoch\":\"e\","
     "\"offset\":7},\"y\\\"\":{}},\"name\":\"js\",\"version\":\"2\",\"headers\":{\"h\":\"v\"}}}",
     "35080422310a015412077b2261223a317d1a0c0a01781207180132016538071a060a027922120022026a732a013232060a0168120176",
     "4 connect token=T data={\"a\":1} subs={\"x\":{\"recover\":true,\"epoch\":\"e\",\"offset\":7},\"y\\\"\":{}} "
     "name=js version=2"},
    {"{\"id\":2,\"subscribe\":{\"channel\":\"news\",\"flag\":1}}", "0c08022a080a046e6577737001",
     "2 subscribe channel=news flag=1"},
    {"{\"id\":2,\"subscribe\":{\"channel\":\"news\",\"recover\":true,\"epoch\":\"abcd\",\"offset\":5,\"flag\":1}}",
     "1608022a120a046e657773180132046162636438057001", "2 subscribe channel=news recover epoch=abcd offset=5 flag=1"},
    {"{\"id\":3,\"subscribe\":{\"channel\":\"a\",\"token\":\"t\",\"data\":[1],\"positioned\":true,\"recoverable\":true,"
     "\"join_leave\":true,\"delta\":\"fossil\",\"type\":4}}",
     "1f08032a1b0a016112017442035b315d4801500158016206666f7373696c7804",
     "3 subscribe channel=a token=t data=[1] positioned recoverable join_leave delta=fossil type=4"},
    {"{\"id\":3,\"subscribe\":{\"channel\":\"a\",\"tf\":{\"op\":\"and\",\"nodes\":[{\"key\":\"k\",\"cmp\":\"in\","
     "\"vals\":[\"1\",\"2\"]},{\"op\":\"not\",\"nodes\":[{\"key\":\"q\",\"cmp\":\"eq\",\"val\":\"\\\\\"}]}]}}}",
     "3008032a2c0a01616a270a03616e64320d12016b1a02696e2a01312a013232110a036e6f74320a1201711a02657122015c",
     "3 subscribe channel=a "
     "tf={\"op\":\"and\",\"nodes\":[{\"key\":\"k\",\"cmp\":\"in\",\"vals\":[\"1\",\"2\"]},{\"op\":\"not\",\"nodes\":[{"
     "\"key\":\"q\",\"cmp\":\"eq\",\"val\":\"\\\\\"}]}]}"},
    {"{\"id\":3,\"subscribe\":{\"channel\":\"a\",\"tf\":{}}}", "0908032a050a01616a00", "3 subscribe channel=a tf={}"},
    {"{\"id\":3,\"publish\":{\"channel\":\"news\",\"data\":{\"a\":1}}}", "1308033a0f0a046e65777312077b2261223a317d",
     "3 publish channel=news data={\"a\":1}"},
    {"{\"id\":4,\"publish\":{\"channel\":\"m\",\"data\":null,\"type\":1}}", "0f08043a0b0a016d12046e756c6c1801",
     "4 publish channel=m data=null type=1"},
    {"{\"id\":4,\"history\":{\"channel\":\"news\",\"limit\":-1,\"since\":{\"offset\":3,\"epoch\":\"abcd\"}}}",
     "1f0804521b0a046e65777338ffffffffffffffffff0142080803120461626364",
     "4 history channel=news limit=-1 since epoch=abcd offset=3"},
    {"{\"id\":5,\"history\":{\"channel\":\"news\",\"limit\":2147483647,\"reverse\":true}}",
     "120805520e0a046e65777338ffffffff074801", "5 history channel=news limit=2147483647 reverse"},
    {"{\"id\":5,\"history\":{\"channel\":\"news\",\"limit\":-2147483648}}",
     "15080552110a046e6577733880808080f8ffffffff01", "5 history channel=news limit=-2147483648"},
    {"{\"id\":5,\"history\":{\"channel\":\"news\",\"since\":{}}}", "0c080552080a046e6577734200",
     "5 history channel=news since"},
    {"{\"id\":7,\"presence\":{\"channel\":\"news\"}}", "0a080742060a046e657773", "7 presence channel=news"},
    {"{\"id\":8,\"presence_stats\":{\"channel\":\"news\"}}", "0a08084a060a046e657773", "8 presence_stats channel=news"},
    {"{\"id\":9,\"rpc\":{\"method\":\"m\",\"data\":{}}}", "0b08096a070a027b7d12016d", "9 rpc method=m data={}"},
    {"{\"id\":10,\"unsubscribe\":{\"channel\":\"news\"}}", "0a080a32060a046e657773", "10 unsubscribe channel=news"},
    {"{\"id\":11,\"refresh\":{\"token\":\"eyJ\"}}", "09080b72050a0365794a", "11 refresh token=eyJ"},
    {"{\"id\":12,\"sub_refresh\":{\"channel\":\"news\",\"token\":\"eyJ\",\"type\":2}}",
     "11080c7a0d0a046e657773120365794a1802", "12 sub_refresh channel=news token=eyJ type=2"},
    {"{\"id\":13,\"ping\":{}}", "04080d5a00", "13 ping"},
    {"{\"send\":{\"data\":{}}}", "0662040a027b7d", "0 send data={}"},
    {"{\"id\":3,\"send\":{\"data\":1}}", "07080362030a0131", "3 send data=1"},
    {"{}", "00", "0 pong"},
    {"{\"connect\":{}}", "022200", "0 pong"},
    {"{\"rpc\":{\"method\":\"m\"},\"send\":{}}", "0762006a0312016d", "0 send"},
    {"{\"id\":1,\"sub_refresh\":{\"channel\":\"s\"},\"publish\":{\"channel\":\"p\"}}", "0c08013a030a01707a030a0173",
     "1 publish channel=p"},
    {"{\"id\":1,\"subscribe\":{\"channel\":\"s\"},\"ping\":{}}", "0908012a030a01735a00", "1 ping"},
    {"{\"id\":1,\"ping\":{},\"connect\":{\"name\":\"n\"}}", "090801220322016e5a00", "1 connect name=n"},
    {"{\"id\":1,\"send\":{},\"rpc\":{\"method\":\"m\"}}", "09080162006a0312016d", "1 rpc method=m"},
    {"{\"id\":1,\"refresh\":{\"token\":\"r\"},\"send\":{}}", "090801620072030a0172", "1 send"},
    {"{\"id\":1,\"history\":{\"channel\":\"h\"},\"presence_stats\":{\"channel\":\"s\"}}", "0c08014a030a017352030a0168",
     "1 presence_stats channel=s"},
    {"{\"id\":4294967295,\"ping\":{}}", "0808ffffffff0f5a00", "4294967295 ping"},
    {"{\"id\":1,\"subscribe\":{\"channel\":\"c\",\"offset\":18446744073709551615}}",
     "1208012a0e0a016338ffffffffffffffffff01", "1 subscribe channel=c offset=18446744073709551615"},
    {"{\"id\":1,\"subscribe\":{\"channel\":\"c\",\"flag\":-9223372036854775808}}",
     "1208012a0e0a01637080808080808080808001", "1 subscribe channel=c flag=-9223372036854775808"},
    {"{\"id\":1,\"subscribe\":{\"channel\":\"c\",\"epoch\":\"with blank\"}}",
     "1308012a0f0a0163320a7769746820626c616e6b", "1 subscribe channel=c epoch=_"},
    {"{\"id\":1,\"subscribe\":{\"channel\":\"c\",\"epoch\":\"123456789012345678901234\"}}",
     "2108012a1d0a01633218313233343536373839303132333435363738393031323334", "1 subscribe channel=c epoch=_"},
    {"{\"id\":7,\"rpc\":{\"method\":\"\\u00e9\\ud83d\\ude00\"}}", "0c08076a081206c3a9f09f9880", "7 rpc method=é😀"},
    {"{}\n{}", "0000", "0 pong | 0 pong"},
    {"{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}\n{\"id\":3,\"ping\":{}}",
     "04080122000708022a030a01610408035a00", "1 connect | 2 subscribe channel=a | 3 ping"},
    {"{\"id\":5}", "020805", "BAD"},
    {"{}\n{\"id\":5}\n{}", "0002080500", "0 pong | BAD"},
};

static void commands_are_read(void **state) {
    const struct codec_under_test *codec = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer message = BUFFER_EMPTY;
        codec->read_row(&rows[i], &message);
        char *text = client_commands_text(codec->codec, buffer_span(&message));
        if (strcmp(text, rows[i].expected) != 0) {
            print_error("%s: %s\n", codec->name, rows[i].json);
        }
        assert_string_equal(text, rows[i].expected);
        memory_free(text);
        buffer_finish(&message);
    }
}

/* ---- replies and pushes ---- */

static struct buffer out;

static void assert_shows(void **state, const char *expected) {
    const struct codec_under_test *codec = *state;
    struct buffer json = BUFFER_EMPTY;
    bool is_readable = codec->show_reply(buffer_span(&out), &json);
    char *text = memory_strndup(json.data, json.size);
    if (!is_readable) {
        print_error("%s: no client can read this; so far: %s\n", codec->name, text);
    }
    assert_true(is_readable);
    assert_string_equal(text, expected);
    memory_free(text);
    buffer_finish(&json);
    buffer_finish(&out);
}

static void connect_reply(void **state) {
    const struct client_codec *codec = codec_of(state);
    struct client_connected result = {
        .client = SPAN_LITERAL("0b6e"), .version = SPAN_LITERAL("1.0"), .ping_s = 25, .pong = true};
    codec->encode_connected(&out, 1, &result);
    assert_shows(state, "{\"id\":1,\"connect\":{\"client\":\"0b6e\",\"version\":\"1.0\",\"ping\":25,\"pong\":true}}");
    result.expires = true;
    result.ttl_s = 3600;
    codec->encode_connected(&out, 1, &result);
    assert_shows(
        state,
        "{\"id\":1,\"connect\":{\"client\":\"0b6e\",\"version\":\"1.0\",\"expires\":true,\"ttl\":3600,\"ping\":25,"
        "\"pong\":true}}");
    struct client_connected without_pings = {
        .client = SPAN_LITERAL("c"), .version = SPAN_LITERAL("v"), .data = SPAN_LITERAL("{\"a\":1}")};
    codec->encode_connected(&out, 4294967295U, &without_pings);
    assert_shows(state, "{\"id\":4294967295,\"connect\":{\"client\":\"c\",\"version\":\"v\",\"data\":{\"a\":1}}}");
}

static void connect_reply_with_server_side_subscriptions(void **state) {
    const struct client_codec *codec = codec_of(state);
    struct buffer subs = BUFFER_EMPTY;
    struct client_subscribed kept = {.recoverable = true, .positioned = true, .offset = 7, .data = SPAN_LITERAL("1")};
    kept.epoch = epoch_from(SPAN_LITERAL("kxYz"));
    const struct client_subscribed plain = {.offset = 0};
    codec->encode_connected_sub(&subs, SPAN_LITERAL("a"), &kept);
    codec->encode_connected_sub(&subs, SPAN_LITERAL("b:#42"), &plain);
    const struct client_connected result = {
        .client = SPAN_LITERAL("c"), .version = SPAN_LITERAL("v"), .subs = buffer_span(&subs)};
    codec->encode_connected(&out, 1, &result);
    assert_shows(state,
                 "{\"id\":1,\"connect\":{\"client\":\"c\",\"version\":\"v\",\"subs\":{\"a\":{\"recoverable\":true,"
                 "\"epoch\":\"kxYz\",\"offset\":7,\"positioned\":true,\"data\":1},\"b:#42\":{}}}}");
    buffer_finish(&subs);
}

static void connect_reply_and_end_of_a_stream_over_http(void **state) {
    const struct client_codec *codec = codec_of(state);
    const struct client_connected result = {.client = SPAN_LITERAL("c"),
                                            .version = SPAN_LITERAL("v"),
                                            .session = SPAN_LITERAL("00-secret"),
                                            .node = SPAN_LITERAL("gw-1")};
    codec->encode_connected(&out, 1, &result);
    assert_shows(state, "{\"id\":1,\"connect\":{\"client\":\"c\",\"version\":\"v\",\"session\":\"00-secret\",\"node\":"
                        "\"gw-1\"}}");
    codec->encode_push_disconnect(&out, 3001, "shutdown");
    assert_shows(state, "{\"push\":{\"disconnect\":{\"code\":3001,\"reason\":\"shutdown\"}}}");
}

static void error_replies(void **state) {
    const struct client_codec *codec = codec_of(state);
    codec->encode_error(&out, 1, error_describe(ERROR_TOKEN_EXPIRED));
    assert_shows(state, "{\"id\":1,\"error\":{\"code\":109,\"message\":\"token expired\"}}");
    codec->encode_error(&out, 3, error_describe(ERROR_PERMISSION_DENIED));
    assert_shows(state, "{\"id\":3,\"error\":{\"code\":103,\"message\":\"permission denied\"}}");
    codec->encode_error(&out, 3, error_describe(ERROR_INTERNAL));
    assert_shows(state, "{\"id\":3,\"error\":{\"code\":100,\"message\":\"internal server error\",\"temporary\":true}}");
    codec->encode_error(&out, 3, error_describe(ERROR_OUTCOME_UNKNOWN));
    assert_shows(state, "{\"id\":3,\"error\":{\"code\":120,\"message\":\"outcome unknown\",\"temporary\":true}}");
}

static void append_publication(struct buffer *publications, uint64_t offset, const char *data) {
    struct wire_publication publication = {.offset = offset, .data = span_of_text(data)};
    wire_append_publication(publications, &publication);
}

static void subscribe_replies(void **state) {
    const struct client_codec *codec = codec_of(state);
    struct client_subscribed plain = {.offset = 0};
    codec->encode_subscribed(&out, 2, &plain);
    assert_shows(state, "{\"id\":2,\"subscribe\":{}}");

    struct client_subscribed first = {
        .recoverable = true, .positioned = true, .epoch = epoch_from(SPAN_LITERAL("kxYz")), .offset = 7};
    codec->encode_subscribed(&out, 2, &first);
    assert_shows(state,
                 "{\"id\":2,\"subscribe\":{\"recoverable\":true,\"epoch\":\"kxYz\",\"offset\":7,\"positioned\":true}}");

    struct client_subscribed missed = first;
    missed.was_recovering = true;
    codec->encode_subscribed(&out, 2, &missed);
    assert_shows(state,
                 "{\"id\":2,\"subscribe\":{\"recoverable\":true,\"epoch\":\"kxYz\",\"offset\":7,\"positioned\":true,"
                 "\"was_recovering\":true}}");

    struct buffer publications = BUFFER_EMPTY;
    append_publication(&publications, 7, "{\"a\":1}");
    struct client_subscribed hit = missed;
    hit.recovered = true;
    hit.offset = 6;
    hit.n_publications = 1;
    hit.publications = buffer_span(&publications);
    codec->encode_subscribed(&out, 2, &hit);
    assert_shows(
        state, "{\"id\":2,\"subscribe\":{\"recoverable\":true,\"epoch\":\"kxYz\",\"publications\":[{\"data\":{\"a\":1},"
               "\"offset\":7}],\"recovered\":true,\"offset\":6,\"positioned\":true,\"was_recovering\":true}}");

    struct client_subscribed expiring = {.expires = true, .ttl_s = 600, .data = SPAN_LITERAL("[1]")};
    codec->encode_subscribed(&out, 2, &expiring);
    assert_shows(state, "{\"id\":2,\"subscribe\":{\"expires\":true,\"ttl\":600,\"data\":[1]}}");
    buffer_finish(&publications);
}

static void empty_replies(void **state) {
    const struct client_codec *codec = codec_of(state);
    codec->encode_empty(&out, 4, CLIENT_COMMAND_PUBLISH);
    assert_shows(state, "{\"id\":4,\"publish\":{}}");
    codec->encode_empty(&out, 10, CLIENT_COMMAND_UNSUBSCRIBE);
    assert_shows(state, "{\"id\":10,\"unsubscribe\":{}}");
    codec->encode_empty(&out, 13, CLIENT_COMMAND_PING);
    assert_shows(state, "{\"id\":13,\"ping\":{}}");
    codec->encode_ping(&out);
    assert_shows(state, "{}");
}

static void history_replies_always_have_all_three_fields(void **state) {
    const struct client_codec *codec = codec_of(state);
    struct position top = {.epoch = epoch_from(SPAN_LITERAL("kxYz")), .offset = 8};
    struct buffer publications = BUFFER_EMPTY;
    append_publication(&publications, 7, "{\"a\":1}");
    append_publication(&publications, 8, "{\"a\":2}");
    codec->encode_history(&out, 5, &top, 2, buffer_span(&publications));
    assert_shows(
        state,
        "{\"id\":5,\"history\":{\"publications\":[{\"data\":{\"a\":1},\"offset\":7},{\"data\":{\"a\":2},\"offset\":8}],"
        "\"epoch\":\"kxYz\",\"offset\":8}}");
    codec->encode_history(&out, 6, &top, 0, SPAN_EMPTY);
    assert_shows(state, "{\"id\":6,\"history\":{\"publications\":[],\"epoch\":\"kxYz\",\"offset\":8}}");
    struct position nowhere = {.offset = 0};
    codec->encode_history(&out, 6, &nowhere, 0, SPAN_EMPTY);
    assert_shows(state, "{\"id\":6,\"history\":{\"publications\":[],\"epoch\":\"\",\"offset\":0}}");
    buffer_finish(&publications);
}

static struct span sized_info(struct buffer *entries, const struct wire_client_info *info) {
    struct buffer one = BUFFER_EMPTY;
    wire_append_client_info(&one, info);
    buffer_append_sized(entries, buffer_span(&one));
    buffer_finish(&one);
    return buffer_span(entries);
}

static void presence_replies(void **state) {
    const struct client_codec *codec = codec_of(state);
    struct buffer entries = BUFFER_EMPTY;
    struct wire_client_info ann = {
        .user = SPAN_LITERAL("42"), .client = SPAN_LITERAL("0b6e"), .conn_info = SPAN_LITERAL("{\"n\":\"Ann\"}")};
    sized_info(&entries, &ann);
    codec->encode_presence(&out, 7, 1, buffer_span(&entries));
    assert_shows(state,
                 "{\"id\":7,\"presence\":{\"presence\":{\"0b6e\":{\"user\":\"42\",\"client\":\"0b6e\",\"conn_info\":{"
                 "\"n\":\"Ann\"}}}}}");
    struct wire_client_info nobody = {.client = SPAN_LITERAL("9f"), .chan_info = SPAN_LITERAL("7")};
    sized_info(&entries, &nobody);
    codec->encode_presence(&out, 7, 2, buffer_span(&entries));
    assert_shows(state,
                 "{\"id\":7,\"presence\":{\"presence\":{\"0b6e\":{\"user\":\"42\",\"client\":\"0b6e\",\"conn_info\":{"
                 "\"n\":\"Ann\"}},"
                 "\"9f\":{\"user\":\"\",\"client\":\"9f\",\"chan_info\":7}}}}");
    codec->encode_presence(&out, 7, 0, SPAN_EMPTY);
    assert_shows(state, "{\"id\":7,\"presence\":{\"presence\":{}}}");
    codec->encode_presence_stats(&out, 8, 1, 1);
    assert_shows(state, "{\"id\":8,\"presence_stats\":{\"num_clients\":1,\"num_users\":1}}");
    codec->encode_presence_stats(&out, 8, 0, 0);
    assert_shows(state, "{\"id\":8,\"presence_stats\":{\"num_clients\":0,\"num_users\":0}}");
    buffer_finish(&entries);
}

static void rpc_and_refresh_replies(void **state) {
    const struct client_codec *codec = codec_of(state);
    codec->encode_rpc(&out, 9, SPAN_LITERAL("{\"ok\":true}"));
    assert_shows(state, "{\"id\":9,\"rpc\":{\"data\":{\"ok\":true}}}");
    codec->encode_rpc(&out, 9, SPAN_EMPTY);
    assert_shows(state, "{\"id\":9,\"rpc\":{}}");
    struct client_connected refreshed = {
        .client = SPAN_LITERAL("0b6e"), .version = SPAN_LITERAL("1.0"), .expires = true, .ttl_s = 3600};
    codec->encode_refreshed(&out, 11, &refreshed);
    assert_shows(state,
                 "{\"id\":11,\"refresh\":{\"client\":\"0b6e\",\"version\":\"1.0\",\"expires\":true,\"ttl\":3600}}");
    codec->encode_sub_refreshed(&out, 12, true, 600);
    assert_shows(state, "{\"id\":12,\"sub_refresh\":{\"expires\":true,\"ttl\":600}}");
    codec->encode_sub_refreshed(&out, 12, false, 0);
    assert_shows(state, "{\"id\":12,\"sub_refresh\":{}}");
}

static void publication_pushes(void **state) {
    const struct client_codec *codec = codec_of(state);
    struct buffer info = BUFFER_EMPTY;
    wire_append_client_info(&info,
                            &(struct wire_client_info){.user = SPAN_LITERAL("42"), .client = SPAN_LITERAL("0b6e")});
    struct wire_publication publication = {
        .offset = 8, .time_ms = 1700000000000, .data = SPAN_LITERAL("{\"a\":2}"), .info = buffer_span(&info)};
    codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("news"), 0}, &publication, NULL, NULL);
    assert_shows(state,
                 "{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":{\"a\":2},\"info\":{\"user\":\"42\",\"client\":"
                 "\"0b6e\"},\"offset\":8}}}");
    buffer_finish(&info);

    struct wire_publication without_position = {.data = SPAN_LITERAL("5")};
    codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("a:b"), 0}, &without_position, NULL,
                                   NULL);
    assert_shows(state, "{\"push\":{\"channel\":\"a:b\",\"pub\":{\"data\":5}}}");
}

static void the_epoch_goes_with_the_first_publication_only(void **state) {
    const struct client_codec *codec = codec_of(state);
    struct epoch epoch = epoch_from(SPAN_LITERAL("kxYz"));
    struct wire_publication publication = {.offset = 1, .data = SPAN_LITERAL("1")};
    codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("d"), 0}, &publication, &epoch, NULL);
    assert_shows(state, "{\"push\":{\"channel\":\"d\",\"pub\":{\"data\":1,\"offset\":1,\"epoch\":\"kxYz\"}}}");
    codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("d"), 0}, &publication, NULL, NULL);
    assert_shows(state, "{\"push\":{\"channel\":\"d\",\"pub\":{\"data\":1,\"offset\":1}}}");
    publication.offset = 2;
    codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("d"), 0}, &publication, &epoch, NULL);
    assert_shows(state, "{\"push\":{\"channel\":\"d\",\"pub\":{\"data\":1,\"offset\":2}}}");
}

static void tags_travel_with_a_publication(void **state) {
    const struct client_codec *codec = codec_of(state);
    struct buffer tags = BUFFER_EMPTY;
    wire_append_tag(&tags, &(struct wire_tag){SPAN_LITERAL("k"), SPAN_LITERAL("v\"")});
    wire_append_tag(&tags, &(struct wire_tag){SPAN_LITERAL("{"), SPAN_LITERAL("")});
    struct wire_publication publication = {.offset = 3, .data = SPAN_LITERAL("1"), .tags = buffer_span(&tags)};
    codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("d"), 0}, &publication, NULL, NULL);
    assert_shows(
        state,
        "{\"push\":{\"channel\":\"d\",\"pub\":{\"data\":1,\"offset\":3,\"tags\":{\"k\":\"v\\\"\",\"{\":\"\"}}}}");
    buffer_finish(&tags);
}

static void other_pushes(void **state) {
    const struct client_codec *codec = codec_of(state);
    struct wire_client_info info = {.user = SPAN_LITERAL("7"), .client = SPAN_LITERAL("9f")};
    codec->encode_push_presence(&out, &(struct client_channel){SPAN_LITERAL("news"), 0}, true, &info);
    assert_shows(state, "{\"push\":{\"channel\":\"news\",\"join\":{\"info\":{\"user\":\"7\",\"client\":\"9f\"}}}}");
    codec->encode_push_presence(&out, &(struct client_channel){SPAN_LITERAL("news"), 0}, false, &info);
    assert_shows(state, "{\"push\":{\"channel\":\"news\",\"leave\":{\"info\":{\"user\":\"7\",\"client\":\"9f\"}}}}");
    codec->encode_push_unsubscribe(&out, SPAN_LITERAL("news"), UNSUBSCRIBED_INSUFFICIENT_STATE, "insufficient state");
    assert_shows(state,
                 "{\"push\":{\"channel\":\"news\",\"unsubscribe\":{\"code\":2500,\"reason\":\"insufficient state\"}}}");
    struct client_subscribed result = {.recoverable = true,
                                       .positioned = true,
                                       .recovered = true,
                                       .was_recovering = true,
                                       .epoch = epoch_from(SPAN_LITERAL("abcd")),
                                       .offset = 7,
                                       .data = SPAN_LITERAL("{\"a\":1}")};
    codec->encode_push_subscribe(&out, SPAN_LITERAL("news"), &result);
    assert_shows(state,
                 "{\"push\":{\"channel\":\"news\",\"subscribe\":{\"recoverable\":true,\"epoch\":\"abcd\",\"offset\":7,"
                 "\"positioned\":true,\"data\":{\"a\":1}}}}");
    codec->encode_push_refresh(&out, true, 60);
    assert_shows(state, "{\"push\":{\"refresh\":{\"expires\":true,\"ttl\":60}}}");
    codec->encode_push_message(&out, SPAN_LITERAL("{\"a\":1}"));
    assert_shows(state, "{\"push\":{\"message\":{\"data\":{\"a\":1}}}}");
}

static void a_channel_goes_by_its_id_where_it_has_one(void **state) {
    const struct client_codec *codec = codec_of(state);
    const struct client_channel channel = {SPAN_LITERAL("news"), 300};
    struct wire_publication publication = {.offset = 9, .data = SPAN_LITERAL("{\"a\":3}")};
    codec->encode_push_publication(&out, &channel, &publication, NULL, NULL);
    assert_shows(state, "{\"push\":{\"id\":300,\"pub\":{\"data\":{\"a\":3},\"offset\":9}}}");
    struct wire_client_info info = {.user = SPAN_LITERAL("7"), .client = SPAN_LITERAL("9f")};
    codec->encode_push_presence(&out, &channel, false, &info);
    assert_shows(state, "{\"push\":{\"id\":300,\"leave\":{\"info\":{\"user\":\"7\",\"client\":\"9f\"}}}}");
    codec->encode_subscribed(&out, 2, &(struct client_subscribed){.positioned = true, .id = 300});
    assert_shows(state, "{\"id\":2,\"subscribe\":{\"positioned\":true,\"id\":300}}");
}

/* A patch is marked; protobuf has no other difference, in JSON every payload becomes text (their own tests). */
static void patches_are_marked(void **state) {
    const struct client_codec *codec = codec_of(state);
    const struct client_delta patch = {true, SPAN_LITERAL("5\n3@0,2:xy1;")};
    struct wire_publication publication = {.offset = 9, .data = SPAN_LITERAL("{\"a\":3}")};
    codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("d"), 0}, &publication, NULL, &patch);
    const char *data = codec->encoding == CLIENT_ENCODING_JSON ? "\"5\\n3@0,2:xy1;\"" : "5\n3@0,2:xy1;";
    char expected[128];
    snprintf(expected, sizeof expected,
             "{\"push\":{\"channel\":\"d\",\"pub\":{\"data\":%s,\"offset\":9,\"delta\":true}}}", data);
    assert_shows(state, expected);
}

static void recovered_publications_are_a_chain_where_delta_was_negotiated(void **state) {
    const struct client_codec *codec = codec_of(state);
    static const char *const documents[] = {"[100,\"what does not change at all\"]",
                                            "[101,\"what does not change at all\"]"};
    struct buffer publications = BUFFER_EMPTY;
    for (size_t i = 0; i < 2; i++) {
        wire_append_publication(&publications, &(struct wire_publication){.offset = i + 1,
                                                                          .flags = WIRE_PUBLICATION_DELTA,
                                                                          .data = span_of_text(documents[i])});
    }
    codec->encode_subscribed(
        &out, 2,
        &(struct client_subscribed){
            .recovered = true, .delta = true, .n_publications = 2, .publications = buffer_span(&publications)});
    bool is_json = codec->encoding == CLIENT_ENCODING_JSON;
    char expected[512];
    snprintf(expected, sizeof expected,
             "{\"id\":2,\"subscribe\":{\"publications\":[{\"data\":%s,\"offset\":1},{\"data\":%s,\"offset\":2,"
             "\"delta\":true}],"
             "\"recovered\":true,\"delta\":true}}",
             is_json ? "\"[100,\\\"what does not change at all\\\"]\"" : documents[0],
             is_json ? "\"Z\\n4:[101V@4,1mgEyt;\"" : "Z\n4:[101V@4,1mgEyt;");
    assert_shows(state, expected);
    buffer_finish(&publications);
}

/* Where lengths are written before what they count: around the sizes at which they take a byte more. */
static void long_parts_have_their_lengths(void **state) {
    const struct client_codec *codec = codec_of(state);
    static const size_t sizes[] = {1,     100,   112,   113,   114,   115,   116,   117,   118,   119,   120,
                                   124,   125,   126,   127,   128,   129,   300,   16360, 16370, 16371, 16372,
                                   16373, 16374, 16375, 16376, 16380, 16383, 16384, 16385, 70000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buffer data = BUFFER_EMPTY;
        struct buffer expected = BUFFER_EMPTY;
        struct buffer info = BUFFER_EMPTY;
        buffer_append_char(&data, '"');
        while (data.size < sizes[i]) {
            buffer_append_char(&data, 'x');
        }
        buffer_append_char(&data, '"');
        wire_append_client_info(&info, &(struct wire_client_info){.user = SPAN_LITERAL("42"),
                                                                  .client = SPAN_LITERAL("0b6e"),
                                                                  .conn_info = buffer_span(&data)});
        struct wire_publication publication = {.offset = 300, .data = buffer_span(&data), .info = buffer_span(&info)};
        buffer_append_text(&expected, "{\"push\":{\"channel\":\"c\",\"pub\":{\"data\":");
        buffer_append_span(&expected, buffer_span(&data));
        buffer_append_text(&expected, ",\"info\":{\"user\":\"42\",\"client\":\"0b6e\",\"conn_info\":");
        buffer_append_span(&expected, buffer_span(&data));
        buffer_append_text(&expected, "},\"offset\":300}}}");
        buffer_append_char(&expected, '\0');
        codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("c"), 0}, &publication, NULL, NULL);
        assert_shows(state, (const char *) expected.data);
        buffer_finish(&data);
        buffer_finish(&info);
        buffer_finish(&expected);
    }
}

static void a_full_buffer_is_left_with_its_overflow_flag(void **state) {
    const struct client_codec *codec = codec_of(state);
    struct wire_publication publication = {.data = SPAN_LITERAL("[1,2,3,4,5,6,7,8]")};
    for (size_t limit = 1; limit < 26; limit++) {
        struct buffer small;
        buffer_init(&small, limit);
        codec->encode_push_publication(&small, &(struct client_channel){SPAN_LITERAL("c"), 0}, &publication, NULL,
                                       NULL);
        assert_true(small.overflow);
        buffer_finish(&small);
    }
}

int codec_contract_run(const struct codec_under_test *codec) {
    void *const state = (void *) (uintptr_t) codec;
#define CODEC_SPEC(name) cmocka_unit_test_prestate(name, state)
    const struct CMUnitTest specs[] = {
        CODEC_SPEC(commands_are_read),
        CODEC_SPEC(connect_reply),
        CODEC_SPEC(connect_reply_with_server_side_subscriptions),
        CODEC_SPEC(connect_reply_and_end_of_a_stream_over_http),
        CODEC_SPEC(error_replies),
        CODEC_SPEC(subscribe_replies),
        CODEC_SPEC(empty_replies),
        CODEC_SPEC(history_replies_always_have_all_three_fields),
        CODEC_SPEC(presence_replies),
        CODEC_SPEC(rpc_and_refresh_replies),
        CODEC_SPEC(publication_pushes),
        CODEC_SPEC(the_epoch_goes_with_the_first_publication_only),
        CODEC_SPEC(tags_travel_with_a_publication),
        CODEC_SPEC(other_pushes),
        CODEC_SPEC(a_full_buffer_is_left_with_its_overflow_flag),
        CODEC_SPEC(long_parts_have_their_lengths),
        CODEC_SPEC(a_channel_goes_by_its_id_where_it_has_one),
        CODEC_SPEC(patches_are_marked),
        CODEC_SPEC(recovered_publications_are_a_chain_where_delta_was_negotiated),
    };
    return cmocka_run_group_tests_name(codec->name, specs, NULL, NULL);
}
