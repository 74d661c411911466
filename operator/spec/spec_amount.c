/* A decimal with at most three digits behind the point, as thousandths; then its unit. */
#include "operator/spec/spec_amount.h"

struct unit {
    const char *name;
    int64_t factor;
};

#define KI INT64_C(1024)
static const struct unit memory_units[] = {
    {"", 1},
    {"Ki", KI},
    {"Mi", KI *KI},
    {"Gi", KI *KI *KI},
    {"Ti", KI *KI *KI *KI},
    {"k", 1000},
    {"M", 1000000},
    {"G", 1000000000},
    {"T", INT64_C(1000000000000)},
    {NULL, 0},
};
static const struct unit cpu_units[] = {{"", 1000}, {"m", 1}, {NULL, 0}};
static const struct unit time_units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                         {"h", 3600000}, {"d", 86400000}, {NULL, 0}};

static size_t count_digits(struct span text) {
    size_t n = 0;
    while (n < text.size && text.data[n] >= '0' && text.data[n] <= '9') {
        n++;
    }
    return n;
}

/* The number at the beginning, in thousandths; false: none, a zero before other digits, too many digits. */
static bool take_decimal(struct span *text, bool may_have_point, int64_t *ret_thousandths) {
    size_t n = count_digits(*text);
    if (n == 0 || n > 15 || (n > 1 && text->data[0] == '0')) {
        return false;
    }
    int64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        value = value * 10 + (text->data[i] - '0');
    }
    *text = span_of(text->data + n, text->size - n);
    int64_t fraction = 0;
    if (may_have_point && text->size > 0 && text->data[0] == '.') {
        struct span rest = span_of(text->data + 1, text->size - 1);
        size_t n_behind = count_digits(rest);
        if (n_behind == 0 || n_behind > 3) {
            return false;
        }
        for (size_t i = 0; i < 3; i++) {
            fraction = fraction * 10 + (i < n_behind ? rest.data[i] - '0' : 0);
        }
        *text = span_of(rest.data + n_behind, rest.size - n_behind);
    }
    *ret_thousandths = value * 1000 + fraction;
    return true;
}

/* The number times its unit, in units of 1/divisor of the thousandths; false: no unit, no whole number, too large. */
static bool parse(struct span text, const struct unit *units, bool may_have_point, int64_t *ret_value) {
    int64_t thousandths;
    if (!take_decimal(&text, may_have_point, &thousandths)) {
        return false;
    }
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (span_equal_text(text, unit->name)) {
            int64_t product;
            bool is_good = !__builtin_mul_overflow(thousandths, unit->factor, &product) && product % 1000 == 0;
            *ret_value = is_good ? product / 1000 : 0;
            return is_good;
        }
    }
    return false;
}

bool spec_memory_parse(struct span text, int64_t *ret_bytes) {
    return parse(text, memory_units, true, ret_bytes);
}

bool spec_cpu_parse(struct span text, int64_t *ret_thousandths) {
    return parse(text, cpu_units, true, ret_thousandths);
}

bool spec_duration_parse(struct span text, int64_t *ret_ms) {
    if (span_equal_text(text, "0")) {
        *ret_ms = 0;
        return true;
    }
    return parse(text, time_units, false, ret_ms);
}
