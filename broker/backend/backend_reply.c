/* See backend_reply.h. Payloads that are JSON are embedded byte for byte; binary ones stand as "b64data". */
#include "broker/backend/backend_reply.h"

#include "base/json_scan.h"
#include "base/token.h"

void backend_append_error(struct buffer *out, enum error_code code, const char *message) {
    const struct error_description *description = error_describe(code);
    buffer_append_format(out, "{\"code\":%d,\"reason\":\"%s\",\"message\":", (int) description->code,
                         description->reason);
    buffer_append_json_string(out,
                              span_of_text(message == NULL || message[0] == '\0' ? description->message : message));
    buffer_append_format(out, ",\"temporary\":%s,\"definite\":%s}", description->temporary ? "true" : "false",
                         description->definite ? "true" : "false");
}

static void append_position(struct buffer *out, const struct position *position) {
    buffer_append_text(out, "\"offset\":");
    buffer_append_u64_decimal(out, position->offset);
    buffer_append_text(out, ",\"epoch\":");
    buffer_append_json_string(out, epoch_span(&position->epoch));
}

void backend_append_position(struct buffer *out, const struct position *position) {
    buffer_append_char(out, '{');
    append_position(out, position);
    buffer_append_char(out, '}');
}

void backend_append_published(struct buffer *out, const struct shard_reply *reply) {
    buffer_append_char(out, '{');
    append_position(out, &reply->position);
    buffer_append_text(out, reply->duplicate ? ",\"duplicate\":true" : ",\"duplicate\":false");
    buffer_append_text(out, reply->suppressed ? ",\"suppressed\":true" : "");
    buffer_append_text(out, reply->not_durable ? ",\"durable\":false}" : "}");
}

/* Raw where it is JSON (it was judged when it came in, but what Redis and tokens hold is judged again). */
static void append_value(struct buffer *out, const char *name, struct span value, bool is_binary) {
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value judged;
    if (!is_binary && json_scan(value, &limits, &judged, NULL) == JSON_OK) {
        buffer_append_format(out, ",\"%s\":", name);
        buffer_append_span(out, judged.text);
        return;
    }
    buffer_append_format(out, ",\"b64%s\":\"", name);
    base64_encode(out, value);
    buffer_append_char(out, '"');
}

void backend_append_client_info(struct buffer *out, const struct wire_client_info *info) {
    buffer_append_text(out, "{\"user\":");
    buffer_append_json_string(out, info->user);
    buffer_append_text(out, ",\"client\":");
    buffer_append_json_string(out, info->client);
    if (info->conn_info.size > 0) {
        append_value(out, "conn_info", info->conn_info, false);
    }
    if (info->chan_info.size > 0) {
        append_value(out, "chan_info", info->chan_info, false);
    }
    buffer_append_char(out, '}');
}

static void append_tags(struct buffer *out, struct span tags) {
    struct cursor cursor = cursor_of(tags);
    struct wire_tag tag;
    bool is_first = true;
    if (tags.size == 0) {
        return;
    }
    buffer_append_text(out, ",\"tags\":{");
    while (wire_next_tag(&cursor, &tag)) {
        buffer_append_text(out, is_first ? "" : ",");
        buffer_append_json_string(out, tag.key);
        buffer_append_char(out, ':');
        buffer_append_json_string(out, tag.value);
        is_first = false;
    }
    buffer_append_char(out, '}');
}

/* What a publication and an event have in common, after a first member. */
static void append_about(struct buffer *out, const struct wire_publication *publication) {
    struct wire_client_info info;
    if (publication->time_ms > 0) {
        buffer_append_text(out, ",\"time\":");
        buffer_append_i64_decimal(out, publication->time_ms);
    }
    if (publication->info.size > 0 && wire_read_client_info(publication->info, &info)) {
        buffer_append_text(out, ",\"info\":");
        backend_append_client_info(out, &info);
    }
    append_tags(out, publication->tags);
}

void backend_append_history(struct buffer *out, const struct shard_reply *reply) {
    struct cursor cursor = cursor_of(reply->bytes);
    struct wire_publication publication;
    buffer_append_text(out, "{\"publications\":[");
    for (uint32_t i = 0; i < reply->n && wire_read_publication(&cursor, &publication); i++) {
        buffer_append_text(out, i == 0 ? "{\"offset\":" : ",{\"offset\":");
        buffer_append_u64_decimal(out, publication.offset);
        append_value(out, "data", publication.data, (publication.flags & WIRE_PUBLICATION_BINARY) != 0);
        append_about(out, &publication);
        buffer_append_char(out, '}');
    }
    buffer_append_text(out, "],");
    append_position(out, &reply->position);
    buffer_append_char(out, '}');
}

void backend_append_presence(struct buffer *out, const struct shard_reply *reply) {
    struct cursor cursor = cursor_of(reply->bytes);
    buffer_append_text(out, "{\"presence\":{");
    for (uint32_t i = 0; i < reply->n; i++) {
        struct wire_client_info info;
        struct span entry = cursor_sized(&cursor);
        if (cursor.failed || !wire_read_client_info(entry, &info)) {
            break;
        }
        buffer_append_text(out, i == 0 ? "" : ",");
        buffer_append_json_string(out, info.client);
        buffer_append_char(out, ':');
        backend_append_client_info(out, &info);
    }
    buffer_append_char(out, '}');
    if (reply->next != 0) {
        buffer_append_text(out, ",\"cursor\":\""); /* a text: it may be above 2^53 */
        buffer_append_u64_decimal(out, reply->next);
        buffer_append_char(out, '"');
    }
    buffer_append_char(out, '}');
}

void backend_append_presence_stats(struct buffer *out, const struct shard_reply *reply) {
    buffer_append_format(out, "{\"num_clients\":%u,\"num_users\":%u}", reply->n, reply->m);
}

void backend_append_event(struct buffer *out, const char *type, struct span channel, const struct position *position,
                          const struct wire_publication *publication) {
    buffer_append_format(out, "{\"type\":\"%s\",\"channel\":", type);
    buffer_append_json_string(out, channel);
    buffer_append_char(out, ',');
    append_position(out, position);
    if (publication != NULL) {
        append_about(out, publication);
    }
    buffer_append_char(out, '}');
}

static void append_mode(struct buffer *out, enum wire_mode mode) {
    buffer_append_text(out, mode == WIRE_MODE_MEMORY ? "{\"mode\":\"memory\"" : "{\"mode\":\"redis\"");
}

/* In ms; none where it has no end. */
static void append_ttl(struct buffer *out, uint64_t left_ms) {
    if (left_ms > 0) {
        buffer_append_text(out, ",\"ttl\":");
        buffer_append_u64_decimal(out, left_ms);
    }
    buffer_append_char(out, '}');
}

void backend_append_lease(struct buffer *out, const struct shard_reply *reply) {
    append_mode(out, reply->mode);
    if (reply->token != 0) {
        buffer_append_text(out, ",\"token\":");
        buffer_append_u64_decimal(out, reply->token);
    }
    append_ttl(out, reply->left_ms);
}

void backend_append_value(struct buffer *out, const struct shard_reply *reply) {
    append_mode(out, reply->mode);
    if (reply->kind == SHARD_REQUEST_KV_INCR) {
        buffer_append_text(out, ",\"value\":");
        buffer_append_i64_decimal(out, reply->number);
    } else {
        buffer_append_text(out, reply->is_there ? ",\"found\":true" : ",\"found\":false");
    }
    if (reply->kind == SHARD_REQUEST_KV_GET && reply->is_there) {
        append_value(out, "data", reply->bytes, false);
    }
    append_ttl(out, reply->left_ms);
}
