/* Happy path: the text is parsed by the field's type, compared with its bounds or form, and stored.
 *
 * Failure modes: each is one diagnostic that quotes what was written and says what to write; the field keeps what it
 * had. What other YAML readers would take for something else is refused even where we could read it: the same file is
 * read by kubectl, by Helm and by editors. */
#include "operator/spec/spec_values.h"

#include "base/check.h"
#include "operator/spec/spec_amount.h"
#include "operator/spec/spec_format.h"
#include "operator/yaml_plain.h"

#include <inttypes.h>
#include <stdio.h>

enum { QUOTED_MAX = 64 };

static void *field_of(const struct spec_field *field, void *target) {
    return (uint8_t *) target + field->offset;
}

/* ---- as text ---- */

const char *spec_quote(arena_t *arena, struct span text) {
    size_t size = text.size;
    if (size > QUOTED_MAX) {
        size = QUOTED_MAX;
        while (size > 0 && (text.data[size] & 0xC0) == 0x80) { /* not inside a character */
            size--;
        }
    }
    return arena_format(arena, "\"%.*s%s\"", (int) size, size == 0 ? "" : (const char *) text.data,
                        size < text.size ? "…" : "");
}

void spec_append_memory(struct buffer *out, int64_t bytes) {
    static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti"};
    size_t unit = 0;
    while (bytes != 0 && bytes % 1024 == 0 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    buffer_append_format(out, "%" PRId64 "%s", bytes, units[unit]);
}

void spec_append_cpu(struct buffer *out, int64_t thousandths) {
    if (thousandths % 1000 == 0) {
        buffer_append_i64_decimal(out, thousandths / 1000);
    } else {
        buffer_append_format(out, "%" PRId64 "m", thousandths);
    }
}

void spec_append_duration(struct buffer *out, int64_t ms) {
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t unit = 0;
    while (ms % units[unit].ms != 0) {
        unit++;
    }
    if (ms == 0) {
        buffer_append_char(out, '0');
    } else {
        buffer_append_format(out, "%" PRId64 "%s", ms / units[unit].ms, units[unit].name);
    }
}

void spec_append_amount(struct buffer *out, enum spec_type type, int64_t value) {
    if (type == SPEC_MEMORY) {
        spec_append_memory(out, value);
    } else if (type == SPEC_CPU) {
        spec_append_cpu(out, value);
    } else if (type == SPEC_DURATION) {
        spec_append_duration(out, value);
    } else {
        buffer_append_i64_decimal(out, value);
    }
}

/* ---- numbers ---- */

static bool is_within(const struct spec_reading *reading, const struct spec_field *field,
                      const struct spec_scalar *scalar, int64_t value) {
    if ((field->minimum == 0 && field->maximum == 0) || (value >= field->minimum && value <= field->maximum)) {
        return true;
    }
    struct buffer bounds = BUFFER_EMPTY;
    buffer_append_text(&bounds, "write one from ");
    spec_append_amount(&bounds, field->type, field->minimum);
    buffer_append_text(&bounds, " to ");
    spec_append_amount(&bounds, field->type, field->maximum);
    diagnostics_add(reading->diagnostics, DIAGNOSTIC_OUT_OF_BOUNDS, scalar->place, scalar->path, "%s is too %s",
                    (const char *) scalar->text.data, value < field->minimum ? "small" : "large");
    diagnostics_mend(reading->diagnostics, "%.*s", (int) bounds.size, (const char *) bounds.data);
    buffer_finish(&bounds);
    return false;
}

static bool tell_no_number(const struct spec_reading *reading, const struct spec_scalar *scalar) {
    const char *quoted = spec_quote(reading->arena, scalar->text);
    enum yaml_plain kind = yaml_plain_of(scalar->text);
    if (!scalar->is_plain && kind == YAML_PLAIN_INT) {
        diagnostics_add(reading->diagnostics, DIAGNOSTIC_NOT_A_NUMBER, scalar->place, scalar->path,
                        "%s is a text, as it stands in quotes", quoted);
        diagnostics_mend(reading->diagnostics, "take the quotes away");
        return false;
    }
    bool is_trap = kind != YAML_PLAIN_TEXT && kind != YAML_PLAIN_INT;
    diagnostics_add(reading->diagnostics, DIAGNOSTIC_NOT_A_NUMBER, scalar->place, scalar->path,
                    "%s is no whole number%s%s", quoted, is_trap ? "; to YAML readers it is " : "",
                    is_trap ? yaml_plain_name(kind) : "");
    diagnostics_mend(reading->diagnostics, "write decimal digits only, like 3");
    return false;
}

static bool read_count(const struct spec_reading *reading, const struct spec_field *field,
                       const struct spec_scalar *scalar, int64_t *ret_value) {
    bool is_negative = scalar->text.size > 1 && scalar->text.data[0] == '-';
    size_t sign = is_negative ? 1 : 0;
    struct span digits = span_of(scalar->text.data + sign, scalar->text.size - sign);
    uint64_t value;
    bool is_number = yaml_plain_of(scalar->text) == YAML_PLAIN_INT && scalar->is_plain;
    if (!is_number || scalar->text.data[0] == '+') {
        return tell_no_number(reading, scalar);
    }
    if (!span_parse_u64(digits, &value) || value > INT64_MAX) {
        value = INT64_MAX; /* out of any bounds */
    }
    int64_t amount = is_negative ? -(int64_t) value : (int64_t) value;
    if (!is_within(reading, field, scalar, amount)) {
        return false;
    }
    *ret_value = amount;
    return true;
}

static bool read_amount(const struct spec_reading *reading, const struct spec_field *field,
                        const struct spec_scalar *scalar, int64_t *ret_value) {
    static const struct {
        bool (*parse)(struct span text, int64_t *ret_value);
        const char *what;
        const char *mend;
    } kinds[] = {
        [SPEC_MEMORY] = {spec_memory_parse, "amount of memory", "write it like 512Mi or 4Gi"},
        [SPEC_CPU] = {spec_cpu_parse, "amount of CPU", "write it like 500m, 2 or 1.5"},
        [SPEC_DURATION] = {spec_duration_parse, "duration",
                           "write one number with its unit, like 500ms, 10s, 5m, 24h or 30d"},
    };
    int64_t value;
    if (!kinds[field->type].parse(scalar->text, &value)) {
        diagnostics_add(reading->diagnostics, DIAGNOSTIC_NOT_AN_AMOUNT, scalar->place, scalar->path, "%s is no %s",
                        spec_quote(reading->arena, scalar->text), kinds[field->type].what);
        diagnostics_mend(reading->diagnostics, "%s", kinds[field->type].mend);
        return false;
    }
    if (!is_within(reading, field, scalar, value)) {
        return false;
    }
    *ret_value = value;
    return true;
}

/* ---- words ---- */

static bool read_bool(const struct spec_reading *reading, const struct spec_scalar *scalar, bool *ret_value) {
    bool is_true = span_equal_text(scalar->text, "true");
    if (scalar->is_plain && (is_true || span_equal_text(scalar->text, "false"))) {
        *ret_value = is_true;
        return true;
    }
    const char *quoted = spec_quote(reading->arena, scalar->text);
    bool is_old = scalar->is_plain && yaml_plain_of(scalar->text) == YAML_PLAIN_BOOL_1_1;
    diagnostics_add(reading->diagnostics, DIAGNOSTIC_NOT_A_BOOL, scalar->place, scalar->path, "%s is no truth value%s",
                    quoted,
                    is_old             ? " to every YAML reader"
                    : scalar->is_plain ? ""
                                       : ", as it stands in quotes");
    diagnostics_mend(reading->diagnostics, "write true or false");
    return false;
}

static void mend_choice(const struct spec_reading *reading, const struct spec_field *field) {
    struct buffer words = BUFFER_EMPTY;
    for (int i = 0; field->choices[i] != NULL; i++) {
        const char *before = i == 0 ? "" : field->choices[i + 1] == NULL ? " or " : ", ";
        buffer_append_format(&words, "%s%s", before, field->choices[i]);
    }
    diagnostics_mend(reading->diagnostics, "write %.*s", (int) words.size, (const char *) words.data);
    buffer_finish(&words);
}

/* A text without quotes that is none to other readers. */
static void tell_no_text(const struct spec_reading *reading, const struct spec_scalar *scalar) {
    diagnostics_add(reading->diagnostics, DIAGNOSTIC_NOT_A_TEXT, scalar->place, scalar->path,
                    "%s without quotes is %s to YAML readers", (const char *) scalar->text.data,
                    yaml_plain_name(yaml_plain_of(scalar->text)));
    diagnostics_mend(reading->diagnostics, "write %s", spec_quote(reading->arena, scalar->text));
}

static bool is_text(const struct spec_scalar *scalar) {
    return !scalar->is_plain || yaml_plain_of(scalar->text) == YAML_PLAIN_TEXT;
}

static bool read_choice(const struct spec_reading *reading, const struct spec_field *field,
                        const struct spec_scalar *scalar, int *ret_value) {
    for (int i = 0; field->choices[i] != NULL; i++) {
        if (span_equal_text(scalar->text, field->choices[i])) {
            if (!is_text(scalar)) {
                tell_no_text(reading, scalar);
                return false;
            }
            *ret_value = i;
            return true;
        }
    }
    diagnostics_add(reading->diagnostics, DIAGNOSTIC_NOT_A_CHOICE, scalar->place, scalar->path, "%s is not known here",
                    spec_quote(reading->arena, scalar->text));
    mend_choice(reading, field);
    return false;
}

/* ---- texts ---- */

static bool is_good_length(const struct spec_reading *reading, const struct spec_field *field,
                           const struct spec_scalar *scalar) {
    int64_t size = (int64_t) scalar->text.size;
    bool is_bounded = field->minimum != 0 || field->maximum != 0;
    int64_t maximum = is_bounded ? field->maximum : (int64_t) spec_format_bytes_max(field->format);
    if (size >= field->minimum && size <= maximum) {
        return true;
    }
    diagnostics_add(reading->diagnostics, DIAGNOSTIC_OUT_OF_BOUNDS, scalar->place, scalar->path,
                    "the text has %" PRId64 " bytes", size);
    diagnostics_mend(reading->diagnostics, "it may have %" PRId64 " to %" PRId64, field->minimum, maximum);
    return false;
}

const char *spec_value_text(const struct spec_reading *reading, const struct spec_field *field,
                            const struct spec_scalar *scalar) {
    if (!is_text(scalar)) {
        tell_no_text(reading, scalar);
        return NULL;
    }
    if (scalar->text.size > 0 && memchr(scalar->text.data, 0, scalar->text.size) != NULL) {
        diagnostics_add(reading->diagnostics, DIAGNOSTIC_BAD_FORMAT, scalar->place, scalar->path,
                        "the text has a NUL byte inside");
        diagnostics_mend(reading->diagnostics, "leave it out");
        return NULL;
    }
    if (!is_good_length(reading, field, scalar)) {
        return NULL;
    }
    const char *text = arena_text_of(reading->arena, scalar->text);
    if (scalar->text.size > 0 && !spec_format_accepts(field->format, text)) {
        diagnostics_add(reading->diagnostics, DIAGNOSTIC_BAD_FORMAT, scalar->place, scalar->path,
                        "%s has not the form of this field", spec_quote(reading->arena, scalar->text));
        diagnostics_mend(reading->diagnostics, "write %s", spec_format_description(field->format));
        return NULL;
    }
    return text;
}

/* ---- any ---- */

static bool has_value(const struct spec_reading *reading, const struct spec_scalar *scalar) {
    if (!scalar->is_plain || yaml_plain_of(scalar->text) != YAML_PLAIN_NULL) {
        return true;
    }
    diagnostics_add(reading->diagnostics, DIAGNOSTIC_NO_VALUE, scalar->place, scalar->path, "there is no value");
    return false;
}

static bool read_text(const struct spec_reading *reading, const struct spec_field *field, void *target,
                      const struct spec_scalar *scalar) {
    const char *text = spec_value_text(reading, field, scalar);
    if (text != NULL) {
        *(const char **) field_of(field, target) = text;
    }
    return text != NULL;
}

bool spec_value_read(const struct spec_reading *reading, const struct spec_field *field, void *target,
                     const struct spec_scalar *scalar) {
    if (!has_value(reading, scalar)) {
        return false;
    }
    switch (field->type) {
    case SPEC_BOOL:
        return read_bool(reading, scalar, field_of(field, target));
    case SPEC_COUNT:
        return read_count(reading, field, scalar, field_of(field, target));
    case SPEC_MEMORY:
    case SPEC_CPU:
    case SPEC_DURATION:
        return read_amount(reading, field, scalar, field_of(field, target));
    case SPEC_TEXT:
        return read_text(reading, field, target, scalar);
    case SPEC_CHOICE:
        return read_choice(reading, field, scalar, field_of(field, target));
    case SPEC_TEXT_LIST:
    case SPEC_PAIRS:
    case SPEC_ITEM_LIST:
    case SPEC_RAW_MAP:
    case SPEC_RAW_LIST:
        break;
    }
    unreachable("%s is no single value", field->path);
}
