/* See backend_request.h. Params from the outside in: the JSON, then each parameter by the table at the bottom; the
 * first mistake ends it with a sentence for whoever wrote the request. */
#include "broker/backend/backend_request.h"

#include "base/channel_name.h"
#include "base/token.h"
#include "base/wire.h"

struct params_reader {
    struct buffer *text;
    struct buffer *tags;
    struct backend_params *params;
    struct backend_refusal *refusal;
};

/* The decoded text of a string value. `text` was reserved for all of params, so earlier spans into it stay where they
 * are. */
static bool read_text(struct params_reader *reader, const char *name, struct json_value value, size_t size_max,
                      struct span *ret_text) {
    size_t start = reader->text->size;
    if (value.type != JSON_STRING || !json_decode_string(value, reader->text)) {
        backend_refuse(reader->refusal, ERROR_BAD_REQUEST, "params.%s must be a string without \\u0000", name);
        return false;
    }
    *ret_text = span_of(reader->text->data + start, reader->text->size - start);
    if (ret_text->size > size_max) {
        backend_refuse(reader->refusal, ERROR_BAD_REQUEST, "params.%s has %zu bytes, at most %zu are allowed", name,
                       ret_text->size, size_max);
        return false;
    }
    return true;
}

static bool check_name(const char *what, struct span name, struct backend_refusal *refusal) {
    switch (channel_name_check(name)) {
    case CHANNEL_NAME_OK:
        return true;
    case CHANNEL_NAME_EMPTY:
        backend_refuse(refusal, ERROR_BAD_REQUEST, "the %s is empty", what);
        return false;
    case CHANNEL_NAME_TOO_LONG:
        backend_refuse(refusal, ERROR_BAD_REQUEST, "the %s has %zu bytes, at most %d are allowed", what, name.size,
                       CHANNEL_NAME_MAX);
        return false;
    case CHANNEL_NAME_BAD_BYTE:
        backend_refuse(refusal, ERROR_BAD_REQUEST,
                       "the %s has a byte that is not allowed: names are 0x21 to 0x7E without {}*?[]\\\"'`", what);
        return false;
    }
    return false;
}

static bool check_channel(struct span channel, struct backend_refusal *refusal) {
    return check_name("channel", channel, refusal);
}

static bool read_channel(struct params_reader *reader, const char *name, struct json_value value) {
    return read_text(reader, name, value, SIZE_MAX, &reader->params->channel) &&
           check_channel(reader->params->channel, reader->refusal);
}

static bool read_channels(struct params_reader *reader, const char *name, struct json_value value) {
    if (value.type != JSON_ARRAY) {
        backend_refuse(reader->refusal, ERROR_BAD_REQUEST, "params.%s must be a list of strings", name);
        return false;
    }
    reader->params->channels = value;
    return true;
}

static bool read_key(struct params_reader *reader, const char *name, struct json_value value) {
    return read_text(reader, name, value, BACKEND_KEY_MAX, &reader->params->key);
}

static bool read_tags(struct params_reader *reader, const char *name, struct json_value value) {
    struct json_iterator members = json_iterate(value);
    struct json_value key;
    struct json_value text;
    if (value.type != JSON_OBJECT) {
        backend_refuse(reader->refusal, ERROR_BAD_REQUEST, "params.%s must be an object of strings", name);
        return false;
    }
    for (unsigned n = 0; json_next(&members, &key, &text); n++) {
        struct wire_tag tag;
        if (n == BACKEND_TAGS_MAX) {
            backend_refuse(reader->refusal, ERROR_BAD_REQUEST, "params.%s has more than %d members", name,
                           BACKEND_TAGS_MAX);
            return false;
        }
        if (!read_text(reader, "tags", key, BACKEND_KEY_MAX, &tag.key) ||
            !read_text(reader, "tags", text, 1024, &tag.value)) {
            return false;
        }
        wire_append_tag(reader->tags, &tag);
    }
    reader->params->tags = buffer_span(reader->tags);
    return true;
}

static bool read_bool(struct params_reader *reader, const char *name, struct json_value value, bool *ret_value) {
    if (!json_to_bool(value, ret_value)) {
        backend_refuse(reader->refusal, ERROR_BAD_REQUEST, "params.%s must be true or false", name);
        return false;
    }
    return true;
}

static bool read_delta(struct params_reader *reader, const char *name, struct json_value value) {
    return read_bool(reader, name, value, &reader->params->delta);
}

static bool read_skip_history(struct params_reader *reader, const char *name, struct json_value value) {
    return read_bool(reader, name, value, &reader->params->skip_history);
}

static bool read_reverse(struct params_reader *reader, const char *name, struct json_value value) {
    return read_bool(reader, name, value, &reader->params->reverse);
}

static bool read_limit(struct params_reader *reader, const char *name, struct json_value value) {
    uint64_t limit;
    if (!json_to_u64(value, &limit) || limit > BACKEND_HISTORY_LIMIT_MAX) {
        backend_refuse(reader->refusal, ERROR_BAD_REQUEST, "params.%s must be a whole number from 0 to %d", name,
                       BACKEND_HISTORY_LIMIT_MAX);
        return false;
    }
    reader->params->limit = (uint32_t) limit;
    reader->params->has_limit = true;
    return true;
}

static bool read_cursor(struct params_reader *reader, const char *name, struct json_value value) {
    struct span text;
    if (!read_text(reader, name, value, BACKEND_KEY_MAX, &text)) {
        return false;
    }
    if (!span_parse_u64(text, &reader->params->cursor) || reader->params->cursor == 0) {
        backend_refuse(reader->refusal, ERROR_BAD_REQUEST,
                       "params.%s must be the cursor of an answer to the same question; leave it out to begin", name);
        return false;
    }
    return true;
}

static bool read_version(struct params_reader *reader, const char *name, struct json_value value) {
    if (!json_to_u64(value, &reader->params->version) || reader->params->version > OFFSET_MAX) {
        backend_refuse(reader->refusal, ERROR_BAD_REQUEST, "params.%s must be a whole number below 2^53; 0 is none",
                       name);
        return false;
    }
    return true;
}

static bool read_version_epoch(struct params_reader *reader, const char *name, struct json_value value) {
    return read_text(reader, name, value, WIRE_VERSION_EPOCH_MAX, &reader->params->version_epoch);
}

static bool read_since(struct params_reader *reader, const char *name, struct json_value value) {
    uint64_t offset = 0;
    struct span epoch = SPAN_EMPTY;
    struct json_value epoch_value = json_member(value, "epoch");
    if (value.type != JSON_OBJECT || !json_to_u64(json_member(value, "offset"), &offset) || offset > OFFSET_MAX) {
        backend_refuse(reader->refusal, ERROR_BAD_REQUEST, "params.%s must be {\"offset\": number, \"epoch\": text}",
                       name);
        return false;
    }
    if (epoch_value.type != JSON_NONE && !read_text(reader, "since.epoch", epoch_value, BACKEND_KEY_MAX, &epoch)) {
        return false;
    }
    reader->params->has_since = true;
    reader->params->since = (struct position){.epoch = epoch_from(epoch), .offset = offset};
    return true;
}

/* ---- of methods for sessions; what goes to the gateways as it is, is only judged ---- */

static bool refuse_type(const struct params_reader *reader, const char *name, const char *what) {
    backend_refuse(reader->refusal, ERROR_BAD_REQUEST, "params.%s must be %s", name, what);
    return false;
}

static bool read_user(struct params_reader *reader, const char *name, struct json_value value) {
    return read_text(reader, name, value, BACKEND_USER_MAX, &reader->params->user) &&
           (reader->params->user.size > 0 ||
            refuse_type(reader, name, "a user's id; who has none is named by client where the method takes it"));
}

static bool read_client(struct params_reader *reader, const char *name, struct json_value value) {
    return read_text(reader, name, value, BACKEND_USER_MAX, &reader->params->client);
}

/* The empty one stands for all. */
static bool read_any_channel(struct params_reader *reader, const char *name, struct json_value value) {
    struct span text;
    return (json_plain_string(value, &text) && text.size == 0) || read_channel(reader, name, value);
}

/* Codes below 3000 are the transport's, those from 5000 on nobody's. */
static bool read_code(struct params_reader *reader, const char *name, struct json_value value) {
    uint64_t code = 0;
    if (!json_to_u64(value, &code) || code < 3000 || code > 4999) {
        return refuse_type(reader, name, "a whole number from 3000 to 4999");
    }
    reader->params->code = (uint16_t) code;
    return true;
}

static bool read_reason(struct params_reader *reader, const char *name, struct json_value value) {
    return read_text(reader, name, value, BACKEND_REASON_MAX, &reader->params->reason);
}

static bool read_whitelist(struct params_reader *reader, const char *name, struct json_value value) {
    struct json_iterator iterator = json_iterate(value);
    struct json_value member;
    struct json_value client;
    struct span text;
    if (value.type != JSON_ARRAY) {
        return refuse_type(reader, name, "a list of client ids");
    }
    while (json_next(&iterator, &member, &client)) {
        if (!json_plain_string(client, &text)) {
            return refuse_type(reader, name, "a list of client ids");
        }
    }
    return true;
}

static bool read_expired(struct params_reader *reader, const char *name, struct json_value value) {
    return read_bool(reader, name, value, &reader->params->is_expired);
}

static bool read_expire_at(struct params_reader *reader, const char *name, struct json_value value) {
    uint64_t at_s = 0;
    if (!json_to_u64(value, &at_s) || at_s > OFFSET_MAX) {
        return refuse_type(reader, name, "a whole number: seconds since 1970; 0: never");
    }
    reader->params->has_expiry = true;
    return true;
}

static bool read_info(struct params_reader *reader, const char *name, struct json_value value) {
    (void) name;
    (void) value;
    reader->params->has_info = true;
    return true;
}

static bool read_data(struct params_reader *reader, const char *name, struct json_value value) {
    (void) reader;
    (void) name;
    (void) value;
    return true;
}

static bool read_base64(struct params_reader *reader, const char *name, struct json_value value) {
    struct span plain;
    struct buffer bytes = BUFFER_EMPTY;
    bool is_base64 = json_plain_string(value, &plain) && base64_decode(&bytes, plain);
    buffer_finish(&bytes);
    return is_base64 || refuse_type(reader, name, "a string of base64 with its padding (RFC 4648, section 4)");
}

static bool read_info_base64(struct params_reader *reader, const char *name, struct json_value value) {
    reader->params->has_info = true;
    return read_base64(reader, name, value);
}

static bool read_override(struct params_reader *reader, const char *name, struct json_value value) {
    return value.type == JSON_OBJECT || refuse_type(reader, name, "an object of options");
}

static bool read_pattern(struct params_reader *reader, const char *name, struct json_value value) {
    if (!read_text(reader, name, value, CHANNEL_NAME_MAX, &reader->params->pattern)) {
        return false;
    }
    for (size_t i = 0; i < reader->params->pattern.size; i++) {
        if (strchr("{}?[]\\", reader->params->pattern.data[i]) != NULL) {
            return refuse_type(reader, name, "a channel's name in which * stands for anything");
        }
    }
    return true;
}

/* The name that the page before ended with. */
static bool read_name_cursor(struct params_reader *reader, const char *name, struct json_value value) {
    return read_text(reader, name, value, CHANNEL_NAME_MAX, &reader->params->name_cursor);
}

static bool read_namespace(struct params_reader *reader, const char *name, struct json_value value) {
    return read_text(reader, name, value, NAMESPACE_NAME_MAX, &reader->params->personal_namespace) &&
           (namespace_name_is_valid(reader->params->personal_namespace) ||
            refuse_type(reader, name, "a namespace's name"));
}

static bool read_ack(struct params_reader *reader, const char *name, struct json_value value) {
    struct span text;
    if (!json_plain_string(value, &text) || !span_equal_text(text, "none")) {
        return refuse_type(reader, name, "\"none\", for no answer; else leave it out");
    }
    reader->params->wants_no_answer = true;
    return true;
}

static bool read_requests(struct params_reader *reader, const char *name, struct json_value value) {
    reader->params->requests = value;
    return value.type == JSON_ARRAY || refuse_type(reader, name, "a list of requests");
}

/* ---- of leases and values ---- */

static bool read_name(struct params_reader *reader, const char *name, struct json_value value) {
    return read_text(reader, name, value, SIZE_MAX, &reader->params->name) &&
           check_name(name, reader->params->name, reader->refusal);
}

static bool read_milliseconds(struct params_reader *reader, const char *name, struct json_value value,
                              uint64_t *ret_ms) {
    return (json_to_u64(value, ret_ms) && *ret_ms <= OFFSET_MAX) ||
           refuse_type(reader, name, "a whole number of milliseconds");
}

static bool read_ttl(struct params_reader *reader, const char *name, struct json_value value) {
    return read_milliseconds(reader, name, value, &reader->params->ttl_ms) &&
           (reader->params->ttl_ms > 0 || refuse_type(reader, name, "at least 1 (milliseconds)"));
}

static bool read_wait(struct params_reader *reader, const char *name, struct json_value value) {
    return read_milliseconds(reader, name, value, &reader->params->wait_ms);
}

static bool read_token(struct params_reader *reader, const char *name, struct json_value value) {
    uint64_t token = 0;
    if (!json_to_u64(value, &token) || token == 0 || token > OFFSET_MAX) {
        return refuse_type(reader, name, "the token that lease.acquire answered");
    }
    reader->params->token = token;
    return true;
}

static bool read_by(struct params_reader *reader, const char *name, struct json_value value) {
    int64_t by = 0;
    if (!json_to_i64(value, &by) || by > (int64_t) OFFSET_MAX || by < -(int64_t) OFFSET_MAX) {
        return refuse_type(reader, name, "a whole number below 2^53");
    }
    reader->params->by = by;
    reader->params->has_by = true;
    return true;
}

static const struct {
    const char *name;
    unsigned param;
    bool (*read)(struct params_reader *reader, const char *name, struct json_value value);
} param_table[] = {
    {"channel", BACKEND_PARAM_CHANNEL, read_channel},
    {"channels", BACKEND_PARAM_CHANNELS, read_channels},
    {"idempotency_key", BACKEND_PARAM_KEY, read_key},
    {"tags", BACKEND_PARAM_TAGS, read_tags},
    {"skip_history", BACKEND_PARAM_SKIP_HISTORY, read_skip_history},
    {"delta", BACKEND_PARAM_DELTA, read_delta},
    {"since", BACKEND_PARAM_SINCE, read_since},
    {"limit", BACKEND_PARAM_LIMIT, read_limit},
    {"reverse", BACKEND_PARAM_REVERSE, read_reverse},
    {"cursor", BACKEND_PARAM_CURSOR, read_cursor},
    {"version", BACKEND_PARAM_VERSION, read_version},
    {"version_epoch", BACKEND_PARAM_VERSION_EPOCH, read_version_epoch},
    {"ack", BACKEND_PARAM_ACK, read_ack},
    {"requests", BACKEND_PARAM_REQUESTS, read_requests},
    {"user", BACKEND_PARAM_USER, read_user},
    {"client", BACKEND_PARAM_CLIENT, read_client},
    {"channel", BACKEND_PARAM_ANY_CHANNEL, read_any_channel},
    {"namespace", BACKEND_PARAM_NAMESPACE, read_namespace},
    {"code", BACKEND_PARAM_CLOSE, read_code},
    {"reason", BACKEND_PARAM_CLOSE, read_reason},
    {"whitelist", BACKEND_PARAM_CLOSE, read_whitelist},
    {"expired", BACKEND_PARAM_EXPIRY, read_expired},
    {"expire_at", BACKEND_PARAM_EXPIRY, read_expire_at},
    {"info", BACKEND_PARAM_INFO, read_info},
    {"b64info", BACKEND_PARAM_INFO, read_info_base64},
    {"data", BACKEND_PARAM_GRANT, read_data},
    {"b64data", BACKEND_PARAM_GRANT, read_base64},
    {"override", BACKEND_PARAM_GRANT, read_override},
    {"recover_since", BACKEND_PARAM_GRANT, read_since},
    {"pattern", BACKEND_PARAM_PATTERN, read_pattern},
    {"cursor", BACKEND_PARAM_NAME_CURSOR, read_name_cursor},
    {"name", BACKEND_PARAM_NAME, read_name},
    {"key", BACKEND_PARAM_VALUE_KEY, read_name},
    {"ttl", BACKEND_PARAM_TTL, read_ttl},
    {"wait", BACKEND_PARAM_WAIT, read_wait},
    {"token", BACKEND_PARAM_TOKEN, read_token},
    {"by", BACKEND_PARAM_BY, read_by},
};
enum { N_PARAMS = sizeof param_table / sizeof param_table[0] };

/* The row of this name among the allowed ones; -1 without. */
static int find_param(struct json_value name, unsigned allowed) {
    for (int i = 0; i < N_PARAMS; i++) {
        if ((param_table[i].param & allowed) != 0 && json_name_is(name, param_table[i].name)) {
            return i;
        }
    }
    return -1;
}

bool backend_params_scan(struct span params, struct json_value *ret_object, struct backend_refusal *ret_refusal) {
    struct json_limits limits = {.depth = 16, .tokens = 65536, .names = 128};
    struct json_error error;
    if (params.size == 0) {
        *ret_object = (struct json_value){JSON_OBJECT, SPAN_LITERAL("{}")};
        return true;
    }
    if (json_scan(params, &limits, ret_object, &error) != JSON_OK) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params is not JSON: %s at byte %zu",
                       json_outcome_text(error.outcome), error.offset);
        return false;
    }
    if (ret_object->type != JSON_OBJECT) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params must be a JSON object");
        return false;
    }
    return true;
}

static bool check_required(unsigned required, unsigned seen, struct backend_refusal *refusal) {
    for (int i = 0; i < N_PARAMS; i++) {
        if ((param_table[i].param & required & ~seen) != 0) {
            backend_refuse(refusal, ERROR_BAD_REQUEST, "params.%s is missing", param_table[i].name);
            return false;
        }
    }
    return true;
}

bool backend_params_read(struct json_value object, unsigned allowed, unsigned required, struct buffer *text,
                         struct buffer *tags, struct backend_params *ret_params, struct backend_refusal *ret_refusal) {
    struct params_reader reader = {text, tags, ret_params, ret_refusal};
    *ret_params = (struct backend_params){.limit = BACKEND_HISTORY_LIMIT_DEFAULT};
    buffer_clear(text);
    buffer_clear(tags);
    if (!buffer_reserve(text, object.text.size)) {
        backend_refuse(ret_refusal, ERROR_TOO_LARGE, "no memory for params of %zu bytes", object.text.size);
        return false;
    }
    struct json_iterator members = json_iterate(object);
    struct json_value name;
    struct json_value value;
    uint64_t rows = 0; /* that stood already */
    unsigned seen = 0;
    while (json_next(&members, &name, &value)) {
        int row = find_param(name, allowed);
        if (row < 0) {
            backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params.%.*s is not known to this method",
                           (int) name.text.size - 2, (const char *) name.text.data + 1);
            return false;
        }
        if ((rows & (uint64_t) 1 << row) != 0) {
            backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params.%s stands twice", param_table[row].name);
            return false;
        }
        rows |= (uint64_t) 1 << row;
        seen |= param_table[row].param;
        if (value.type != JSON_NULL && !param_table[row].read(&reader, param_table[row].name, value)) {
            return false;
        }
        if (value.type == JSON_NULL) {
            seen &= ~param_table[row].param; /* null is as good as absent */
        }
    }
    return check_required(required, seen, ret_refusal);
}

bool backend_channel_read(struct json_value value, struct buffer *text, struct span *ret_channel,
                          struct backend_refusal *ret_refusal) {
    buffer_clear(text);
    if (value.type != JSON_STRING || !json_decode_string(value, text)) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params.channels must be a list of strings");
        return false;
    }
    *ret_channel = buffer_span(text);
    return check_channel(*ret_channel, ret_refusal);
}
