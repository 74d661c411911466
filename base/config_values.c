/* Text to typed value and back. Parsing is strict on purpose: what YAML 1.1, YAML 1.2 and a shell would read in
 * different ways (yes, 010, 1_000, 1e3) is refused with what to write instead.
 *
 * Failure modes: a text that does not parse or is out of bounds leaves the field as it was, and the reason says how to
 * mend it. Values of secrets and of URLs with passwords are never part of a reason. */
#include "base/config_values.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <string.h>

enum { QUOTED_MAX = 64, LIST_MAX = 1024 };

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit byte_units[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {NULL, 0}};
static const struct unit time_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                         {"s", 1000},     {"ms", 1},      {NULL, 0}};

static void *field_of(const struct config_key *key, void *target) {
    return (uint8_t *) target + key->offset;
}

/* ---- for messages ---- */

void config_append_quoted(struct buffer *out, struct span text) {
    if (!utf8_is_valid(text)) {
        buffer_append_text(out, "the value");
        return;
    }
    struct span shown = text;
    if (text.size > QUOTED_MAX) {
        shown.size = QUOTED_MAX;
        while ((text.data[shown.size] & 0xC0) == 0x80) { /* not inside a character */
            shown.size--;
        }
    }
    buffer_append_json_string(out, shown);
    if (shown.size < text.size) {
        buffer_append_text(out, "…");
    }
}

static void append_with_unit(struct buffer *out, const struct unit *units, int64_t value) {
    const struct unit *unit = units;
    while (value % unit->factor != 0) {
        unit++;
    }
    buffer_append_i64_decimal(out, value / unit->factor);
    buffer_append_text(out, unit->name);
}

void config_append_amount(struct buffer *out, enum config_type type, int64_t value) {
    if (value == 0 || type == CONFIG_INT) {
        buffer_append_i64_decimal(out, value);
    } else if (type == CONFIG_BYTES) {
        append_with_unit(out, byte_units, value);
    } else {
        append_with_unit(out, time_units, value);
    }
}

static bool is_bounded(const struct config_key *key) {
    return key->minimum != 0 || key->maximum != 0;
}

static void append_bounds(struct buffer *out, const struct config_key *key, enum config_type type) {
    if (key->maximum == INT64_MAX) {
        buffer_append_text(out, "at least ");
        config_append_amount(out, type, key->minimum);
        return;
    }
    buffer_append_text(out, "from ");
    config_append_amount(out, type, key->minimum);
    buffer_append_text(out, " to ");
    config_append_amount(out, type, key->maximum);
}

/* ---- numbers ---- */

static size_t count_digits(struct span text) {
    size_t n = 0;
    while (n < text.size && text.data[n] >= '0' && text.data[n] <= '9') {
        n++;
    }
    return n;
}

/* Says why these are no plain decimal digits. */
static bool parse_digits(struct span digits, int64_t *ret_value, struct buffer *ret_why) {
    if (digits.size > 1 && digits.data[0] == '0') {
        buffer_append_text(ret_why, "starts with a zero, which some read as an octal number; write it without");
        return false;
    }
    uint64_t value;
    if (!span_parse_u64(digits, &value) || value > INT64_MAX) {
        buffer_append_text(ret_why, "is too large");
        return false;
    }
    *ret_value = (int64_t) value;
    return true;
}

static bool is_within_bounds(const struct config_key *key, int64_t value, struct buffer *ret_why) {
    if (!is_bounded(key) || (value >= key->minimum && value <= key->maximum)) {
        return true;
    }
    buffer_append_text(ret_why, "is out of bounds; it must be ");
    append_bounds(ret_why, key, key->type);
    return false;
}

static bool parse_int(const struct config_key *key, struct span text, int64_t *ret_value, struct buffer *ret_why) {
    bool is_negative = text.size > 0 && text.data[0] == '-';
    struct span digits = is_negative ? span_of(text.data + 1, text.size - 1) : text;
    if (digits.size == 0 || count_digits(digits) != digits.size) {
        buffer_append_text(ret_why, "is not a whole number; write decimal digits only");
        return false;
    }
    int64_t value;
    if (!parse_digits(digits, &value, ret_why)) {
        return false;
    }
    value = is_negative ? -value : value;
    if (!is_within_bounds(key, value, ret_why)) {
        return false;
    }
    *ret_value = value;
    return true;
}

static const struct unit *find_unit(const struct unit *units, struct span name) {
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (span_equal_text(name, unit->name)) {
            return unit;
        }
    }
    return NULL;
}

/* Digits with a unit; without one only where `plain` is not NULL (or for 0, which is the same in any). */
static bool parse_amount(const struct config_key *key, struct span text, const struct unit *units,
                         const struct unit *plain, const char *remedy, int64_t *ret_value, struct buffer *ret_why) {
    size_t n_digits = count_digits(text);
    struct span digits = span_of(text.data, n_digits);
    struct span name = n_digits == text.size ? SPAN_EMPTY : span_of(text.data + n_digits, text.size - n_digits);
    const struct unit *unit = name.size == 0 ? plain : find_unit(units, name);
    bool is_zero = span_equal_text(text, "0");
    if (n_digits == 0 || (unit == NULL && !is_zero)) {
        buffer_append_text(ret_why, remedy);
        return false;
    }
    int64_t value;
    if (!parse_digits(digits, &value, ret_why)) {
        return false;
    }
    if (!is_zero && __builtin_mul_overflow(value, unit->factor, &value)) {
        buffer_append_text(ret_why, "is too large");
        return false;
    }
    if (!is_within_bounds(key, value, ret_why)) {
        return false;
    }
    *ret_value = value;
    return true;
}

static bool parse_bytes(const struct config_key *key, struct span text, int64_t *ret_value, struct buffer *ret_why) {
    static const struct unit one = {"", 1};
    return parse_amount(key, text, byte_units, &one, "is not a size; write it like 512, 64KiB, 1MiB or 2GiB", ret_value,
                        ret_why);
}

static bool parse_duration(const struct config_key *key, struct span text, int64_t *ret_value, struct buffer *ret_why) {
    return parse_amount(key, text, time_units, NULL,
                        "is not a duration; write one number with its unit, like 500ms, 10s, 5m, 24h or 30d", ret_value,
                        ret_why);
}

/* ---- words ---- */

static bool parse_bool(struct span text, bool *ret_value, struct buffer *ret_why) {
    bool is_true = span_equal_text(text, "true");
    if (!is_true && !span_equal_text(text, "false")) {
        buffer_append_text(ret_why, "is not a truth value; write true or false");
        return false;
    }
    *ret_value = is_true;
    return true;
}

static bool parse_choice(const struct config_key *key, struct span text, int *ret_value, struct buffer *ret_why) {
    for (int i = 0; key->choices[i] != NULL; i++) {
        if (span_equal_text(text, key->choices[i])) {
            *ret_value = i;
            return true;
        }
    }
    buffer_append_text(ret_why, "is not known here; it must be one of");
    for (int i = 0; key->choices[i] != NULL; i++) {
        buffer_append_format(ret_why, "%s %s", i == 0 ? "" : ",", key->choices[i]);
    }
    return false;
}

/* ---- texts ---- */

static bool has_control(struct span text) {
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7F) {
            return true;
        }
    }
    return false;
}

static bool is_good_length(const struct config_key *key, struct span text, struct buffer *ret_why) {
    int64_t size = (int64_t) text.size;
    if (!is_bounded(key) || (size >= key->minimum && size <= key->maximum)) {
        return true;
    }
    buffer_append_format(ret_why, "has %zu bytes; it must have ", text.size);
    append_bounds(ret_why, key, CONFIG_INT);
    return false;
}

static bool is_good_text(const struct config_key *key, struct span text, struct buffer *ret_why) {
    if (!utf8_is_valid(text)) {
        buffer_append_text(ret_why, "is not UTF-8");
        return false;
    }
    if (has_control(text)) {
        buffer_append_text(ret_why, "has a control character, such as a line feed, inside");
        return false;
    }
    return is_good_length(key, text, ret_why);
}

/* A secret may have any bytes but NUL, where C would end it. */
static bool is_good_secret(const struct config_key *key, struct span text, struct buffer *ret_why) {
    if (text.size > 0 && memchr(text.data, 0, text.size) != NULL) {
        buffer_append_text(ret_why, "has a NUL byte inside");
        return false;
    }
    return is_good_length(key, text, ret_why);
}

static void free_text(char *text, bool is_secret) {
    if (text != NULL && is_secret) {
        explicit_bzero(text, strlen(text));
    }
    memory_free(text);
}

static bool is_secret(const struct config_key *key) {
    return key->type == CONFIG_SECRET || (key->flags & CONFIG_PASSWORD_URL) != 0;
}

static bool parse_text(const struct config_key *key, struct span text, char **field, struct buffer *ret_why) {
    bool is_good = key->type == CONFIG_SECRET ? is_good_secret(key, text, ret_why) : is_good_text(key, text, ret_why);
    if (is_good) {
        free_text(*field, is_secret(key));
        *field = memory_strndup(text.size == 0 ? "" : (const char *) text.data, text.size);
    }
    return is_good;
}

struct span config_url_password(struct span url) {
    const uint8_t *slashes = url.size == 0 ? NULL : memmem(url.data, url.size, "://", 3);
    if (slashes == NULL) {
        return SPAN_EMPTY;
    }
    const uint8_t *first = slashes + 3;
    const uint8_t *end = first;
    while (end < url.data + url.size && strchr("/?#", *end) == NULL) {
        end++;
    }
    /* The last @: a password may have one that nobody escaped. */
    const uint8_t *at = memrchr(first, '@', (size_t) (end - first));
    const uint8_t *colon = at == NULL ? NULL : memchr(first, ':', (size_t) (at - first));
    return colon == NULL ? SPAN_EMPTY : span_of(colon + 1, (size_t) (at - (colon + 1)));
}

/* ---- lists ---- */

void config_value_clear_list(const struct config_key *key, void *target) {
    struct config_text_list *list = field_of(key, target);
    for (size_t i = 0; i < list->n; i++) {
        memory_free(list->texts[i]);
    }
    memory_free(list->texts);
    *list = (struct config_text_list){NULL, 0};
}

bool config_value_append_text(const struct config_key *key, void *target, struct span text, struct buffer *ret_why) {
    struct config_text_list *list = field_of(key, target);
    if (text.size == 0) {
        buffer_append_text(ret_why, "has an empty element");
        return false;
    }
    if (list->n == LIST_MAX) {
        buffer_append_format(ret_why, "has more than %d elements", LIST_MAX);
        return false;
    }
    if (!is_good_text(key, text, ret_why)) {
        return false;
    }
    list->texts = memory_realloc(list->texts, (list->n + 1) * sizeof *list->texts);
    list->texts[list->n++] = memory_strndup(text.data, text.size);
    return true;
}

static struct span trim_spaces(struct span text) {
    while (text.size > 0 && text.data[0] == ' ') {
        text = span_of(text.data + 1, text.size - 1);
    }
    while (text.size > 0 && text.data[text.size - 1] == ' ') {
        text.size--;
    }
    return text;
}

/* Elements separated by commas; an empty text is an empty list. */
static bool parse_text_list(const struct config_key *key, void *target, struct span text, struct buffer *ret_why) {
    struct config_text_list *list = field_of(key, target);
    struct config_text_list before = *list;
    struct config_text_list unused;
    *list = (struct config_text_list){NULL, 0};
    bool is_good = true;
    struct span rest = trim_spaces(text);
    bool is_more = rest.size > 0;
    while (is_more && is_good) {
        const uint8_t *comma = rest.size == 0 ? NULL : memchr(rest.data, ',', rest.size);
        size_t size = comma == NULL ? rest.size : (size_t) (comma - rest.data);
        is_good = config_value_append_text(key, target, trim_spaces(span_of(rest.data, size)), ret_why);
        is_more = comma != NULL;
        rest = is_more ? span_of(comma + 1, rest.size - size - 1) : SPAN_EMPTY;
    }
    unused = is_good ? before : *list;
    if (!is_good) {
        *list = before;
    }
    for (size_t i = 0; i < unused.n; i++) {
        memory_free(unused.texts[i]);
    }
    memory_free(unused.texts);
    return is_good;
}

void *config_value_append_item(const struct config_key *key, void *target) {
    struct config_section_list *list = field_of(key, target);
    size_t size = key->section->struct_size;
    list->items = memory_realloc(list->items, (list->n + 1) * size);
    void *item = (uint8_t *) list->items + list->n * size;
    list->n++;
    memset(item, 0, size);
    config_values_init(key->section, item);
    return item;
}

/* ---- any field ---- */

bool config_value_parse(const struct config_key *key, void *target, struct span text, struct buffer *ret_why) {
    switch (key->type) {
    case CONFIG_BOOL:
        return parse_bool(text, field_of(key, target), ret_why);
    case CONFIG_INT:
        return parse_int(key, text, field_of(key, target), ret_why);
    case CONFIG_BYTES:
        return parse_bytes(key, text, field_of(key, target), ret_why);
    case CONFIG_DURATION:
        return parse_duration(key, text, field_of(key, target), ret_why);
    case CONFIG_TEXT:
    case CONFIG_SECRET:
        return parse_text(key, text, field_of(key, target), ret_why);
    case CONFIG_CHOICE:
        return parse_choice(key, text, field_of(key, target), ret_why);
    case CONFIG_TEXT_LIST:
        return parse_text_list(key, target, text, ret_why);
    case CONFIG_SECTION_LIST:
        buffer_append_text(ret_why, "is a list of sections, which only the file can hold");
        return false;
    }
    unreachable("config type %d", (int) key->type);
}

/* Texts are "" and never NULL; all else is zero already. The default of a text need not keep the bounds of its length:
 * they are for whoever sets it. */
static void init_field(const struct config_key *key, void *target) {
    if (key->type == CONFIG_TEXT || key->type == CONFIG_SECRET) {
        char **field = field_of(key, target);
        *field = memory_strdup(key->default_text == NULL ? "" : key->default_text);
        return;
    }
    if (key->default_text == NULL) {
        return;
    }
    struct buffer why = BUFFER_EMPTY;
    bool is_good = config_value_parse(key, target, span_of_text(key->default_text), &why);
    check(is_good, "the default of %s %.*s", key->path, (int) why.size, (const char *) why.data);
}

void config_values_init(const struct config_table *table, void *target) {
    for (size_t i = 0; i < table->n_keys; i++) {
        init_field(&table->keys[i], target);
    }
}

static void finish_section_list(const struct config_key *key, struct config_section_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        config_values_finish(key->section, (uint8_t *) list->items + i * key->section->struct_size);
    }
    memory_free(list->items);
}

static void finish_field(const struct config_key *key, void *target) {
    switch (key->type) {
    case CONFIG_BOOL:
    case CONFIG_INT:
    case CONFIG_BYTES:
    case CONFIG_DURATION:
    case CONFIG_CHOICE:
        return;
    case CONFIG_TEXT:
    case CONFIG_SECRET:
        free_text(*(char **) field_of(key, target), is_secret(key));
        return;
    case CONFIG_TEXT_LIST:
        config_value_clear_list(key, target);
        return;
    case CONFIG_SECTION_LIST:
        finish_section_list(key, field_of(key, target));
        return;
    }
}

void config_values_finish(const struct config_table *table, void *target) {
    for (size_t i = 0; i < table->n_keys; i++) {
        finish_field(&table->keys[i], target);
    }
    memset(target, 0, table->struct_size);
}
