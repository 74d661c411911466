/* See http_api_params.h. Failure modes: 107 for what is missing or of the wrong type, with the parameter's name. */
#include "gateway/http_api/http_api_params.h"

#include "base/base64.h"
#include "base/channel_name.h"
#include "base/wire.h"

#include <stdarg.h>
#include <stdio.h>

struct reader {
    struct buffer *text;
    struct buffer *tags;
    struct http_api_params *params;
    struct http_api_refusal *refusal;
};

void http_api_refuse(struct http_api_refusal *self, enum error_code code, const char *format, ...) {
    va_list values;
    va_start(values, format);
    self->code = code;
    vsnprintf(self->message, sizeof self->message, format, values);
    va_end(values);
}

static bool refuse_type(struct http_api_refusal *refusal, const char *name, const char *what) {
    http_api_refuse(refusal, ERROR_BAD_REQUEST, "%s must be %s", name, what);
    return false;
}

/* `text` was reserved for all of the object, so earlier spans into it stay where they are. */
static bool read_text(struct reader *reader, const char *name, struct json_value value, size_t size_max,
                      struct span *ret_text) {
    size_t start = reader->text->size;
    if (value.type != JSON_STRING || !json_decode_string(value, reader->text)) {
        return refuse_type(reader->refusal, name, "a string without \\u0000");
    }
    *ret_text = span_of(reader->text->data + start, reader->text->size - start);
    if (ret_text->size > size_max) {
        http_api_refuse(reader->refusal, ERROR_BAD_REQUEST, "%s has %zu bytes; at most %zu are taken", name,
                        ret_text->size, size_max);
        return false;
    }
    return true;
}

static bool read_bool(struct reader *reader, const char *name, struct json_value value, bool *ret_value) {
    return json_to_bool(value, ret_value) || refuse_type(reader->refusal, name, "true or false");
}

static bool read_number(struct reader *reader, const char *name, struct json_value value, uint64_t *ret_number) {
    return (json_to_u64(value, ret_number) && *ret_number <= OFFSET_MAX) ||
           refuse_type(reader->refusal, name, "a whole number below 2^53");
}

static bool read_epoch(struct reader *reader, const char *name, struct json_value value, struct span *ret_epoch) {
    return read_text(reader, name, value, WIRE_VERSION_EPOCH_MAX, ret_epoch);
}

bool http_api_channel_read(struct json_value value, const char *name, struct buffer *text, struct span *ret_channel,
                           struct http_api_refusal *ret_refusal) {
    size_t start = text->size;
    if (value.type != JSON_STRING || !json_decode_string(value, text)) {
        return refuse_type(ret_refusal, name, "a string: the channel's name");
    }
    *ret_channel = span_of(text->data + start, text->size - start);
    if (channel_name_check(*ret_channel) != CHANNEL_NAME_OK) {
        http_api_refuse(ret_refusal, ERROR_BAD_REQUEST,
                        "%s is no channel name: 1 to %d printable ASCII characters without spaces, quotes, {}*?[]\\",
                        name, CHANNEL_NAME_MAX);
        return false;
    }
    return true;
}

/* ---- one function a parameter ---- */

static bool read_channel(struct reader *reader, struct json_value value) {
    return http_api_channel_read(value, "channel", reader->text, &reader->params->channel, reader->refusal);
}

static bool read_channels(struct reader *reader, struct json_value value) {
    struct json_iterator iterator = json_iterate(value);
    struct json_value name;
    struct json_value first;
    reader->params->channels = value;
    return (value.type == JSON_ARRAY && json_next(&iterator, &name, &first)) ||
           refuse_type(reader->refusal, "channels", "an array with at least one channel");
}

/* b64data, where both are there, is the one that counts. */
static bool read_data(struct reader *reader, struct json_value value) {
    if (!reader->params->is_binary) {
        reader->params->data = value.text;
    }
    return true;
}

static bool read_b64data(struct reader *reader, struct json_value value) {
    struct span plain;
    size_t start = reader->text->size;
    if (!json_plain_string(value, &plain) || plain.size == 0 || !base64_decode(reader->text, plain)) {
        return refuse_type(reader->refusal, "b64data", "a string of base64 with its padding (RFC 4648, section 4)");
    }
    reader->params->data = span_of(reader->text->data + start, reader->text->size - start);
    reader->params->is_binary = true;
    return true;
}

static bool read_key(struct reader *reader, struct json_value value) {
    return read_text(reader, "idempotency_key", value, HTTP_API_KEY_MAX, &reader->params->key);
}

static bool read_tags(struct reader *reader, struct json_value value) {
    struct json_iterator members = json_iterate(value);
    struct json_value name;
    struct json_value text;
    if (value.type != JSON_OBJECT) {
        return refuse_type(reader->refusal, "tags", "an object of strings");
    }
    for (unsigned n = 0; json_next(&members, &name, &text); n++) {
        struct wire_tag tag;
        if (n == HTTP_API_TAGS_MAX) {
            http_api_refuse(reader->refusal, ERROR_BAD_REQUEST, "tags has more than %d members", HTTP_API_TAGS_MAX);
            return false;
        }
        if (!read_text(reader, "tags", name, HTTP_API_KEY_MAX, &tag.key) ||
            !read_text(reader, "tags", text, HTTP_API_TAG_MAX, &tag.value)) {
            return false;
        }
        wire_append_tag(reader->tags, &tag);
    }
    reader->params->tags = buffer_span(reader->tags);
    return true;
}

static bool read_skip_history(struct reader *reader, struct json_value value) {
    return read_bool(reader, "skip_history", value, &reader->params->skip_history);
}

static bool read_delta(struct reader *reader, struct json_value value) {
    return read_bool(reader, "delta", value, &reader->params->delta);
}

static bool read_version(struct reader *reader, struct json_value value) {
    return read_number(reader, "version", value, &reader->params->version);
}

static bool read_version_epoch(struct reader *reader, struct json_value value) {
    return read_epoch(reader, "version_epoch", value, &reader->params->version_epoch);
}

static bool read_since(struct reader *reader, struct json_value value) {
    uint64_t offset = 0;
    struct span epoch = SPAN_EMPTY;
    struct json_value offset_value = json_member(value, "offset");
    struct json_value epoch_value = json_member(value, "epoch");
    if (value.type != JSON_OBJECT) {
        return refuse_type(reader->refusal, "since", "an object with offset and epoch");
    }
    if ((offset_value.type != JSON_NONE && !read_number(reader, "since.offset", offset_value, &offset)) ||
        (epoch_value.type != JSON_NONE && !read_epoch(reader, "since.epoch", epoch_value, &epoch))) {
        return false;
    }
    reader->params->has_since = true;
    reader->params->since = (struct position){.epoch = epoch_from(epoch), .offset = offset};
    return true;
}

static bool read_limit(struct reader *reader, struct json_value value) {
    return json_to_i64(value, &reader->params->limit) || refuse_type(reader->refusal, "limit", "a whole number");
}

static bool read_reverse(struct reader *reader, struct json_value value) {
    return read_bool(reader, "reverse", value, &reader->params->reverse);
}

/* ---- of commands for sessions; what their detail carries is only judged ---- */

static bool read_user(struct reader *reader, struct json_value value) {
    return read_text(reader, "user", value, HTTP_API_USER_MAX, &reader->params->user);
}

static bool read_client(struct reader *reader, struct json_value value) {
    return read_text(reader, "client", value, HTTP_API_USER_MAX, &reader->params->client);
}

static bool read_session(struct reader *reader, struct json_value value) {
    struct span session;
    if (!read_text(reader, "session", value, HTTP_API_USER_MAX, &session)) {
        return false;
    }
    if (session.size > 0) {
        http_api_refuse(reader->refusal, ERROR_NOT_AVAILABLE, "session: name the connection by client");
    }
    return session.size == 0;
}

static bool read_any_channel(struct reader *reader, struct json_value value) {
    struct span text;
    return (json_plain_string(value, &text) && text.size == 0) || read_channel(reader, value);
}

/* Codes below 3000 are the transport's, those from 5000 on nobody's. */
static bool read_disconnect(struct reader *reader, struct json_value value) {
    uint64_t code = 0;
    struct json_value reason = json_member(value, "reason");
    if (value.type != JSON_OBJECT) {
        return refuse_type(reader->refusal, "disconnect", "an object with code and reason");
    }
    if (!json_to_u64(json_member(value, "code"), &code) || code < 3000 || code > 4999) {
        return refuse_type(reader->refusal, "disconnect.code", "a whole number from 3000 to 4999");
    }
    reader->params->code = (uint16_t) code;
    return reason.type == JSON_NONE ||
           read_text(reader, "disconnect.reason", reason, HTTP_API_REASON_MAX, &reader->params->reason);
}

static bool read_whitelist(struct reader *reader, struct json_value value) {
    struct json_iterator iterator = json_iterate(value);
    struct json_value name;
    struct json_value client;
    struct span text;
    if (value.type != JSON_ARRAY) {
        return refuse_type(reader->refusal, "whitelist", "an array of client ids");
    }
    while (json_next(&iterator, &name, &client)) {
        if (!json_plain_string(client, &text)) {
            return refuse_type(reader->refusal, "whitelist", "an array of client ids");
        }
    }
    return true;
}

static bool read_expired(struct reader *reader, struct json_value value) {
    return read_bool(reader, "expired", value, &reader->params->is_expired);
}

static bool read_expire_at(struct reader *reader, struct json_value value) {
    uint64_t at_s = 0;
    if (!read_number(reader, "expire_at", value, &at_s)) {
        return false;
    }
    reader->params->has_expiry = true;
    reader->params->expire_at_s = (int64_t) at_s;
    return true;
}

static bool read_info(struct reader *reader, struct json_value value) {
    (void) value;
    reader->params->has_info = true;
    return true;
}

static bool read_grant_base64(struct reader *reader, struct json_value value) {
    struct span plain;
    struct buffer bytes = BUFFER_EMPTY;
    bool is_base64 = json_plain_string(value, &plain) && base64_decode(&bytes, plain);
    buffer_finish(&bytes);
    reader->params->has_info = true;
    return is_base64 || refuse_type(reader->refusal, "b64info or b64data",
                                    "a string of base64 with its padding (RFC 4648, section 4)");
}

static bool read_grant_data(struct reader *reader, struct json_value value) {
    (void) reader;
    (void) value;
    return true;
}

static bool read_override(struct reader *reader, struct json_value value) {
    return value.type == JSON_OBJECT || refuse_type(reader->refusal, "override", "an object of options");
}

static bool read_recover_since(struct reader *reader, struct json_value value) {
    return read_since(reader, value);
}

static bool read_pattern(struct reader *reader, struct json_value value) {
    if (!read_text(reader, "pattern", value, CHANNEL_NAME_MAX, &reader->params->pattern)) {
        return false;
    }
    for (size_t i = 0; i < reader->params->pattern.size; i++) {
        if (strchr("{}?[]\\", reader->params->pattern.data[i]) != NULL) {
            return refuse_type(reader->refusal, "pattern", "a channel's name in which * stands for anything");
        }
    }
    return true;
}

/* Of names, not of publications: none is all of them. */
static bool read_page_size(struct reader *reader, struct json_value value) {
    return (json_to_i64(value, &reader->params->limit) && reader->params->limit > 0 &&
            reader->params->limit <= INT32_MAX) ||
           refuse_type(reader->refusal, "limit", "a whole number of at least 1");
}

static bool read_cursor(struct reader *reader, struct json_value value) {
    return read_text(reader, "cursor", value, CHANNEL_NAME_MAX, &reader->params->cursor);
}

static bool read_uid(struct reader *reader, struct json_value value) {
    return read_text(reader, "uid", value, HTTP_API_USER_MAX, &reader->params->uid);
}

static bool read_issued_before(struct reader *reader, struct json_value value) {
    uint64_t at_s = 0;
    if (!read_number(reader, "issued_before", value, &at_s)) {
        return false;
    }
    reader->params->has_issued_before = true;
    reader->params->issued_before_s = (int64_t) at_s;
    return true;
}

static bool read_no_channel(struct reader *reader, struct json_value value) {
    struct span text;
    if (json_plain_string(value, &text) && text.size == 0) {
        return true;
    }
    http_api_refuse(reader->refusal, ERROR_NOT_AVAILABLE,
                    "channel: all tokens of the user are revoked, or one by revoke_token; not those of a channel");
    return false;
}

static const struct {
    const char *name;
    unsigned param;
    bool (*read)(struct reader *reader, struct json_value value);
} param_table[] = {
    {"channel", HTTP_API_CHANNEL, read_channel},
    {"channels", HTTP_API_CHANNELS, read_channels},
    {"data", HTTP_API_DATA, read_data},
    {"b64data", HTTP_API_DATA, read_b64data},
    {"idempotency_key", HTTP_API_PUBLISHING, read_key},
    {"tags", HTTP_API_PUBLISHING, read_tags},
    {"skip_history", HTTP_API_PUBLISHING, read_skip_history},
    {"delta", HTTP_API_PUBLISHING, read_delta},
    {"version", HTTP_API_PUBLISHING, read_version},
    {"version_epoch", HTTP_API_PUBLISHING, read_version_epoch},
    {"since", HTTP_API_SINCE, read_since},
    {"limit", HTTP_API_PAGE, read_limit},
    {"reverse", HTTP_API_PAGE, read_reverse},
    {"user", HTTP_API_USER, read_user},
    {"client", HTTP_API_USER, read_client},
    {"session", HTTP_API_USER, read_session},
    {"channel", HTTP_API_ANY_CHANNEL, read_any_channel},
    {"disconnect", HTTP_API_DISCONNECT, read_disconnect},
    {"whitelist", HTTP_API_DISCONNECT, read_whitelist},
    {"expired", HTTP_API_EXPIRY, read_expired},
    {"expire_at", HTTP_API_EXPIRY, read_expire_at},
    {"info", HTTP_API_GRANT, read_info},
    {"b64info", HTTP_API_GRANT, read_grant_base64},
    {"data", HTTP_API_GRANT, read_grant_data},
    {"b64data", HTTP_API_GRANT, read_grant_base64},
    {"override", HTTP_API_GRANT, read_override},
    {"recover_since", HTTP_API_RECOVER, read_recover_since},
    {"pattern", HTTP_API_PATTERN, read_pattern},
    {"limit", HTTP_API_PATTERN, read_page_size},
    {"cursor", HTTP_API_PATTERN, read_cursor},
    {"uid", HTTP_API_TOKEN, read_uid},
    {"user", HTTP_API_TOKENS, read_user},
    {"issued_before", HTTP_API_TOKENS, read_issued_before},
    {"channel", HTTP_API_TOKENS, read_no_channel},
    {"expire_at", HTTP_API_TOKEN | HTTP_API_TOKENS, read_expire_at},
};
enum { N_PARAMS = sizeof param_table / sizeof param_table[0] };

/* False: refused. null stands for what is not there, as upstream reads it; but data may be null. */
static bool read_member(struct reader *reader, unsigned wanted, struct json_value name, struct json_value value,
                        unsigned *seen) {
    for (int i = 0; i < N_PARAMS; i++) {
        if ((param_table[i].param & wanted) == 0 || !json_name_is(name, param_table[i].name)) {
            continue;
        }
        if (value.type == JSON_NULL && param_table[i].read != read_data) {
            return true;
        }
        *seen |= param_table[i].param;
        return param_table[i].read(reader, value);
    }
    return true;
}

static bool has_few_names(struct json_value object) {
    struct json_iterator members = json_iterate(object);
    struct json_value name;
    struct json_value value;
    for (unsigned n = 0; json_next(&members, &name, &value); n++) {
        if (n == HTTP_API_NAMES_MAX) {
            return false;
        }
    }
    return true;
}

static bool is_readable(struct json_value object, struct http_api_refusal *refusal) {
    if (object.type != JSON_OBJECT) {
        return refuse_type(refusal, "a command", "a JSON object");
    }
    if (!has_few_names(object) || json_has_duplicate_names(object)) {
        http_api_refuse(refusal, ERROR_BAD_REQUEST, "a command has a name twice, or more than %d names",
                        HTTP_API_NAMES_MAX);
        return false;
    }
    return true;
}

static bool has_all(unsigned wanted, unsigned seen, struct http_api_refusal *refusal) {
    unsigned missing = wanted & (HTTP_API_CHANNEL | HTTP_API_CHANNELS | HTTP_API_DATA | HTTP_API_ANY_CHANNEL) & ~seen;
    if (missing != 0) {
        http_api_refuse(refusal, ERROR_BAD_REQUEST, "%s is missing",
                        (missing & HTTP_API_CHANNEL) != 0       ? "channel"
                        : (missing & HTTP_API_ANY_CHANNEL) != 0 ? "channel (\"\": all of them)"
                        : (missing & HTTP_API_CHANNELS) != 0    ? "channels"
                                                                : "data (or b64data)");
    }
    return missing == 0;
}

bool http_api_params_read(struct json_value object, unsigned wanted, struct buffer *text, struct buffer *tags,
                          struct http_api_params *ret_params, struct http_api_refusal *ret_refusal) {
    struct reader reader = {text, tags, ret_params, ret_refusal};
    struct json_iterator members = json_iterate(object);
    struct json_value name;
    struct json_value value;
    unsigned seen = 0;
    *ret_params = (struct http_api_params){.limit = 0};
    buffer_clear(text);
    buffer_clear(tags);
    if (!is_readable(object, ret_refusal)) {
        return false;
    }
    if (!buffer_reserve(text, object.text.size)) {
        http_api_refuse(ret_refusal, ERROR_TOO_LARGE, "no memory for %zu bytes", object.text.size);
        return false;
    }
    while (json_next(&members, &name, &value)) {
        if (!read_member(&reader, wanted, name, value, &seen)) {
            return false;
        }
    }
    if ((wanted & HTTP_API_TOKEN) != 0 && ret_params->uid.size == 0) {
        http_api_refuse(ret_refusal, ERROR_BAD_REQUEST, "uid is missing, or empty: the token's jti");
        return false;
    }
    if ((wanted & (HTTP_API_USER | HTTP_API_TOKENS)) != 0 && ret_params->user.size == 0) {
        http_api_refuse(ret_refusal, ERROR_BAD_REQUEST, "user is missing, or empty: the anonymous are nobody's");
        return false;
    }
    return has_all(wanted, seen, ret_refusal);
}
