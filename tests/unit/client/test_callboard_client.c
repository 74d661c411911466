/* The client library against a broker that is played here: what it sends, what it keeps, when it gives up. */
#include "client/callboard_client.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include <cmocka.h>

enum { WAIT_MS = 5000 };

/* What is sent for each request that comes, in turn: frames behind the routing id, NULL for the request's own id. */
struct answer {
    const char *frames[3][6]; /* up to three messages, each ends with "." */
    size_t n;
};

struct stage {
    void *context;
    void *router;
    char endpoint[64];
    const struct answer *answers;
    size_t n_answers;
    pthread_t thread;
    char requests[8][512]; /* method, id, params, payload with | between */
    size_t n_requests;
    callboard_client_t *client;
};

static size_t receive_frame(void *socket, char *text, size_t size) {
    int length = zmq_recv(socket, text, size - 1, 0);
    assert_true(length >= 0 && (size_t) length < size);
    text[length] = '\0';
    return (size_t) length;
}

static bool has_more(void *socket) {
    int more = 0;
    size_t size = sizeof more;
    zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    return more != 0;
}

static void *play(void *argument) {
    struct stage *stage = argument;
    char routing[64];
    char frames[6][256];
    for (size_t i = 0; i < stage->n_answers; i++) {
        size_t n = 0;
        size_t routing_size = receive_frame(stage->router, routing, sizeof routing);
        size_t id_size = 0;
        while (has_more(stage->router)) {
            size_t size = receive_frame(stage->router, frames[n], sizeof frames[n]);
            id_size = n == 2 ? size : id_size;
            n++;
        }
        char *request = stage->requests[stage->n_requests++];
        int used = snprintf(request, sizeof stage->requests[0], "%s %s ", frames[0], frames[1]);
        for (size_t at = 0; at < id_size; at++) {
            used +=
                snprintf(request + used, sizeof stage->requests[0] - (size_t) used, "%02x", (uint8_t) frames[2][at]);
        }
        for (size_t at = 3; at < n; at++) {
            used += snprintf(request + used, sizeof stage->requests[0] - (size_t) used, " %s", frames[at]);
        }
        for (size_t message = 0; message < stage->answers[i].n; message++) {
            const char *const *frame = stage->answers[i].frames[message];
            zmq_send(stage->router, routing, routing_size, ZMQ_SNDMORE);
            for (; strcmp(frame[0] == NULL ? "" : frame[0], ".") != 0; frame++) {
                bool is_last = frame[1] != NULL && strcmp(frame[1], ".") == 0;
                zmq_send(stage->router, frame[0] == NULL ? frames[2] : frame[0],
                         frame[0] == NULL ? id_size : strlen(frame[0]), is_last ? 0 : ZMQ_SNDMORE);
            }
        }
    }
    return NULL;
}

static void begin(struct stage *stage, const struct answer *answers, size_t n_answers) {
    char error[256] = "";
    size_t size = sizeof stage->endpoint;
    *stage = (struct stage){.answers = answers, .n_answers = n_answers};
    stage->context = zmq_ctx_new();
    stage->router = zmq_socket(stage->context, ZMQ_ROUTER);
    assert_int_equal(zmq_bind(stage->router, "tcp://127.0.0.1:*"), 0);
    zmq_getsockopt(stage->router, ZMQ_LAST_ENDPOINT, stage->endpoint, &size);
    assert_int_equal(pthread_create(&stage->thread, NULL, play, stage), 0);
    stage->client =
        callboard_client_new(&(struct callboard_client_options){.endpoint = stage->endpoint}, error, sizeof error);
    assert_non_null(stage->client);
}

static void end(struct stage *stage) {
    pthread_join(stage->thread, NULL);
    callboard_client_destroy(&stage->client);
    zmq_close(stage->router);
    zmq_ctx_term(stage->context);
}

static void assert_bytes(struct callboard_bytes bytes, const char *text) {
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
}

#define ANSWERS(...)                                                                                                   \
    static const struct answer answers[] = {__VA_ARGS__};                                                              \
    struct stage stage;                                                                                                \
    struct callboard_message reply;                                                                                    \
    begin(&stage, answers, sizeof answers / sizeof answers[0])

static void a_publication_is_tried_again_under_one_key_and_one_id(void **state) {
    (void) state;
    ANSWERS({.n = 0}, {.frames = {{"CB1", "error", NULL, "{\"code\":111,\"temporary\":true}", "."}}, .n = 1},
            {.frames = {{"CB1", "ok", NULL, "{\"offset\":1}", "."}}, .n = 1});
    assert_int_equal(callboard_publish(stage.client, "a\"\\\x01", (struct callboard_bytes){"{}", 2}, 30000, &reply),
                     CALLBOARD_OK);
    assert_bytes(reply.body, "{\"offset\":1}");
    end(&stage);
    static const char begins[] =
        "CB1 publish 0100000000000000 {\"channel\":\"a\\\"\\\\\\u0001\",\"idempotency_key\":\"";
    assert_int_equal(strncmp(stage.requests[0], begins, strlen(begins)), 0);
    assert_int_equal(strlen(stage.requests[0]), strlen(begins) + 32 + strlen("\"} {}"));
    assert_string_equal(stage.requests[1], stage.requests[0]);
    assert_string_equal(stage.requests[2], stage.requests[0]);
}

static void what_is_refused_for_good_is_not_tried_again(void **state) {
    (void) state;
    ANSWERS({.frames = {{"CB1", "error", NULL, "{\"message\":\"\\\"temporary\\\":true\",\"temporary\":false}", "."}},
             .n = 1});
    assert_int_equal(callboard_publish(stage.client, "a", (struct callboard_bytes){NULL, 0}, 30000, &reply),
                     CALLBOARD_ERROR);
    end(&stage);
    assert_int_equal(stage.n_requests, 1);
}

static void patience_ends_with_an_unknown_outcome_where_a_try_was_silent(void **state) {
    (void) state;
    ANSWERS({.n = 0});
    assert_int_equal(callboard_publish(stage.client, "a", (struct callboard_bytes){"1", 1}, 100, &reply),
                     CALLBOARD_TIMEOUT);
    assert_int_equal(reply.body.size, 0);
    end(&stage);
}

static void what_comes_before_the_answer_is_kept_in_order_and_pings_are_answered(void **state) {
    (void) state;
    ANSWERS({.frames = {{"CB1", "event", "s", "{\"offset\":7}", "data", "."},
                        {"CB1", "ping", "", "{}", "."},
                        {"CB1", "request", "call", "{\"method\":\"rpc:x\"}", "asked", "."}},
             .n = 3},
            {.frames = {{"CB1", "ok", "another", "{}", "."}}, .n = 1},
            {.frames = {{"CB1", "ok", NULL, "{\"done\":1}", "."}}, .n = 1});
    assert_int_equal(callboard_request(stage.client, "info", "{}", NULL, 300, &reply), CALLBOARD_TIMEOUT);
    assert_int_equal(callboard_request(stage.client, "info", "{}", NULL, WAIT_MS, &reply), CALLBOARD_OK);
    assert_bytes(reply.body, "{\"done\":1}");
    assert_int_equal(callboard_receive(stage.client, 0, &reply), CALLBOARD_EVENT);
    assert_bytes(reply.body, "{\"offset\":7}");
    assert_bytes(reply.payload, "data");
    assert_int_equal(callboard_receive(stage.client, 0, &reply), CALLBOARD_REQUEST);
    assert_bytes(reply.id, "call");
    assert_bytes(reply.payload, "asked");
    assert_int_equal(callboard_receive(stage.client, 0, &reply), CALLBOARD_TIMEOUT);
    end(&stage);
    assert_string_equal(stage.requests[1], "CB1 pong  {}");
    assert_string_equal(stage.requests[2], "CB1 info 0200000000000000 {}");
}

static void a_call_is_answered_under_its_id(void **state) {
    (void) state;
    ANSWERS({.frames = {{"CB1", "ok", NULL, "{}", "."}, {"CB1", "request", "call", "{}", "asked", "."}}, .n = 2},
            {.n = 0});
    assert_int_equal(callboard_request(stage.client, "work", "{\"methods\":[\"rpc:x\"]}", NULL, WAIT_MS, &reply),
                     CALLBOARD_OK);
    assert_int_equal(callboard_receive(stage.client, WAIT_MS, &reply), CALLBOARD_REQUEST);
    assert_true(callboard_answer(stage.client, &reply, "{\"result\":{}}", &reply.payload));
    end(&stage);
    assert_string_equal(stage.requests[1], "CB1 done 63616c6c {\"result\":{}} asked");
}

static void another_protocol_is_told_from_an_answer(void **state) {
    (void) state;
    ANSWERS({.frames = {{"HTTP/1.1 200 OK", "."}}, .n = 1}, {.frames = {{"CB1", "perhaps", NULL, "{}", "."}}, .n = 1});
    assert_int_equal(callboard_request(stage.client, "info", "{}", NULL, WAIT_MS, &reply), CALLBOARD_PROTOCOL);
    assert_int_equal(callboard_request(stage.client, "info", "{}", NULL, WAIT_MS, &reply), CALLBOARD_PROTOCOL);
    end(&stage);
}

static void what_cannot_be_opened_says_why(void **state) {
    (void) state;
    static const struct {
        struct callboard_client_options options;
        const char *says;
    } cases[] = {
        {{.endpoint = "127.0.0.1"}, "endpoints look like tcp://127.0.0.1:7710"},
        {{.endpoint = "tcp://127.0.0.1:1", .curve_secret_key = "short"}, "curve_secret_key is not 40 characters"},
        {{.endpoint = "tcp://127.0.0.1:1", .curve_secret_key = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"},
         "curve_broker_key is not 40 characters"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[256] = "";
        assert_null(callboard_client_new(&cases[i].options, error, sizeof error));
        assert_non_null(strstr(error, cases[i].says));
    }
    callboard_client_t *none = NULL;
    callboard_client_destroy(&none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_publication_is_tried_again_under_one_key_and_one_id),
        cmocka_unit_test(what_is_refused_for_good_is_not_tried_again),
        cmocka_unit_test(patience_ends_with_an_unknown_outcome_where_a_try_was_silent),
        cmocka_unit_test(what_comes_before_the_answer_is_kept_in_order_and_pings_are_answered),
        cmocka_unit_test(a_call_is_answered_under_its_id),
        cmocka_unit_test(another_protocol_is_told_from_an_answer),
        cmocka_unit_test(what_cannot_be_opened_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
