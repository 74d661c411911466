/* Hooks: what a client may is asked of workers of the backend API (docs/backend-api.md, "Hooks") where the
 * configuration says so. Here is what all five share: the question, what waits for its answer, and judging that.
 *
 *   command ─▶ session_hook_ask ─▶ brokers ─▶ worker ─▶ session_hook_read ─▶ the command goes on
 *                 │ a copy of it waits                     └─▶ an error, a disconnect: as the worker says
 *
 * What waits is a command in flight (client.commands_in_flight), a question (client.calls), and bytes of the outboxes'
 * budget; commands for its channel wait behind it, so the client's order holds.
 * Failure modes: no worker, none in time, a lost one: nothing has been done, error 100, which is temporary; too many
 * questions: 111. A verdict that allows and cannot be used: error 100, a metric, and the log says which member is
 * wrong.
 */
#include "base/log.h"
#include "base/memory.h"
#include "gateway/session/session_commands.h"

static const char *const names[SESSION_HOOKS] = {
    [SESSION_HOOK_CONNECT] = "connect",         [SESSION_HOOK_REFRESH] = "refresh",
    [SESSION_HOOK_SUBSCRIBE] = "subscribe",     [SESSION_HOOK_PUBLISH] = "publish",
    [SESSION_HOOK_SUB_REFRESH] = "sub_refresh",
};

/* ---- what a session keeps ---- */

struct session_kept *session_keep(session_t *self) {
    if (self->kept == NULL) {
        self->kept = memory_alloc_zero(sizeof *self->kept);
    }
    return self->kept;
}

void session_kept_free(session_t *self) {
    if (self->kept != NULL) {
        payload_unref(&self->kept->meta);
        memory_free(self->kept);
        self->kept = NULL;
    }
}

void session_keep_meta(session_t *self, struct json_value meta) {
    if (meta.type == JSON_OBJECT) {
        struct session_kept *kept = session_keep(self);
        payload_unref(&kept->meta);
        kept->meta = payload_new(meta.text);
    }
}

/* ---- what waits ---- */

/* The spans of a command that are needed when it goes on, in the order in which they are copied. */
static size_t spans_of(enum session_hook hook, struct client_command *command, struct span *ret_spans[3]) {
    switch (hook) {
    case SESSION_HOOK_CONNECT:
        ret_spans[0] = &command->body.connect.subs.text;
        return 1;
    case SESSION_HOOK_SUBSCRIBE:
        ret_spans[0] = &command->body.subscribe.channel;
        ret_spans[1] = &command->body.subscribe.tag_filter.text;
        ret_spans[2] = &command->body.subscribe.delta;
        return 3;
    case SESSION_HOOK_PUBLISH:
        ret_spans[0] = &command->body.publish.channel;
        ret_spans[1] = &command->body.publish.data;
        ret_spans[2] = &command->body.publish.key;
        return 3;
    case SESSION_HOOK_SUB_REFRESH:
        ret_spans[0] = &command->body.sub_refresh.channel;
        return 1;
    case SESSION_HOOK_REFRESH: /* the session itself is all there is */
    case SESSION_HOOKS:
        return 0;
    }
    return 0;
}

/* The rest of it points nowhere any more. */
static void forget_others(enum session_hook hook, struct client_command *command) {
    if (hook == SESSION_HOOK_CONNECT) {
        command->body.connect = (struct client_connect){.subs = command->body.connect.subs};
    } else if (hook == SESSION_HOOK_SUBSCRIBE) {
        command->body.subscribe.token = command->body.subscribe.data = SPAN_EMPTY;
    } else if (hook == SESSION_HOOK_SUB_REFRESH) {
        command->body.sub_refresh.token = SPAN_EMPTY;
    }
}

/* NULL: the budget is used up. */
static struct session_asked *keep_command(session_t *self, enum session_hook hook,
                                          const struct client_command *command) {
    struct client_command copy = *command;
    struct span *spans[3];
    size_t n = spans_of(hook, &copy, spans);
    size_t size = sizeof(struct session_asked);
    for (size_t i = 0; i < n; i++) {
        size += spans[i]->size;
    }
    if (!quota_charge(&self->environment->outbox_budget, size)) {
        return NULL;
    }
    struct session_asked *asked = memory_alloc(size);
    *asked = (struct session_asked){.hook = hook, .size = size};
    uint8_t *at = asked->bytes;
    for (size_t i = 0; i < n; i++) {
        if (spans[i]->size > 0) {
            memcpy(at, spans[i]->data, spans[i]->size);
        }
        *spans[i] = span_of(at, spans[i]->size);
        at += spans[i]->size;
    }
    asked->command = copy;
    forget_others(hook, &asked->command);
    return asked;
}

void session_asked_free(session_t *self, struct session_asked *asked) {
    if (asked != NULL) {
        quota_release(&self->environment->outbox_budget, asked->size);
        memory_free(asked);
    }
}

static struct span channel_of(enum session_hook hook, const struct client_command *command) {
    switch (hook) {
    case SESSION_HOOK_SUBSCRIBE:
        return command->body.subscribe.channel;
    case SESSION_HOOK_PUBLISH:
        return command->body.publish.channel;
    case SESSION_HOOK_SUB_REFRESH:
        return command->body.sub_refresh.channel;
    case SESSION_HOOK_CONNECT:
    case SESSION_HOOK_REFRESH:
    case SESSION_HOOKS:
        return SPAN_EMPTY;
    }
    return SPAN_EMPTY;
}

bool session_waits_for_hook(const session_t *self, struct span channel) {
    list_for_each (link, &self->requests) {
        const struct session_request *request = list_entry(link, struct session_request, link);
        const struct session_asked *asked = request->asked;
        if (asked != NULL && !request->is_own && span_equal(channel_of(asked->hook, &asked->command), channel)) {
            return true;
        }
    }
    return false;
}

uint32_t session_count_asked(const session_t *self, enum session_hook hook) {
    uint32_t n = 0;
    list_for_each (link, &self->requests) {
        const struct session_asked *asked = list_entry(link, struct session_request, link)->asked;
        n += asked != NULL && asked->hook == hook ? 1 : 0;
    }
    return n;
}

/* ---- asking ---- */

static void count(const session_t *self, enum session_hook hook, enum session_verdict_kind verdict) {
    session_count(
        self, (enum session_metric)(SESSION_METRIC_HOOKS + (unsigned) hook * SESSION_VERDICTS + (unsigned) verdict));
}

static void append_meta(const session_t *self, struct span details, struct buffer *out) {
    buffer_append_span(out, details);
    if (self->kept != NULL && self->kept->meta != NULL) {
        buffer_append_text(out, ",\"meta\":");
        buffer_append_span(out, payload_span(self->kept->meta));
    }
}

bool session_hook_ask(session_t *self, enum session_hook hook, const struct client_command *command, struct span data,
                      struct span details,
                      void (*on_done)(struct broker_request *request, const struct broker_answer *answer),
                      enum error_code *ret_error) {
    struct session_asked *asked = keep_command(self, hook, command);
    struct buffer all = BUFFER_EMPTY;
    *ret_error = ERROR_TOO_MANY_REQUESTS;
    if (asked == NULL) {
        return false;
    }
    append_meta(self, details, &all);
    const struct broker_question question = {
        .method = span_of_text(names[hook]), .channel = channel_of(hook, command), .data = data};
    struct session_request *request =
        session_ask_worker(self, command->id, &question, buffer_span(&all), on_done, ret_error);
    buffer_finish(&all);
    if (request == NULL) {
        count(self, hook, SESSION_VERDICT_FAILED);
        session_asked_free(self, asked);
        return false;
    }
    request->asked = asked;
    return true;
}

/* ---- judging ---- */

enum member_type { MEMBER_TEXT, MEMBER_BASE64, MEMBER_BOOL, MEMBER_TIME, MEMBER_OBJECT, MEMBER_TEXTS, MEMBER_OBJECTS };

enum {
    OF_CONNECT = 1 << SESSION_HOOK_CONNECT,
    OF_REFRESH = 1 << SESSION_HOOK_REFRESH,
    OF_SUBSCRIBE = 1 << SESSION_HOOK_SUBSCRIBE,
    OF_PUBLISH = 1 << SESSION_HOOK_PUBLISH,
    OF_SUB_REFRESH = 1 << SESSION_HOOK_SUB_REFRESH,
    USER_MAX = 1024,
};

/* info and data are any JSON, and members that stand nowhere here are not looked at. */
static const struct {
    const char *name;
    enum member_type type;
    unsigned hooks;
    const char *reason;
} members[] = {
    {"user", MEMBER_TEXT, OF_CONNECT, "user must be a text of at most 1024 bytes"},
    {"expire_at", MEMBER_TIME, OF_CONNECT | OF_REFRESH | OF_SUBSCRIBE | OF_SUB_REFRESH,
     "expire_at must be a whole number of seconds since 1970, 0 for never"},
    {"expired", MEMBER_BOOL, OF_REFRESH | OF_SUB_REFRESH, "expired must be true or false"},
    {"skip_history", MEMBER_BOOL, OF_PUBLISH, "skip_history must be true or false"},
    {"b64info", MEMBER_BASE64, OF_CONNECT | OF_REFRESH | OF_SUBSCRIBE | OF_SUB_REFRESH, "b64info must be base64"},
    {"b64data", MEMBER_BASE64, OF_CONNECT | OF_SUBSCRIBE | OF_PUBLISH, "b64data must be base64"},
    {"override", MEMBER_OBJECT, OF_SUBSCRIBE, "override must be an object"},
    {"meta", MEMBER_OBJECT, OF_CONNECT | OF_REFRESH, "meta must be an object"},
    {"tags", MEMBER_OBJECT, OF_PUBLISH, "tags must be an object of texts"},
    {"channels", MEMBER_TEXTS, OF_CONNECT, "channels must be a list of names"},
    {"subs", MEMBER_OBJECTS, OF_CONNECT, "subs must be an object whose members are objects"},
};

static bool is_base64(struct json_value value) {
    struct buffer bytes = BUFFER_EMPTY;
    bool fits = session_decode_base64(value, &bytes);
    buffer_finish(&bytes);
    return fits;
}

static bool is_text(struct json_value value, size_t max) {
    struct buffer text = BUFFER_EMPTY;
    bool fits = json_decode_string(value, &text) && text.size <= max;
    buffer_finish(&text);
    return fits;
}

static bool are_all(struct json_value container, enum json_type type) {
    struct json_iterator iterator = json_iterate(container);
    struct json_value ignored;
    struct json_value value;
    while (json_next(&iterator, &ignored, &value)) {
        if (value.type != type) {
            return false;
        }
    }
    return true;
}

static bool fits(struct json_value value, enum member_type type) {
    bool flag;
    int64_t number = 0;
    switch (type) {
    case MEMBER_TEXT:
        return is_text(value, USER_MAX);
    case MEMBER_BASE64:
        return is_base64(value);
    case MEMBER_BOOL:
        return json_to_bool(value, &flag);
    case MEMBER_TIME:
        return json_to_i64(value, &number) && number >= 0 && number <= INT64_MAX / 2000;
    case MEMBER_OBJECT:
        return value.type == JSON_OBJECT;
    case MEMBER_TEXTS:
        return value.type == JSON_ARRAY && are_all(value, JSON_STRING);
    case MEMBER_OBJECTS:
        return value.type == JSON_OBJECT && are_all(value, JSON_OBJECT);
    }
    return false;
}

/* NULL: it can be used. */
static const char *judge(enum session_hook hook, struct json_value result) {
    if (result.type != JSON_NONE && result.type != JSON_OBJECT) {
        return "result must be an object";
    }
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        struct json_value value = json_member(result, members[i].name);
        if ((members[i].hooks & (1U << hook)) != 0 && value.type != JSON_NONE && !fits(value, members[i].type)) {
            return members[i].reason;
        }
    }
    /* Whoever answers {} by mistake lets nobody in. */
    bool has_no_user = hook == SESSION_HOOK_CONNECT && json_member(result, "user").type == JSON_NONE;
    return has_no_user ? "user is missing; an empty one is somebody anonymous" : NULL;
}

enum error_code session_hook_invalid(const session_t *self, enum session_hook hook, const char *reason) {
    count(self, hook, SESSION_VERDICT_INVALID);
    log_warning(
        "hook_verdict_invalid", log_text("hook", names[hook]), log_text("reason", reason),
        log_span("client", session_client_info(self).client),
        log_text("help", "the worker's result is refused whole; docs/backend-api.md, Hooks, lists the members"));
    return ERROR_INTERNAL;
}

/* Nobody decided, so nothing was done, whatever became of the question. */
static enum error_code failure(enum error_code error) {
    return error == ERROR_OUTCOME_UNKNOWN || error == ERROR_WORKER_LOST ? ERROR_INTERNAL : error;
}

enum error_code session_hook_read(const session_t *self, enum session_hook hook, const struct broker_answer *answer,
                                  struct session_verdict *ret_verdict) {
    enum error_code error = session_read_verdict(answer, ret_verdict);
    if (error != ERROR_NONE) {
        count(self, hook, SESSION_VERDICT_FAILED);
        return failure(error);
    }
    if (ret_verdict->outcome != WIRE_CALL_RESULT) {
        count(self, hook,
              ret_verdict->outcome == WIRE_CALL_DISCONNECT ? SESSION_VERDICT_DISCONNECT : SESSION_VERDICT_ERROR);
        return ERROR_NONE;
    }
    const char *reason = judge(hook, ret_verdict->result);
    if (reason != NULL) {
        return session_hook_invalid(self, hook, reason);
    }
    count(self, hook, SESSION_VERDICT_ALLOWED);
    return ERROR_NONE;
}
