/* See redis_error.h. */
#include "broker/redis/redis_error.h"

struct row {
    const char *code;
    enum redis_error error;
};

static const struct row rows[] = {
    {"OOM", REDIS_ERROR_REFUSED},        {"MISCONF", REDIS_ERROR_REFUSED},   {"NOREPLICAS", REDIS_ERROR_REFUSED},
    {"BUSY", REDIS_ERROR_REFUSED},       {"TRYAGAIN", REDIS_ERROR_REFUSED},  {"READONLY", REDIS_ERROR_UNFIT},
    {"LOADING", REDIS_ERROR_UNFIT},      {"MASTERDOWN", REDIS_ERROR_UNFIT},  {"MOVED", REDIS_ERROR_UNFIT},
    {"ASK", REDIS_ERROR_UNFIT},          {"CLUSTERDOWN", REDIS_ERROR_UNFIT}, {"CROSSSLOT", REDIS_ERROR_UNFIT},
    {"NOSCRIPT", REDIS_ERROR_NO_SCRIPT}, {"NOPERM", REDIS_ERROR_DENIED},     {"NOAUTH", REDIS_ERROR_DENIED},
    {"WRONGPASS", REDIS_ERROR_DENIED},   {"WRONGTYPE", REDIS_ERROR_CORRUPT},
};

static const struct row *find_row(struct span text) {
    size_t size = 0;
    while (size < text.size && text.data[size] >= 'A' && text.data[size] <= 'Z') {
        size++;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (span_equal_text(span_of(text.data, size), rows[i].code)) {
            return &rows[i];
        }
    }
    return NULL;
}

/* The error inside Redis 6.2's "ERR Error running script (…): @user_script:12: -OOM …" (the dash not always there). */
static struct span unwrap(struct span text) {
    static const char mark[] = "@user_script:";
    const uint8_t *at = text.size == 0 ? NULL : memmem(text.data, text.size, mark, sizeof mark - 1);
    if (at == NULL || !span_starts_with(text, SPAN_LITERAL("ERR Error running script"))) {
        return text;
    }
    struct span rest = span_of(at + sizeof mark - 1, text.size - (size_t) (at - text.data) - (sizeof mark - 1));
    while (rest.size > 0 && strchr("0123456789: @userscript_-", rest.data[0]) != NULL) {
        rest = span_of(rest.data + 1, rest.size - 1);
    }
    return rest;
}

enum redis_error redis_error_classify(struct span text) {
    const struct row *row = find_row(unwrap(text));
    return row == NULL ? REDIS_ERROR_OTHER : row->error;
}

const char *redis_error_code(struct span text) {
    const struct row *row = find_row(unwrap(text));
    return row == NULL ? "ERR" : row->code;
}
