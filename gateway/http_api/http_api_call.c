/* The life of a call. Commands of a batch begin one after another, each when the one before it is done, unless it says
 * parallel; so a later one sees what an earlier one did.
 *
 * Failure modes: a body that is no JSON 107; a command that is not allowed 103, over its key's rate 111, malformed 107:
 * its own error, the others go on. At http_api.timeout what is open ends with 120 where it may have happened and with
 * 100 where not, and what has not begun with 100. An answer over http_api.answer_max: error 124 for what does not fit.
 */
#include "gateway/http_api/http_api_call.h"

#include "base/clock.h"
#include "base/memory.h"
#include "gateway/http_api/http_api_call_parts.h"
#include "gateway/http_api/http_api_error.h"

#include <stdio.h>

enum { PAYLOAD_DEPTH = 68 /* the payload's 64 inside commands, their array and their objects */ };

static void count_error(const http_api_call_t *self, enum error_code code) {
    for (unsigned i = 0; i < error_descriptions_count; i++) {
        if (error_descriptions[i].code == code) {
            metric_count(self->service->metrics, HTTP_API_METRIC_ERROR_INTERNAL + i);
        }
    }
}

/* ---- commands ---- */

static void count_seconds(const http_api_call_t *self, const struct http_api_method *method, uint64_t started_us) {
    metric_observe_us(self->service->metrics,
                      HTTP_API_METRIC_SECONDS_PUBLISH + (method->metric - HTTP_API_METRIC_COMMANDS_PUBLISH),
                      clock_monotonic_us() - started_us);
}

static void command_done(struct http_api_command *command) {
    if (command->started_us != 0) {
        count_seconds(command->call, command->method, command->started_us);
    }
    command->call->n_done++;
}

static void refuse_command(struct http_api_command *command, const struct http_api_refusal *refusal) {
    command->error = refusal->code;
    command->message = memory_strdup(refusal->message);
    count_error(command->call, refusal->code);
    command_done(command);
}

static bool may_start(struct http_api_command *command, struct http_api_refusal *refusal) {
    http_api_call_t *self = command->call;
    if (command->method == NULL || (self->is_batch && command->method == self->method)) {
        http_api_refuse(refusal, ERROR_METHOD_NOT_FOUND,
                        "a command of a batch is an object with one member, named as its method: {\"publish\":{…}}");
        return false;
    }
    metric_count(self->service->metrics, command->method->metric);
    command->started_us = clock_monotonic_us();
    if (!http_api_key_allows_method(self->key, command->method->name)) {
        http_api_refuse(refusal, ERROR_PERMISSION_DENIED,
                        "the key \"%s\" is not for %s; http_api.keys names its methods", http_api_key_name(self->key),
                        command->method->name);
        return false;
    }
    return true;
}

static void start_command(struct http_api_command *command) {
    http_api_call_t *self = command->call;
    struct http_api_refusal refusal;
    struct http_api_params params;
    if (!may_start(command, &refusal) ||
        !http_api_params_read(command->params, command->method->params, &self->text, &self->tags, &params, &refusal) ||
        !command->method->start(command, &params, &refusal)) {
        refuse_command(command, &refusal);
    } else if (command->n_open == 0) {
        command_done(command); /* answered on the spot */
    }
}

static void finish(http_api_call_t *self) {
    self->is_done = true;
    timer_wheel_cancel(self->service->wheel, &self->deadline);
    metric_observe_us(self->service->metrics, HTTP_API_METRIC_SECONDS, clock_monotonic_us() - self->started_us);
    if (self->is_batch) {
        count_seconds(self, self->method, self->started_us);
    }
    self->on_done(self->context);
}

/* The call may be gone behind it. */
static void go_on(http_api_call_t *self) {
    while (self->n_begun < self->n_commands && (self->is_parallel || self->n_done == self->n_begun)) {
        start_command(&self->commands[self->n_begun++]);
    }
    if (self->n_done == self->n_commands && !self->is_done) {
        finish(self);
    }
}

/* ---- parts ---- */

static void part_done(struct http_api_part *part, enum error_code error) {
    struct http_api_command *command = part->command;
    part->is_open = false;
    part->error = error;
    command->n_open--;
    if (error != ERROR_NONE) {
        count_error(command->call, error);
    }
}

static enum error_code keep_result(struct http_api_part *part, const struct broker_answer *answer) {
    struct http_api_command *command = part->command;
    http_api_call_t *self = command->call;
    if (answer->error != ERROR_NONE) {
        return answer->error;
    }
    if (!epoch_is_empty(&command->since_epoch) && !epoch_equal(&command->since_epoch, &answer->position.epoch)) {
        return ERROR_UNRECOVERABLE_POSITION;
    }
    buffer_init(&part->result, (size_t) self->service->config->http_api_answer_max);
    command->method->append(command, answer, &part->result);
    if (part->result.overflow || !quota_charge(&self->results, part->result.size)) {
        buffer_finish(&part->result);
        return ERROR_TOO_LARGE;
    }
    return ERROR_NONE;
}

static void explain_unknown(struct http_api_part *part) {
    struct http_api_command *command = part->command;
    if (part->error == ERROR_OUTCOME_UNKNOWN && command->method->help_unknown != NULL) {
        command->message = memory_strdup(command->method->help_unknown);
    }
}

static void on_part_done(struct broker_request *request, const struct broker_answer *answer) {
    struct http_api_part *part = list_entry(request, struct http_api_part, request);
    struct http_api_command *command = part->command;
    part_done(part, keep_result(part, answer));
    explain_unknown(part);
    if (command->n_open == 0) {
        command_done(command);
        go_on(command->call);
    }
}

bool http_api_command_make_parts(struct http_api_command *command, uint32_t n, struct http_api_refusal *ret_refusal) {
    http_api_call_t *self = command->call;
    if (n > (uint64_t) self->service->config->http_api_parts_max - self->n_parts) {
        http_api_refuse(ret_refusal, ERROR_LIMIT_EXCEEDED,
                        "a request has more than %lld channels and commands (http_api.parts_max); make several of it",
                        (long long) self->service->config->http_api_parts_max);
        return false;
    }
    if (!http_api_key_take(self->key, n, clock_monotonic_us())) {
        http_api_refuse(ret_refusal, ERROR_TOO_MANY_REQUESTS,
                        "the key \"%s\" is over its rate (http_api.keys: rate); nothing was done, try again later",
                        http_api_key_name(self->key));
        return false;
    }
    self->n_parts += n;
    command->parts = memory_alloc_array(n, sizeof command->parts[0]);
    command->n_parts = n;
    command->n_open = n;
    for (uint32_t i = 0; i < n; i++) {
        command->parts[i] =
            (struct http_api_part){.request = {.on_done = on_part_done}, .command = command, .is_open = true};
    }
    return true;
}

void http_api_part_refuse(struct http_api_part *part, const struct http_api_refusal *refusal) {
    part->message = memory_strdup(refusal->message);
    part_done(part, refusal->code);
}

void http_api_part_answer(struct http_api_part *part, const struct broker_answer *answer) {
    part_done(part, keep_result(part, answer));
}

/* ---- the deadline ---- */

static void cut_off_command(struct http_api_command *command) {
    if (command->n_open == 0) {
        return;
    }
    for (uint32_t i = 0; i < command->n_parts; i++) {
        if (command->parts[i].is_open) {
            part_done(&command->parts[i],
                      broker_request_give_up(command->call->service->brokers, &command->parts[i].request));
            explain_unknown(&command->parts[i]);
        }
    }
    command_done(command);
}

static void on_deadline(struct timer_entry *entry) {
    http_api_call_t *self = list_entry(entry, struct http_api_call, deadline);
    struct http_api_refusal late;
    metric_count(self->service->metrics, HTTP_API_METRIC_TIMEOUTS);
    for (uint32_t i = 0; i < self->n_begun; i++) {
        cut_off_command(&self->commands[i]);
    }
    http_api_refuse(&late, ERROR_INTERNAL, "not begun in http_api.timeout; nothing was done, try again");
    while (self->n_begun < self->n_commands) {
        refuse_command(&self->commands[self->n_begun++], &late);
    }
    finish(self);
}

/* ---- the body ---- */

static void make_commands(http_api_call_t *self, uint32_t n) {
    self->n_commands = n;
    self->commands = memory_alloc_array(n, sizeof self->commands[0]);
    for (uint32_t i = 0; i < n; i++) {
        self->commands[i] = (struct http_api_command){.call = self};
    }
}

static void refuse_call(http_api_call_t *self, const struct http_api_refusal *refusal) {
    make_commands(self, 1);
    self->is_batch = false;
    self->n_begun = 1;
    refuse_command(&self->commands[0], refusal);
}

/* {"publish":{…}}: one member. */
static void read_command(struct http_api_command *command, struct json_value value) {
    struct json_iterator members = json_iterate(value);
    struct json_value name;
    struct json_value second;
    struct span text;
    if (value.type == JSON_OBJECT && json_next(&members, &name, &command->params) && json_plain_string(name, &text) &&
        !json_next(&members, &second, &second)) {
        command->method = http_api_method_find(text);
    }
}

static uint32_t count_elements(struct json_value array, uint32_t most) {
    struct json_iterator iterator = json_iterate(array);
    struct json_value name;
    struct json_value element;
    uint32_t n = 0;
    while (n <= most && json_next(&iterator, &name, &element)) {
        n++;
    }
    return n;
}

static void read_batch(http_api_call_t *self, struct json_value body) {
    struct http_api_refusal refusal;
    uint32_t most = (uint32_t) self->service->config->http_api_parts_max;
    struct json_value commands = json_member(body, "commands");
    uint32_t n = commands.type == JSON_ARRAY ? count_elements(commands, most) : 0;
    json_to_bool(json_member(body, "parallel"), &self->is_parallel);
    if (n == 0 || n > most) {
        http_api_refuse(&refusal, n == 0 ? ERROR_BAD_REQUEST : ERROR_LIMIT_EXCEEDED,
                        "commands must be an array of 1 to %u commands (http_api.parts_max)", most);
        refuse_call(self, &refusal);
        return;
    }
    make_commands(self, n);
    struct json_iterator iterator = json_iterate(commands);
    struct json_value name;
    struct json_value element;
    for (uint32_t i = 0; i < n && json_next(&iterator, &name, &element); i++) {
        read_command(&self->commands[i], element);
    }
}

static bool scan_body(struct span body, struct json_value *ret_value, struct http_api_refusal *refusal) {
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_error error;
    limits.depth = PAYLOAD_DEPTH;
    if (json_scan(body, &limits, ret_value, &error) != JSON_OK) {
        http_api_refuse(refusal, ERROR_BAD_REQUEST, "the body is not JSON: %s at byte %zu",
                        json_outcome_text(error.outcome), error.offset);
        return false;
    }
    return true;
}

void http_api_call_start(http_api_call_t *self, struct span body, void (*on_done)(void *context), void *context) {
    struct http_api_refusal refusal;
    struct json_value value;
    self->on_done = on_done;
    self->context = context;
    if (!scan_body(body, &value, &refusal)) {
        self->is_malformed = true;
        refuse_call(self, &refusal);
    } else if (self->is_batch) {
        metric_count(self->service->metrics, self->method->metric);
        read_batch(self, value);
    } else {
        make_commands(self, 1);
        self->commands[0].method = self->method;
        self->commands[0].params = value;
    }
    timer_wheel_set(self->service->wheel, &self->deadline,
                    clock_monotonic_ms() + (uint64_t) self->service->config->http_api_timeout_ms);
    go_on(self);
}

/* ---- the answer ---- */

static void append_part(struct buffer *out, const struct http_api_part *part) {
    if (part->error == ERROR_NONE) {
        buffer_append_text(out, "{\"result\":");
        buffer_append_span(out, buffer_span(&part->result));
    } else {
        buffer_append_text(out, "{\"error\":");
        http_api_append_error(out, part->error, part->message);
    }
    buffer_append_char(out, '}');
}

static void append_result(struct buffer *out, const struct http_api_command *command) {
    if (!command->method->is_list) {
        buffer_append_span(out, buffer_span(&command->parts[0].result));
        return;
    }
    buffer_append_text(out, "{\"responses\":[");
    for (uint32_t i = 0; i < command->n_parts; i++) {
        buffer_append_text(out, i == 0 ? "" : ",");
        append_part(out, &command->parts[i]);
    }
    buffer_append_text(out, "]}");
}

static enum error_code error_of(const struct http_api_command *command) {
    if (command->error != ERROR_NONE || command->method->is_list) {
        return command->error;
    }
    return command->parts[0].error;
}

/* `result`: the name that a success goes by, "result" or the method's own in a batch. */
static void append_command(struct buffer *out, const struct http_api_command *command, const char *result) {
    enum error_code error = error_of(command);
    buffer_append_format(out, "{\"%s\":", error == ERROR_NONE ? result : "error");
    if (error == ERROR_NONE) {
        append_result(out, command);
    } else {
        http_api_append_error(out, error, command->message);
    }
    buffer_append_char(out, '}');
}

unsigned http_api_call_answer(const http_api_call_t *self, bool transport_errors, struct buffer *out) {
    if (!self->is_batch) {
        const struct http_api_command *command = &self->commands[0];
        enum error_code error = error_of(command);
        if (transport_errors && error != ERROR_NONE) {
            return http_api_append_error(out, error, command->message);
        }
        append_command(out, command, "result");
        return self->is_malformed ? 400 : 200;
    }
    buffer_append_text(out, "{\"replies\":[");
    for (uint32_t i = 0; i < self->n_commands; i++) {
        const struct http_api_command *command = &self->commands[i];
        buffer_append_text(out, i == 0 ? "" : ",");
        append_command(out, command, command->method == NULL ? "error" : command->method->name);
    }
    buffer_append_text(out, "]}");
    return 200;
}

/* ---- life ---- */

http_api_call_t *http_api_call_new(const struct http_api_service *service, http_api_key_t **key_p,
                                   const struct http_api_method *method) {
    http_api_call_t *self = memory_alloc_zero(sizeof *self);
    self->service = service;
    self->key = *key_p;
    *key_p = NULL;
    self->method = method;
    self->is_batch = method->start == NULL;
    self->started_us = clock_monotonic_us();
    buffer_init(&self->text, (size_t) service->config->http_api_body_max);
    buffer_init(&self->tags, (size_t) service->config->http_api_body_max);
    quota_init(&self->results, (size_t) service->config->http_api_answer_max, NULL);
    timer_entry_init(&self->deadline, on_deadline);
    return self;
}

static void finish_command(struct http_api_command *command) {
    for (uint32_t i = 0; i < command->n_parts; i++) {
        if (command->parts[i].is_open) {
            broker_request_cancel(command->call->service->brokers, &command->parts[i].request);
        }
        memory_free(command->parts[i].message);
        buffer_finish(&command->parts[i].result);
    }
    memory_free(command->parts);
    buffer_finish(&command->line);
    memory_free(command->message);
}

void http_api_call_destroy(http_api_call_t **self_p) {
    http_api_call_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    timer_wheel_cancel(self->service->wheel, &self->deadline);
    for (uint32_t i = 0; i < self->n_commands; i++) {
        finish_command(&self->commands[i]);
    }
    memory_free(self->commands);
    buffer_finish(&self->text);
    buffer_finish(&self->tags);
    http_api_key_release(&self->key);
    memory_free(self);
}
