/* See redis_error.h. */
#include "broker/redis/link/redis_error.h"

struct row {
    const char *code;
    enum redis_error error;
};

static const struct row rows[] = {
    {"OOM", REDIS_ERROR_REFUSED},       {"MISCONF", REDIS_ERROR_REFUSED},  {"NOREPLICAS", REDIS_ERROR_REFUSED},
    {"BUSY", REDIS_ERROR_AGAIN},        {"TRYAGAIN", REDIS_ERROR_AGAIN},   {"ASK", REDIS_ERROR_AGAIN},
    {"CLUSTERDOWN", REDIS_ERROR_AGAIN}, {"MOVED", REDIS_ERROR_MOVED},      {"READONLY", REDIS_ERROR_UNFIT},
    {"LOADING", REDIS_ERROR_UNFIT},     {"MASTERDOWN", REDIS_ERROR_UNFIT}, {"NOSCRIPT", REDIS_ERROR_NO_SCRIPT},
    {"NOPERM", REDIS_ERROR_DENIED},     {"NOAUTH", REDIS_ERROR_DENIED},    {"WRONGPASS", REDIS_ERROR_DENIED},
    {"WRONGTYPE", REDIS_ERROR_CORRUPT}, {"CROSSSLOT", REDIS_ERROR_UNFIT},
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

bool redis_error_parse_moved(struct span text, uint32_t *ret_slot, struct span *ret_address) {
    struct span rest = unwrap(text);
    const struct row *row = find_row(rest);
    if (row == NULL || (row->error != REDIS_ERROR_MOVED && strcmp(row->code, "ASK") != 0)) {
        return false;
    }
    size_t at = strlen(row->code) + 1; /* behind the code and a blank */
    const uint8_t *blank = rest.size <= at ? NULL : memchr(rest.data + at, ' ', rest.size - at);
    uint64_t slot = 0;
    if (blank == NULL || !span_parse_u64(span_of(rest.data + at, (size_t) (blank - rest.data) - at), &slot) ||
        slot > UINT16_MAX) {
        return false;
    }
    *ret_slot = (uint32_t) slot;
    *ret_address = span_of(blank + 1, rest.size - (size_t) (blank + 1 - rest.data));
    return true;
}

const char *redis_error_code(struct span text) {
    const struct row *row = find_row(unwrap(text));
    return row == NULL ? "ERR" : row->code;
}
