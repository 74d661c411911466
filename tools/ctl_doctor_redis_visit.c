/* See ctl_doctor_redis_parts.h.
 *
 *   link up ─▶ question ─▶ answer ─┐
 *   link down, or DOCTOR_WAIT_MS ──┴▶ link closes ─▶ loop ends
 *
 * A resolver that does not answer cannot be called back: after LEAVE_MS more the visit is left as it is, memory and
 * all, and the process ends without waiting for it. */
#include "tools/ctl_doctor_redis_parts.h"

#include "base/memory.h"
#include "broker/redis/link/redis_link.h"
#include "broker/redis/link/redis_request.h"
#include "broker/redis/survey/redis_survey.h"
#include "tools/ctl_doctor_parts.h"

#include <stdio.h>

enum { COMMANDS_MAX = 64, REPLY_ELEMENTS_MAX = 100000, LEAVE_MS = 500 };

struct visit {
    uv_loop_t loop;
    uv_timer_t timer; /* first the wait for an answer, then for the link to close */
    redis_link_t *link;
    /* the question: a survey, or these */
    const char *partitions_key;
    size_t n_arguments;
    const char *const *arguments;
    /* the outcome */
    bool is_over;
    bool is_left;
    bool has_answer;
    struct redis_facts facts;
    char answer[DOCTOR_ANSWER_MAX + 1];
    char reason[DOCTOR_REASON_MAX + 1];
};

static void on_link_closed(void *context) {
    struct visit *self = context;
    self->link = NULL;
    uv_close((uv_handle_t *) &self->timer, NULL);
}

static void on_not_closing(uv_timer_t *timer) {
    struct visit *self = timer->data;
    self->is_left = true;
    uv_stop(&self->loop);
}

static void end(struct visit *self, const char *reason) {
    if (self->is_over) {
        return;
    }
    self->is_over = true;
    snprintf(self->reason, sizeof self->reason, "%s", reason);
    uv_timer_start(&self->timer, on_not_closing, LEAVE_MS, 0);
    redis_link_close(self->link, on_link_closed, self);
}

static void on_surveyed(void *context, void *request, const struct redis_facts *facts) {
    struct visit *self = context;
    (void) request;
    if (facts != NULL && !self->is_over) {
        self->facts = *facts;
        self->has_answer = true;
        end(self, "");
    }
}

/* What does not fit is left out. */
static void append_reply(struct buffer *answer, const struct redis_reply *reply) {
    buffer_append_span(answer, reply->type == REDIS_ERROR ? reply->text : redis_reply_string(reply));
    for (size_t i = 0; i < reply->n; i++) {
        buffer_append_span(answer, redis_reply_string(&reply->elements[i]));
        buffer_append_char(answer, '\n');
    }
}

static void on_answer(void *context, void *request, const struct redis_reply *reply) {
    struct visit *self = context;
    (void) request;
    if (reply != NULL && !self->is_over) {
        struct buffer answer;
        buffer_init(&answer, DOCTOR_ANSWER_MAX);
        append_reply(&answer, reply);
        memcpy(self->answer, answer.data == NULL ? (const uint8_t *) "" : answer.data, answer.size);
        buffer_finish(&answer);
        self->has_answer = true;
        end(self, "");
    }
}

static void on_up(void *context) {
    struct visit *self = context;
    if (self->is_over) {
        return;
    }
    if (self->arguments == NULL) {
        redis_survey_start(self->link, self->partitions_key, on_surveyed, NULL);
    } else {
        redis_request_texts(redis_link_out(self->link), self->n_arguments, self->arguments);
        redis_link_sent(self->link, on_answer, NULL);
    }
    redis_link_flush(self->link);
}

static void on_down(void *context, const char *reason) {
    end(context, reason);
}

static void on_push(void *context, const struct redis_reply *reply) {
    (void) context;
    (void) reply;
}

static void on_late(uv_timer_t *timer) {
    end(timer->data, "it did not answer in 2 s");
}

/* Runs to the end, whatever that is. */
static void run(struct visit *self, const struct doctor_redis *server) {
    static const struct redis_link_events events = {on_up, on_down, on_push};
    const struct redis_link_options options = {
        .loop = &self->loop,
        .url = server->url,
        .tls = server->tls,
        .client_name = "callboardctl-doctor",
        .commands_max = COMMANDS_MAX,
        .bytes_max = DOCTOR_REDIS_BYTES_MAX,
        .reply_limits = {.bytes = DOCTOR_REDIS_BYTES_MAX, .elements = REPLY_ELEMENTS_MAX},
        .command_timeout_ms = DOCTOR_WAIT_MS,
        .events = &events,
        .context = self};
    uv_loop_init(&self->loop);
    uv_timer_init(&self->loop, &self->timer);
    self->timer.data = self;
    uv_timer_start(&self->timer, on_late, DOCTOR_WAIT_MS, 0);
    self->link = redis_link_new(&options);
    uv_run(&self->loop, UV_RUN_DEFAULT);
    if (!self->is_left) {
        uv_loop_close(&self->loop);
    }
}

static bool finish(struct visit *self, struct doctor_redis *server, char *ret_reason) {
    bool has_answer = self->has_answer;
    snprintf(ret_reason, DOCTOR_REASON_MAX + 1, "%s", self->reason);
    if (self->is_left) {
        server->has_left = true;
    } else {
        memory_free(self);
    }
    return has_answer;
}

bool doctor_redis_survey(struct doctor_redis *server, const char *partitions_key, struct redis_facts *ret_facts,
                         char *ret_reason) {
    struct visit *self = memory_alloc_zero(sizeof *self);
    self->partitions_key = partitions_key;
    run(self, server);
    *ret_facts = self->facts;
    return finish(self, server, ret_reason);
}

bool doctor_redis_ask(struct doctor_redis *server, size_t n_arguments, const char *const *arguments, char *ret_answer,
                      char *ret_reason) {
    struct visit *self = memory_alloc_zero(sizeof *self);
    self->n_arguments = n_arguments;
    self->arguments = arguments;
    run(self, server);
    memcpy(ret_answer, self->answer, sizeof self->answer);
    return finish(self, server, ret_reason);
}
