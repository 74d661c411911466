/* Numbers for a person. Thousands are parted by commas whatever the machine's language is. */
#include "operator/plan/sizing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* 1234567 as 1,234,567. */
static const char *parted(arena_t *arena, int64_t value) {
    char digits[24];
    char text[32];
    int n = snprintf(digits, sizeof digits, "%" PRId64, value);
    size_t size = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0 && digits[i - 1] != '-') {
            text[size++] = ',';
        }
        text[size++] = digits[i];
    }
    return arena_text_of(arena, span_of(text, size));
}

/* Three digits that count, without zeros behind the point. */
const char *sizing_number(arena_t *arena, double value) {
    if (value >= 100 || value == (double) (int64_t) value) {
        return parted(arena, (int64_t) (value + 0.5));
    }
    char text[32];
    snprintf(text, sizeof text, value < 0.001 ? "%.7f" : value < 0.1 ? "%.4f" : value < 10 ? "%.2f" : "%.1f", value);
    size_t size = strlen(text);
    while (text[size - 1] == '0') {
        size--;
    }
    size -= text[size - 1] == '.';
    return arena_text_of(arena, span_of(text, size));
}

static const char *scaled(arena_t *arena, double value, double step, const char *const *units, size_t n,
                          const char *end) {
    size_t i = 0;
    while (i + 1 < n && value >= step) {
        value /= step;
        i++;
    }
    return arena_format(arena, "%s %s%s", sizing_number(arena, value), units[i], end);
}

const char *sizing_amount(arena_t *arena, enum sizing_unit unit, double value) {
    static const char *const binary[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    static const char *const decimal[] = {"B", "kB", "MB", "GB", "TB"};
    switch (unit) {
    case SIZING_COUNT:
        return sizing_number(arena, value);
    case SIZING_CORES:
        return arena_format(arena, "%s core%s", sizing_number(arena, value), value == 1 ? "" : "s");
    case SIZING_BYTES:
        return scaled(arena, value, 1024, binary, sizeof binary / sizeof binary[0], "");
    case SIZING_BYTES_A_SECOND:
        return scaled(arena, value, 1000, decimal, sizeof decimal / sizeof decimal[0], "/s");
    case SIZING_SECONDS:
        return arena_format(arena, "%s s", sizing_number(arena, value));
    }
    return "";
}
