/* One small recogniser a kind; a text is looked at once from the left. */
#include "operator/yaml_plain.h"

#include "base/check.h"

#include <strings.h>

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

static bool is_word_of(struct span text, const char *const *words) {
    for (size_t i = 0; words[i] != NULL; i++) {
        if (text.size == strlen(words[i]) && strncasecmp((const char *) text.data, words[i], text.size) == 0) {
            return true;
        }
    }
    return false;
}

static struct span without_sign(struct span text) {
    bool has_sign = text.size > 0 && (text.data[0] == '-' || text.data[0] == '+');
    return has_sign ? span_of(text.data + 1, text.size - 1) : text;
}

static size_t count_of(struct span text, const char *set) {
    size_t n = 0;
    while (n < text.size && text.data[n] != '\0' && strchr(set, text.data[n]) != NULL) {
        n++;
    }
    return n;
}

static bool consists_of(struct span text, const char *set) {
    return text.size > 0 && count_of(text, set) == text.size;
}

static struct span behind(struct span text, size_t n) {
    return span_of(text.data + n, text.size - n);
}

/* 0x1f, 0b11, 0o17 */
static bool has_radix(struct span digits, char letter, const char *set) {
    return digits.size > 2 && digits.data[0] == '0' && (digits.data[1] | 0x20) == letter &&
           consists_of(behind(digits, 2), set);
}

/* 190:20:30, also with a fraction: each part but the first below 60. */
static bool is_base_60(struct span digits) {
    size_t n = count_of(digits, "0123456789_");
    if (n == 0 || n == digits.size || digits.data[n] != ':') {
        return false;
    }
    for (struct span rest = behind(digits, n); rest.size > 0 && rest.data[0] == ':';) {
        rest = behind(rest, 1);
        size_t size = count_of(rest, "0123456789");
        if (size == 0 || size > 2 || (size == 2 && rest.data[0] > '5')) {
            return false;
        }
        rest = behind(rest, size);
        if (rest.size == 0 || (rest.data[0] == '.' && count_of(behind(rest, 1), "0123456789_") == rest.size - 1)) {
            return true;
        }
    }
    return false;
}

/* 1.5, .5, 1., 1e5, 1.5e-3 */
static bool is_float(struct span digits) {
    static const char *const names[] = {".inf", ".nan", NULL};
    if (is_word_of(digits, names)) {
        return true;
    }
    size_t n_before = count_of(digits, "0123456789_");
    if (n_before > 0 && digits.data[0] == '_') {
        return false;
    }
    struct span rest = behind(digits, n_before);
    size_t n_behind = 0;
    if (rest.size > 0 && rest.data[0] == '.') {
        rest = behind(rest, 1);
        n_behind = count_of(rest, "0123456789_");
        rest = behind(rest, n_behind);
    } else if (rest.size == 0) {
        return false;
    }
    if (n_before + n_behind == 0) {
        return false;
    }
    if (rest.size == 0) {
        return true;
    }
    return (rest.data[0] | 0x20) == 'e' && consists_of(without_sign(behind(rest, 1)), "0123456789");
}

/* 2026-1-31, also with a time behind it. */
static bool is_date(struct span text) {
    static const size_t least[] = {4, 1, 1};
    static const size_t most[] = {4, 2, 2};
    struct span rest = text;
    for (size_t i = 0; i < 3; i++) {
        size_t n = count_of(rest, "0123456789");
        if (n < least[i] || n > most[i]) {
            return false;
        }
        rest = behind(rest, n);
        if (i < 2) {
            if (rest.size == 0 || rest.data[0] != '-') {
                return false;
            }
            rest = behind(rest, 1);
        }
    }
    return rest.size == 0 || ((rest.data[0] == ' ' || rest.data[0] == 't' || rest.data[0] == 'T') && rest.size > 1 &&
                              is_digit(rest.data[1]));
}

static enum yaml_plain number_of(struct span digits) {
    if (has_radix(digits, 'o', "01234567_")) {
        return YAML_PLAIN_OCTAL;
    }
    if (has_radix(digits, 'x', "0123456789abcdefABCDEF_") || has_radix(digits, 'b', "01_")) {
        return YAML_PLAIN_RADIX;
    }
    if (digits.size > 0 && is_digit(digits.data[0]) && consists_of(digits, "0123456789_")) {
        if (memchr(digits.data, '_', digits.size) != NULL) {
            return YAML_PLAIN_UNDERSCORED;
        }
        return digits.size > 1 && digits.data[0] == '0' ? YAML_PLAIN_OCTAL : YAML_PLAIN_INT;
    }
    if (is_base_60(digits)) {
        return YAML_PLAIN_BASE_60;
    }
    return is_float(digits) ? YAML_PLAIN_FLOAT : YAML_PLAIN_TEXT;
}

enum yaml_plain yaml_plain_of(struct span text) {
    static const char *const nulls[] = {"", "~", "null", NULL};
    static const char *const bools[] = {"true", "false", NULL};
    static const char *const old_bools[] = {"yes", "no", "on", "off", "y", "n", NULL};
    static const char *const specials[] = {"<<", "=", NULL};
    if (text.size == 0 || is_word_of(text, nulls)) {
        return YAML_PLAIN_NULL;
    }
    if (is_word_of(text, bools)) {
        return YAML_PLAIN_BOOL;
    }
    if (is_word_of(text, old_bools)) {
        return YAML_PLAIN_BOOL_1_1;
    }
    if (is_word_of(text, specials)) {
        return YAML_PLAIN_SPECIAL;
    }
    return is_date(text) ? YAML_PLAIN_DATE : number_of(without_sign(text));
}

const char *yaml_plain_name(enum yaml_plain kind) {
    switch (kind) {
    case YAML_PLAIN_TEXT:
        return "a text";
    case YAML_PLAIN_NULL:
        return "nothing (null)";
    case YAML_PLAIN_BOOL:
    case YAML_PLAIN_BOOL_1_1:
        return "true or false";
    case YAML_PLAIN_INT:
        return "a number";
    case YAML_PLAIN_OCTAL:
        return "an octal number";
    case YAML_PLAIN_RADIX:
        return "a number in another base";
    case YAML_PLAIN_UNDERSCORED:
        return "a number with its underscores left out";
    case YAML_PLAIN_BASE_60:
        return "a number in base 60";
    case YAML_PLAIN_FLOAT:
        return "a number with a fraction";
    case YAML_PLAIN_DATE:
        return "a date";
    case YAML_PLAIN_SPECIAL:
        return "a word of YAML's own";
    }
    unreachable("a kind of scalar %d", (int) kind);
}
