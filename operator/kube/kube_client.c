/* One call: credentials ─▶ request ─▶ answer, and again where that may help, until the call's time is up.
 *
 * Failure modes, each with a result and a message: no credentials; no connection (sent again); TLS that is not trusted
 * (not again); a connection that breaks (again where twice does no harm); 401 with credentials that can be renewed
 * (once more); 429 and 5xx (again, when the server says or after a growing delay with jitter); an answer that is too
 * large, or no JSON. */
#include "operator/kube/kube_client_parts.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "base/memory.h"
#include "operator/kube/kube_json.h"
#include "operator/kube/kube_status.h"
#include "operator/manifest/manifest_emit.h"

#include <errno.h>
#include <time.h>

enum {
    DELAY_FIRST_MS = 250,
    DELAY_MAX_MS = 5000,
    DELAY_FLOOR_MS = 50,
    RETRY_AFTER_MAX_MS = 30000,
    TOLD_WAIT_MS = 1000
};

/* ---- life ---- */

kube_client_t *kube_client_new(const struct kube_client_options *options) {
    kube_client_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    if (self->options.call_timeout_ms == 0) {
        self->options.call_timeout_ms = KUBE_CALL_TIMEOUT_MS;
    }
    self->http = kube_http_new(options->access);
    self->credentials = kube_credentials_new(options->access);
    self->arena = arena_new();
    return self;
}

void kube_client_free(kube_client_t **self_p) {
    kube_client_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    kube_http_free(&self->http);
    kube_credentials_free(&self->credentials);
    arena_destroy(&self->arena);
    memory_free(self);
}

void kube_client_set_deadline(kube_client_t *self, uint64_t deadline_ms) {
    self->options.deadline_ms = deadline_ms;
}

const char *kube_client_namespace(const kube_client_t *self) {
    return self->options.access->namespace;
}

const char *kube_client_server(const kube_client_t *self) {
    return self->options.access->server;
}

const char *kube_result_name(enum kube_result result) {
    static const char *const names[] = {"done",    "not found",          "conflict",  "denied",
                                        "invalid", "refused by a limit", "no answer", "timed out"};
    return names[result];
}

/* ---- one call, while it goes on ---- */

struct attempt {
    kube_client_t *client;
    const struct kube_call *call;
    const char *url;
    struct buffer body;
    struct kube_http_response response;
    uint64_t end_ms;
    struct backoff backoff;
    unsigned n; /* requests sent */
    bool is_renewed;
};

enum verdict { VERDICT_DONE, VERDICT_AGAIN };

static int64_t left_ms(const struct attempt *self) {
    uint64_t now_ms = clock_monotonic_ms();
    return now_ms >= self->end_ms ? 0 : (int64_t) (self->end_ms - now_ms);
}

enum kube_result kube_client_fail(struct kube_answer *answer, enum kube_result result, const char *message) {
    answer->message = message;
    return result;
}

static void tell(const struct attempt *self, const char *text) {
    if (self->client->options.tell != NULL) {
        self->client->options.tell(self->client->options.context, text);
    }
}

static void tell_warnings(const struct attempt *self) {
    struct span rest = buffer_span(&self->response.warnings);
    const uint8_t *feed;
    while (rest.size > 0 && (feed = memchr(rest.data, '\n', rest.size)) != NULL) {
        size_t size = (size_t) (feed - rest.data);
        tell(self,
             arena_format(self->call->arena, "warning of the API server: %.*s", (int) size, (const char *) rest.data));
        rest = span_of(feed + 1, rest.size - size - 1);
    }
}

static void sleep_ms(int64_t ms) {
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = (long) (ms % 1000) * 1000000};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {
    }
}

/* False: not in time, or too often. */
static bool wait_for_next(struct attempt *self) {
    int64_t wait_ms = (int64_t) backoff_next_ms(&self->backoff);
    int64_t asked_ms = self->response.retry_after_ms;
    if (asked_ms >= 0) {
        wait_ms = asked_ms + (int64_t) DELAY_FLOOR_MS + wait_ms % DELAY_FIRST_MS; /* not all that wait at once */
    }
    if (self->n >= KUBE_ATTEMPTS || asked_ms > RETRY_AFTER_MAX_MS || wait_ms >= left_ms(self)) {
        return false;
    }
    if (wait_ms >= TOLD_WAIT_MS) {
        tell(self,
             arena_format(self->call->arena, "%s: no success yet (%s), once more in %lld s", self->call->asked,
                          self->response.status == 0 ? self->response.error
                                                     : arena_format(self->call->arena, "%d", self->response.status),
                          (long long) ((wait_ms + 999) / 1000)));
    }
    sleep_ms(wait_ms);
    return true;
}

/* ---- what came ---- */

static const char *where(const struct attempt *self) {
    const struct kube_access *access = self->client->options.access;
    return arena_format(self->call->arena, "%s (context %s, %s)", access->server, access->context, access->place);
}

static enum kube_result fail_unanswered(const struct attempt *self, enum kube_http_outcome outcome) {
    arena_t *arena = self->call->arena;
    const char *cure = outcome == KUBE_HTTP_UNSENT ? "; is the server there, and does this address reach it?" : "";
    const char *text = arena_format(arena, "%s: %s: %s%s", self->call->asked, where(self), self->response.error, cure);
    bool is_late = outcome == KUBE_HTTP_TIMED_OUT || (outcome != KUBE_HTTP_TLS && left_ms(self) == 0);
    return kube_client_fail(self->call->answer, is_late ? KUBE_TIMED_OUT : KUBE_UNREACHABLE, text);
}

static enum kube_result take_text(const struct attempt *self) {
    struct span body = buffer_span(&self->response.body);
    const char *copy = arena_text_of(self->call->arena, body);
    *self->call->ret_text = span_of(copy, body.size);
    return KUBE_OK;
}

static enum kube_result take_answer(const struct attempt *self) {
    const struct kube_call *call = self->call;
    const struct kube_http_response *response = &self->response;
    struct kube_answer *answer = call->answer;
    const char *error = "";
    answer->status = response->status;
    if (call->ret_text != NULL && kube_status_result(response->status, NULL) == KUBE_OK) {
        return take_text(self);
    }
    manifest_t *object = kube_json_read(call->arena, buffer_span(&response->body), &error);
    bool is_map = object != NULL && manifest_kind(object) == MANIFEST_MAP;
    enum kube_result result = kube_status_result(response->status, is_map ? object : NULL);
    answer->object = is_map ? object : NULL;
    answer->reason = is_map ? kube_status_reason(object) : "";
    if (result == KUBE_OK && is_map) {
        return KUBE_OK;
    }
    if (result == KUBE_OK) {
        return kube_client_fail(answer, KUBE_UNREACHABLE,
                                arena_format(call->arena, "%s: %s answered %d with what is no object (%s)", call->asked,
                                             where(self), response->status, object == NULL ? error : "no JSON object"));
    }
    return kube_client_fail(answer, result,
                            kube_status_message(call->arena, call->asked, response->status, answer->object));
}

/* ---- again? ---- */

static bool has_bad_field(const struct attempt *self) {
    const char *error;
    const manifest_t *object = kube_json_read(self->call->arena, buffer_span(&self->response.body), &error);
    return object != NULL && kube_status_is_bad_field(object);
}

static bool may_again(struct attempt *self, enum kube_http_outcome outcome) {
    const struct kube_call *call = self->call;
    int status = self->response.status;
    switch (outcome) {
    case KUBE_HTTP_UNSENT:
        return true;
    case KUBE_HTTP_BROKEN:
        return call->is_idempotent;
    case KUBE_HTTP_TLS:
    case KUBE_HTTP_TOO_LARGE:
    case KUBE_HTTP_TIMED_OUT:
        return false;
    case KUBE_HTTP_ANSWERED:
        break;
    }
    return !(call->is_eviction && status == 429) && !(status == 500 && has_bad_field(self)) &&
           kube_status_may_retry(status, call->is_idempotent, self->response.retry_after_ms >= 0);
}

static bool renews(struct attempt *self, enum kube_http_outcome outcome) {
    bool is_refused = outcome == KUBE_HTTP_ANSWERED && self->response.status == 401;
    bool is_renewed = is_refused && !self->is_renewed && kube_credentials_refused(self->client->credentials);
    self->is_renewed = self->is_renewed || is_renewed;
    return is_renewed;
}

static enum verdict send_once(struct attempt *self, enum kube_result *ret_result) {
    const struct kube_call *call = self->call;
    struct kube_http_identity identity;
    const char *error = "";
    if (!kube_credentials_get(self->client->credentials, left_ms(self), call->arena, &identity, &error)) {
        *ret_result = kube_client_fail(call->answer, KUBE_DENIED, error);
        return VERDICT_DONE;
    }
    const struct kube_http_request request = {
        .method = call->method,
        .url = self->url,
        .content_type = call->content_type,
        .body = buffer_span(&self->body),
        .header = call->header,
        .accept = call->ret_text == NULL ? "application/json" : "*/*",
        .identity = &identity,
        .timeout_ms = left_ms(self),
        .body_bytes_max = KUBE_BODY_BYTES_MAX,
    };
    enum kube_http_outcome outcome = kube_http_perform(self->client->http, &request, &self->response);
    self->n++;
    if (renews(self, outcome) || (may_again(self, outcome) && wait_for_next(self))) {
        return VERDICT_AGAIN;
    }
    if (outcome != KUBE_HTTP_ANSWERED) {
        *ret_result = fail_unanswered(self, outcome);
        return VERDICT_DONE;
    }
    tell_warnings(self);
    *ret_result = take_answer(self);
    return VERDICT_DONE;
}

enum kube_result kube_client_call(kube_client_t *self, const struct kube_call *call) {
    const struct kube_client_options *options = &self->options;
    uint64_t end_ms = clock_monotonic_ms() + (uint64_t) options->call_timeout_ms;
    struct attempt attempt = {
        .client = self,
        .call = call,
        .url = arena_format(call->arena, "%s%s", options->access->server, call->path),
        .end_ms = options->deadline_ms != 0 && options->deadline_ms < end_ms ? options->deadline_ms : end_ms,
    };
    enum kube_result result = KUBE_OK;
    *call->answer = (struct kube_answer){.reason = "", .message = ""};
    backoff_init(&attempt.backoff, DELAY_FIRST_MS, DELAY_MAX_MS, DELAY_FLOOR_MS);
    if (call->body != NULL) {
        manifest_append_json(call->body, &attempt.body);
    }
    if (left_ms(&attempt) == 0) {
        result = kube_client_fail(call->answer, KUBE_TIMED_OUT,
                                  arena_format(call->arena, "%s: the time of --timeout is over", call->asked));
    } else {
        while (send_once(&attempt, &result) == VERDICT_AGAIN) {
        }
    }
    buffer_finish(&attempt.body);
    kube_http_response_finish(&attempt.response);
    return result;
}
