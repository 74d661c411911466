/* Calls by POST to the internal listener over real sockets: who may make them, what is refused before its body is read,
 * what a call that is slow, too large or forgotten comes to. */
#include "base/actor.h"
#include "base/http_service.h"
#include "base/memory.h"
#include "tests/support/free_port.h"
#include "tests/support/raw_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { STOP_DEADLINE_MS = 20000, BODY_MAX = 64, CALLS_MAX = 2, RELEASE = 1 };

#define HEAD "Host: a\r\nAuthorization: Bearer s3cret\r\n"
#define JSON HEAD "Content-Type: application/json\r\n"

struct fixture {
    actor_t *actor;
    uint64_t timeout_ms;
    http_service_t *service;
    metrics_t *metrics;
    int port;
    struct http_call *kept[CALLS_MAX];
    atomic_uint n_kept;
    atomic_uint n_observed;
    bool closed;
};

static struct fixture fixture;

static void observe(const struct http_call *call) {
    (void) call;
    atomic_fetch_add(&fixture.n_observed, 1);
}

/* "keep" is answered when the test says so, everything else at once with what came. */
static void take(void *context, struct http_call *call) {
    struct fixture *self = context;
    if (strcmp(call->method, "keep") == 0) {
        self->kept[atomic_load(&self->n_kept)] = call;
        atomic_fetch_add(&self->n_kept, 1);
        return;
    }
    call->status = 200;
    buffer_append_format(&call->answer, "{\"method\":\"%s\",\"source\":\"%s\",\"body\":", call->method, call->source);
    buffer_append_span(&call->answer, buffer_span(&call->body));
    buffer_append_char(&call->answer, '}');
    http_call_answer(call);
}

static void release_all(struct fixture *self) {
    for (unsigned i = 0; i < atomic_load(&self->n_kept); i++) {
        self->kept[i]->status = 200;
        buffer_append_text(&self->kept[i]->answer, "{\"late\":true}");
        http_call_answer(self->kept[i]);
    }
    atomic_store(&self->n_kept, 0);
}

static bool on_start(void *context, actor_t *actor, char *ret_error, size_t error_size) {
    static const char *const methods[] = {"echo", "keep", NULL};
    struct fixture *self = context;
    const struct http_service_calls calls = {.prefix = "/admin/api/",
                                             .methods = methods,
                                             .body_max = BODY_MAX,
                                             .calls_max = CALLS_MAX,
                                             .timeout_ms = self->timeout_ms,
                                             .take = take,
                                             .context = self,
                                             .observe = observe};
    const struct http_service_options options = {.address = "127.0.0.1",
                                                 .port = free_port(),
                                                 .bearer_token = "s3cret",
                                                 .calls = &calls,
                                                 .metrics = self->metrics};
    self->service = http_service_new(actor_loop(actor), &options, ret_error, error_size);
    self->port = self->service == NULL ? 0 : http_service_port(self->service);
    return self->service != NULL;
}

static void on_closed(void *context) {
    ((struct fixture *) context)->closed = true;
}

static void on_stop(void *context) {
    struct fixture *self = context;
    http_service_close(&self->service, on_closed, self);
}

static void on_message(void *context, struct actor_message *message) {
    release_all(context);
    memory_free(message);
}

static void on_drop(void *context, struct actor_message *message) {
    (void) context;
    memory_free(message);
}

static struct fixture *start(uint64_t timeout_ms) {
    static const struct actor_callbacks callbacks = {
        .on_start = on_start, .on_message = on_message, .on_stop = on_stop, .drop_message = on_drop};
    char error[256] = "";
    memset(&fixture, 0, sizeof fixture);
    fixture.timeout_ms = timeout_ms;
    fixture.metrics = metrics_new();
    fixture.actor = actor_new("http", &callbacks, &fixture, NULL, error, sizeof error);
    if (fixture.actor == NULL) {
        fail_msg("%s", error);
    }
    return &fixture;
}

static void finish(struct fixture *self) {
    actor_destroy(&self->actor, STOP_DEADLINE_MS);
    assert_true(self->closed);
    metrics_destroy(&self->metrics);
}

static void release(struct fixture *self) {
    struct actor_message *message = memory_alloc_zero(sizeof *message);
    message->kind = RELEASE;
    message->bytes = sizeof *message;
    assert_int_equal(actor_post(self->actor, &message), ACTOR_POSTED);
}

static void await_count(atomic_uint *count, unsigned n) {
    while (atomic_load(count) < n) {
        uv_sleep(1);
    }
}

static int64_t figure(struct fixture *self, const char *name, const char *labels) {
    return metrics_read(self->metrics, name, labels);
}

static void ask(struct fixture *self, const char *request, const char *status, const char *body) {
    struct raw_client client;
    raw_client_connect(&client, self->port);
    raw_client_send_text(&client, request);
    assert_true(raw_client_read_all(&client));
    if (!raw_client_starts_with(&client, status) || !raw_client_contains(&client, body)) {
        fail_msg("%s\n→ %.*s", request, (int) client.input.size, (const char *) client.input.data);
    }
    raw_client_close(&client);
}

static void a_call_gets_its_body_there_and_its_answer_back(void **state) {
    (void) state;
    struct fixture *self = start(10000);
    ask(self, "POST /admin/api/echo HTTP/1.1\r\n" JSON "Content-Length: 8\r\n\r\n{\"a\":\"b\"GET /hello HTTP/1.1\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
        "{\"method\":\"echo\",\"source\":\"127.0.0.1\",\"body\":{\"a\":\"b\"}");
    ask(self, "GET /admin/api/ HTTP/1.1\r\n" HEAD "\r\n", "HTTP/1.1 200 OK\r\n", "{\"methods\":[\"echo\",\"keep\"]}");
    assert_int_equal(atomic_load(&self->n_observed), 1);
    assert_int_equal((int) figure(self, "callboard_internal_calls_total", NULL), 1);
    finish(self);
}

static void the_token_is_judged_before_anything_else(void **state) {
    (void) state;
    struct fixture *self = start(10000);
    ask(self, "POST /admin/api/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\n", "");
    ask(self, "POST /admin/api/nothing HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer S3cret\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\n", "");
    ask(self, "OPTIONS /admin/api/echo HTTP/1.1\r\nHost: a\r\nOrigin: http://evil\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\n", "");
    finish(self);
}

static void what_is_no_call_is_refused_before_its_body_is_read(void **state) {
    (void) state;
    static const struct {
        const char *request, *status, *body;
    } cases[] = {
        {"GET /admin/api/echo HTTP/1.1\r\n" JSON "\r\n", "HTTP/1.1 405 ", "\"code\":107"},
        {"POST /admin/api/ HTTP/1.1\r\n" JSON "Content-Length: 2\r\n\r\n", "HTTP/1.1 404 ", "\"code\":104"},
        {"POST /admin/api/Echo HTTP/1.1\r\n" JSON "Content-Length: 2\r\n\r\n", "HTTP/1.1 404 ", "\"code\":104"},
        {"POST /admin/api/a/b HTTP/1.1\r\n" JSON "Content-Length: 2\r\n\r\n", "HTTP/1.1 404 ", "\"code\":104"},
        {"POST /admin/api/publish HTTP/1.1\r\n" JSON "Content-Length: 2\r\n\r\n", "HTTP/1.1 403 ",
         "internal.operations is not for this method"},
        {"POST /admin/api/echo?a=1 HTTP/1.1\r\n" JSON "Content-Length: 2\r\n\r\n", "HTTP/1.1 400 ", "without a query"},
        {"POST /admin/api/echo HTTP/1.0\r\n" JSON "Content-Length: 2\r\n\r\n", "HTTP/1.1 400 ", "HTTP/1.1"},
        {"POST /admin/api/echo HTTP/1.1\r\n" JSON "\r\n", "HTTP/1.1 411 ", "Content-Length"},
        {"POST /admin/api/echo HTTP/1.1\r\n" JSON "Transfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 411 ", "Transfer"},
        {"POST /admin/api/echo HTTP/1.1\r\n" JSON "Content-Length: -1\r\n\r\n", "HTTP/1.1 400 ", "plain decimal"},
        {"POST /admin/api/echo HTTP/1.1\r\n" JSON "Content-Length: 0\r\n\r\n", "HTTP/1.1 400 ", "at least {}"},
        {"POST /admin/api/echo HTTP/1.1\r\n" JSON "Content-Length: 2\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 400 ",
         ""},
        {"POST /admin/api/echo HTTP/1.1\r\n" JSON "Content-Length: 65\r\n\r\n", "HTTP/1.1 413 ", "internal.body_max"},
        {"POST /admin/api/echo HTTP/1.1\r\n" HEAD "Content-Length: 2\r\n\r\n", "HTTP/1.1 415 ", "application/json"},
        {"POST /admin/api/echo HTTP/1.1\r\n" HEAD "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n",
         "HTTP/1.1 415 ", "application/json"},
        {"POST /admin/api/echo HTTP/1.1\r\n" HEAD "Content-Type: application/jsonp\r\nContent-Length: 2\r\n\r\n",
         "HTTP/1.1 415 ", "application/json"},
    };
    struct fixture *self = start(10000);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(self, cases[i].request, cases[i].status, cases[i].body);
    }
    assert_int_equal(atomic_load(&self->n_observed), 0);
    assert_int_equal((int) figure(self, "callboard_internal_refused_total", "reason=\"call\""),
                     (int) (sizeof cases / sizeof cases[0]));
    finish(self);
}

static void more_calls_than_the_bound_are_told_to_come_back(void **state) {
    (void) state;
    struct fixture *self = start(10000);
    struct raw_client clients[CALLS_MAX];
    for (unsigned i = 0; i < CALLS_MAX; i++) {
        raw_client_connect(&clients[i], self->port);
        raw_client_send_text(&clients[i], "POST /admin/api/keep HTTP/1.1\r\n" JSON "Content-Length: 2\r\n\r\n{}");
    }
    await_count(&self->n_kept, CALLS_MAX);
    assert_int_equal((int) figure(self, "callboard_internal_calls_open", NULL), CALLS_MAX);
    ask(self, "POST /admin/api/echo HTTP/1.1\r\n" JSON "Content-Length: 2\r\n\r\n{}", "HTTP/1.1 503 ",
        "\r\nRetry-After: 1\r\n");
    release(self);
    for (unsigned i = 0; i < CALLS_MAX; i++) {
        assert_true(raw_client_read_all(&clients[i]));
        assert_true(raw_client_contains(&clients[i], "{\"late\":true}"));
        raw_client_close(&clients[i]);
    }
    ask(self, "POST /admin/api/echo HTTP/1.1\r\n" JSON "Content-Length: 2\r\n\r\n{}", "HTTP/1.1 200 ", "echo");
    assert_int_equal((int) figure(self, "callboard_internal_refused_total", "reason=\"busy\""), 1);
    finish(self);
}

static void a_body_that_does_not_come_is_cut_off_and_an_answer_that_does_not_is_504(void **state) {
    (void) state;
    struct fixture *self = start(300);
    struct raw_client slow;
    raw_client_connect(&slow, self->port);
    raw_client_send_text(&slow, "POST /admin/api/echo HTTP/1.1\r\n" JSON "Content-Length: 8\r\n\r\n{\"a");
    ask(self, "POST /admin/api/keep HTTP/1.1\r\n" JSON "Content-Length: 2\r\n\r\n{}", "HTTP/1.1 504 ", "\"code\":120");
    assert_true(raw_client_read_all(&slow));
    assert_int_equal(slow.input.size, 0);
    raw_client_close(&slow);
    release(self); /* too late: nobody gets it */
    await_count(&self->n_observed, 1);
    assert_int_equal((int) figure(self, "callboard_internal_calls_late_total", NULL), 2);
    finish(self);
}

static void who_goes_away_frees_the_place_and_the_call_goes_on(void **state) {
    (void) state;
    struct fixture *self = start(10000);
    struct raw_client client;
    raw_client_connect(&client, self->port);
    raw_client_send_text(&client, "POST /admin/api/keep HTTP/1.1\r\n" JSON "Content-Length: 2\r\n\r\n{}");
    await_count(&self->n_kept, 1);
    raw_client_close(&client);
    release(self);
    await_count(&self->n_observed, 1);
    while (figure(self, "callboard_internal_calls_open", NULL) != 0) {
        uv_sleep(1);
    }
    finish(self);
}

static void closing_with_open_calls_leaves_nothing_behind(void **state) {
    (void) state;
    struct fixture *self = start(10000);
    struct raw_client client;
    raw_client_connect(&client, self->port);
    raw_client_send_text(&client, "POST /admin/api/keep HTTP/1.1\r\n" JSON "Content-Length: 2\r\n\r\n{}");
    await_count(&self->n_kept, 1);
    actor_stop(self->actor, STOP_DEADLINE_MS);
    release_all(self); /* behind the listener's end */
    finish(self);
    assert_true(raw_client_read_all(&client));
    raw_client_close(&client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_gets_its_body_there_and_its_answer_back),
        cmocka_unit_test(the_token_is_judged_before_anything_else),
        cmocka_unit_test(what_is_no_call_is_refused_before_its_body_is_read),
        cmocka_unit_test(more_calls_than_the_bound_are_told_to_come_back),
        cmocka_unit_test(a_body_that_does_not_come_is_cut_off_and_an_answer_that_does_not_is_504),
        cmocka_unit_test(who_goes_away_frees_the_place_and_the_call_goes_on),
        cmocka_unit_test(closing_with_open_calls_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
