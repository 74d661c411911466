/* See the header. A schema is a list of fields by number; those that JSON always shows are marked. */
#include "tests/support/protobuf_view.h"

enum kind { END, NUMBER, BOOL, TEXT, RAW, MESSAGE, LIST, TEXTS, MESSAGES };

struct field {
    unsigned number;
    const char *name;
    enum kind kind;
    const struct field *of; /* MESSAGE, LIST, MESSAGES */
    bool always;
};

static const struct field error[] = {{1, "code", NUMBER, NULL, false},
                                     {2, "message", TEXT, NULL, false},
                                     {3, "temporary", BOOL, NULL, false},
                                     {0, NULL, END, NULL, false}};
static const struct field client_info[] = {{1, "user", TEXT, NULL, true},
                                           {2, "client", TEXT, NULL, true},
                                           {3, "conn_info", RAW, NULL, false},
                                           {4, "chan_info", RAW, NULL, false},
                                           {0, NULL, END, NULL, false}};
static const struct field publication[] = {{4, "data", RAW, NULL, false},      {5, "info", MESSAGE, client_info, false},
                                           {6, "offset", NUMBER, NULL, false}, {7, "tags", TEXTS, NULL, false},
                                           {8, "delta", BOOL, NULL, false},    {14, "epoch", TEXT, NULL, false},
                                           {0, NULL, END, NULL, false}};
static const struct field presence_event[] = {{1, "info", MESSAGE, client_info, false}, {0, NULL, END, NULL, false}};
static const struct field unsubscribed[] = {
    {2, "code", NUMBER, NULL, false}, {3, "reason", TEXT, NULL, false}, {0, NULL, END, NULL, false}};
static const struct field disconnected[] = {
    {1, "code", NUMBER, NULL, false}, {2, "reason", TEXT, NULL, false}, {0, NULL, END, NULL, false}};
static const struct field pushed_subscription[] = {
    {1, "recoverable", BOOL, NULL, false}, {4, "epoch", TEXT, NULL, false}, {5, "offset", NUMBER, NULL, false},
    {6, "positioned", BOOL, NULL, false},  {7, "data", RAW, NULL, false},   {0, NULL, END, NULL, false}};
static const struct field pushed_message[] = {{1, "data", RAW, NULL, false}, {0, NULL, END, NULL, false}};
static const struct field pushed_refresh[] = {
    {1, "expires", BOOL, NULL, false}, {2, "ttl", NUMBER, NULL, false}, {0, NULL, END, NULL, false}};
static const struct field push[] = {{1, "id", NUMBER, NULL, false},
                                    {2, "channel", TEXT, NULL, false},
                                    {4, "pub", MESSAGE, publication, false},
                                    {5, "join", MESSAGE, presence_event, false},
                                    {6, "leave", MESSAGE, presence_event, false},
                                    {7, "unsubscribe", MESSAGE, unsubscribed, false},
                                    {8, "message", MESSAGE, pushed_message, false},
                                    {9, "subscribe", MESSAGE, pushed_subscription, false},
                                    {12, "refresh", MESSAGE, pushed_refresh, false},
                                    {11, "disconnect", MESSAGE, disconnected, false},
                                    {0, NULL, END, NULL, false}};
static const struct field subscribed[] = {{1, "expires", BOOL, NULL, false},
                                          {2, "ttl", NUMBER, NULL, false},
                                          {3, "recoverable", BOOL, NULL, false},
                                          {6, "epoch", TEXT, NULL, false},
                                          {7, "publications", LIST, publication, false},
                                          {8, "recovered", BOOL, NULL, false},
                                          {9, "offset", NUMBER, NULL, false},
                                          {10, "positioned", BOOL, NULL, false},
                                          {11, "data", RAW, NULL, false},
                                          {12, "was_recovering", BOOL, NULL, false},
                                          {13, "delta", BOOL, NULL, false},
                                          {14, "id", NUMBER, NULL, false},
                                          {0, NULL, END, NULL, false}};
static const struct field connected[] = {
    {1, "client", TEXT, NULL, false}, {2, "version", TEXT, NULL, false}, {3, "expires", BOOL, NULL, false},
    {4, "ttl", NUMBER, NULL, false},  {5, "data", RAW, NULL, false},     {6, "subs", MESSAGES, subscribed, false},
    {7, "ping", NUMBER, NULL, false}, {8, "pong", BOOL, NULL, false},    {9, "session", TEXT, NULL, false},
    {10, "node", TEXT, NULL, false},  {0, NULL, END, NULL, false}};
static const struct field nothing[] = {{0, NULL, END, NULL, false}};
static const struct field presence[] = {{1, "presence", MESSAGES, client_info, true}, {0, NULL, END, NULL, false}};
static const struct field presence_stats[] = {
    {1, "num_clients", NUMBER, NULL, true}, {2, "num_users", NUMBER, NULL, true}, {0, NULL, END, NULL, false}};
static const struct field history[] = {{1, "publications", LIST, publication, true},
                                       {2, "epoch", TEXT, NULL, true},
                                       {3, "offset", NUMBER, NULL, true},
                                       {0, NULL, END, NULL, false}};
static const struct field rpc[] = {{1, "data", RAW, NULL, false}, {0, NULL, END, NULL, false}};
static const struct field sub_refresh[] = {
    {1, "expires", BOOL, NULL, false}, {2, "ttl", NUMBER, NULL, false}, {0, NULL, END, NULL, false}};
static const struct field reply[] = {{1, "id", NUMBER, NULL, false},
                                     {2, "error", MESSAGE, error, false},
                                     {4, "push", MESSAGE, push, false},
                                     {5, "connect", MESSAGE, connected, false},
                                     {6, "subscribe", MESSAGE, subscribed, false},
                                     {7, "unsubscribe", MESSAGE, nothing, false},
                                     {8, "publish", MESSAGE, nothing, false},
                                     {9, "presence", MESSAGE, presence, false},
                                     {10, "presence_stats", MESSAGE, presence_stats, false},
                                     {11, "history", MESSAGE, history, false},
                                     {12, "ping", MESSAGE, nothing, false},
                                     {13, "rpc", MESSAGE, rpc, false},
                                     {14, "refresh", MESSAGE, connected, false},
                                     {15, "sub_refresh", MESSAGE, sub_refresh, false},
                                     {0, NULL, END, NULL, false}};

static bool read_varint(struct cursor *cursor, uint64_t *ret_value) {
    *ret_value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = cursor_u8(cursor);
        *ret_value |= (uint64_t) (byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return !cursor->failed && (byte != 0 || shift == 0); /* no longer than it needs */
        }
    }
    return false;
}

static bool read_sized(struct cursor *cursor, struct span *ret_bytes) {
    uint64_t size = 0;
    bool read = read_varint(cursor, &size);
    *ret_bytes = cursor_bytes(cursor, (size_t) size);
    return read && !cursor->failed;
}

static bool view_message(struct span bytes, const struct field *schema, struct buffer *out);

static void put_name(struct buffer *out, struct span name) {
    if (out->data[out->size - 1] != '{') {
        buffer_append_char(out, ',');
    }
    buffer_append_json_string(out, name);
    buffer_append_char(out, ':');
}

static bool view_entry(struct span bytes, const struct field *field, struct buffer *out) {
    struct cursor cursor = cursor_of(bytes);
    struct span parts[3] = {{NULL, 0}};
    while (cursor.left > 0) {
        uint8_t tag = cursor_u8(&cursor);
        if ((tag != 0x0a && tag != 0x12) || !read_sized(&cursor, &parts[tag >> 3])) {
            return false;
        }
    }
    put_name(out, parts[1]);
    if (field->kind == MESSAGES) {
        return view_message(parts[2], field->of, out);
    }
    buffer_append_json_string(out, parts[2]);
    return true;
}

/* One value; those of a list one after another. */
static bool view_value(struct cursor *cursor, const struct field *field, bool is_first, struct buffer *out) {
    uint64_t number = 0;
    struct span bytes;
    if (field->kind == NUMBER || field->kind == BOOL) {
        if (!read_varint(cursor, &number) || number == 0) {
            return false;
        }
        buffer_append_format(out, field->kind == BOOL ? "true" : "%llu", (unsigned long long) number);
        return field->kind == NUMBER || number == 1;
    }
    if (!read_sized(cursor, &bytes) || (bytes.size == 0 && (field->kind == TEXT || field->kind == RAW))) {
        return false;
    }
    switch (field->kind) {
    case TEXT:
        return buffer_append_json_string(out, bytes);
    case RAW:
        return buffer_append_span(out, bytes);
    case MESSAGE:
        return view_message(bytes, field->of, out);
    case LIST:
        return buffer_append_text(out, is_first ? "" : ",") && view_message(bytes, field->of, out);
    case TEXTS:
    case MESSAGES:
        return view_entry(bytes, field, out);
    case NUMBER:
    case BOOL:
    case END:
        break;
    }
    return false;
}

static bool is_many(enum kind kind) {
    return kind == LIST || kind == TEXTS || kind == MESSAGES;
}

static void put_zero(const struct field *field, struct buffer *out) {
    buffer_append_text(out, field->kind == NUMBER ? "0" : field->kind == TEXT ? "\"\"" : "");
}

static bool view_field(struct cursor *cursor, const struct field *field, struct buffer *out) {
    bool is_number = field->kind == NUMBER || field->kind == BOOL;
    uint64_t expected = field->number << 3 | (is_number ? 0 : 2);
    unsigned n = 0;
    for (;;) {
        struct cursor ahead = *cursor;
        uint64_t tag = 0;
        if (ahead.left == 0 || !read_varint(&ahead, &tag) || tag != expected) {
            break;
        }
        if (n == 0) {
            put_name(out, span_of_text(field->name));
            buffer_append_text(out, field->kind == LIST ? "[" : is_many(field->kind) ? "{" : "");
        }
        if ((n > 0 && !is_many(field->kind)) || !view_value(&ahead, field, n == 0, out)) {
            return false;
        }
        *cursor = ahead;
        n++;
    }
    if (n == 0 && field->always) {
        put_name(out, span_of_text(field->name));
        buffer_append_text(out, field->kind == LIST ? "[" : is_many(field->kind) ? "{" : "");
        put_zero(field, out);
    }
    if (n > 0 || field->always) {
        buffer_append_text(out, field->kind == LIST ? "]" : is_many(field->kind) ? "}" : "");
    }
    return true;
}

static bool view_message(struct span bytes, const struct field *schema, struct buffer *out) {
    struct cursor cursor = cursor_of(bytes);
    buffer_append_char(out, '{');
    for (const struct field *field = schema; field->kind != END; field++) {
        if (!view_field(&cursor, field, out)) {
            return false;
        }
    }
    buffer_append_char(out, '}');
    return cursor.left == 0 && !cursor.failed;
}

bool protobuf_view(struct span message, struct buffer *out) {
    struct cursor cursor = cursor_of(message);
    while (cursor.left > 0) {
        struct span entry;
        buffer_append_text(out, out->size > 0 ? "\n" : "");
        if (!read_sized(&cursor, &entry) || !view_message(entry, reply, out)) {
            return false;
        }
    }
    return true;
}
