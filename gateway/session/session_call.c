/* Questions to workers (docs/backend-api.md, "Workers"): how one is put, and what its answer means.
 *
 *   command ─▶ session_ask_worker ─▶ brokers ─▶ worker ─▶ session_read_verdict ─▶ result, error or disconnect
 *
 * A command that waits for one counts among client.commands_in_flight, and all of a thread among client.calls.
 * Failure modes: client.calls are open: 111; a name that no worker could register: 107; no worker, none in time, a lost
 * one: what the brokers say. */
#include "base/base64.h"
#include "base/memory.h"
#include "gateway/session/session_commands.h"

enum { METHOD_MAX = 128 };

static void append_details(const session_t *self, struct span details, struct buffer *out) {
    bool is_json = self->codec->encoding != CLIENT_ENCODING_PROTOBUF;
    buffer_append_format(out, "{\"transport\":\"%s\",\"protocol\":\"%s\",\"encoding\":\"%s\"",
                         self->transport->methods->name, is_json ? "json" : "protobuf", is_json ? "json" : "binary");
    buffer_append_span(out, details);
    buffer_append_char(out, '}');
}

struct session_request *
session_ask_worker(session_t *self, uint32_t id, const struct broker_question *question, struct span details,
                   void (*on_done)(struct broker_request *request, const struct broker_answer *answer),
                   enum error_code *ret_error) {
    struct session_environment *environment = self->environment;
    if (question->method.size > METHOD_MAX) {
        *ret_error = ERROR_BAD_REQUEST;
        return NULL;
    }
    if (environment->calls >= environment->config->calls_max) {
        *ret_error = ERROR_TOO_MANY_REQUESTS;
        return NULL;
    }
    struct session_request *request =
        id == 0 ? session_request_new_own(self, on_done) : session_request_new(self, id, on_done);
    struct buffer all = BUFFER_EMPTY;
    struct broker_question asked = *question;
    request->is_call = true;
    environment->calls++;
    append_details(self, details, &all);
    asked.info = self->info == NULL ? SPAN_EMPTY : payload_span(self->info);
    asked.details = buffer_span(&all);
    asked.timeout_ms = (uint32_t) environment->config->call_timeout_ms;
    broker_call(environment->brokers, &request->broker, &asked);
    buffer_finish(&all);
    return request;
}

enum error_code session_read_verdict(const struct broker_answer *answer, struct session_verdict *ret_verdict) {
    const struct json_limits limits = JSON_LIMITS_PAYLOAD;
    if (answer->error != ERROR_NONE) {
        return answer->error == ERROR_NOT_AVAILABLE ? ERROR_INTERNAL : answer->error; /* a worker may come */
    }
    struct cursor cursor = cursor_of(answer->bytes);
    struct session_verdict verdict = {.outcome = (enum wire_call_outcome) answer->n, .code = answer->m};
    verdict.text = cursor_sized(&cursor);
    verdict.payload = cursor_sized(&cursor);
    verdict.result = JSON_ABSENT;
    if (!cursor_is_done(&cursor) || answer->n > WIRE_CALL_ERROR_TEMPORARY) {
        return ERROR_INTERNAL;
    }
    if (verdict.outcome == WIRE_CALL_RESULT && verdict.text.size > 0 &&
        json_scan(verdict.text, &limits, &verdict.result, NULL) != JSON_OK) {
        return ERROR_INTERNAL;
    }
    *ret_verdict = verdict;
    return ERROR_NONE;
}

bool session_take_refusal(session_t *self, uint32_t id, const struct session_verdict *verdict) {
    if (verdict->outcome == WIRE_CALL_DISCONNECT) {
        session_disconnect_with(self, (uint16_t) verdict->code, verdict->text);
        return true;
    }
    if (verdict->outcome == WIRE_CALL_RESULT) {
        return false;
    }
    char *message = memory_strndup(verdict->text.data, verdict->text.size);
    const struct error_description error = {.code = (enum error_code) verdict->code,
                                            .reason = "worker",
                                            .message = message,
                                            .temporary = verdict->outcome == WIRE_CALL_ERROR_TEMPORARY,
                                            .definite = true};
    self->codec->encode_error(session_begin_reply(self), id, &error);
    session_end_reply(self);
    if (self->raw != NULL) {
        session_raw_failed(self, error.temporary ? ERROR_INTERNAL : ERROR_PERMISSION_DENIED);
    }
    memory_free(message);
    return true;
}

/* Any bytes to who takes them; JSON, or a string of base64, to who does not. */
static void append_bytes(const session_t *self, struct span bytes, struct buffer *out) {
    if (self->codec->encoding == CLIENT_ENCODING_PROTOBUF) {
        buffer_append_span(out, bytes);
    } else {
        session_append_claim(out, JSON_ABSENT, bytes);
    }
}

bool session_decode_base64(struct json_value text, struct buffer *out) {
    struct buffer encoded = BUFFER_EMPTY;
    bool is_base64 = json_decode_string(text, &encoded) && base64_decode(out, buffer_span(&encoded));
    buffer_finish(&encoded);
    return is_base64;
}

void session_append_verdict_data(const session_t *self, const struct session_verdict *verdict, struct buffer *out) {
    struct buffer binary = BUFFER_EMPTY;
    if (verdict->payload.size > 0) {
        append_bytes(self, verdict->payload, out);
    } else if (session_decode_base64(json_member(verdict->result, "b64data"), &binary)) {
        append_bytes(self, buffer_span(&binary), out);
    } else {
        buffer_append_span(out, json_member(verdict->result, "data").text);
    }
    buffer_finish(&binary);
}
