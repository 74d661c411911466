/* The list as a table. */
#include "operator/diagnostics/diagnostic_codes.h"

#include "base/check.h"

#include <strings.h>

#define MEANING(name, number, title, why, mend) [DIAGNOSTIC_##name] = {number, title, why, mend},
static const struct diagnostic_meaning meanings[DIAGNOSTIC_CODES_N] = {DIAGNOSTIC_CODES(MEANING)};

const struct diagnostic_meaning *diagnostic_meaning_of(enum diagnostic_code code) {
    check(code < DIAGNOSTIC_CODES_N, "code %d", (int) code);
    return &meanings[code];
}

bool diagnostic_code_parse(struct span text, enum diagnostic_code *ret_code) {
    uint64_t number;
    bool is_code = text.size == 6 && strncasecmp((const char *) text.data, "CB", 2) == 0 &&
                   span_parse_u64(span_of(text.data + 2, 4), &number);
    for (size_t i = 0; is_code && i < DIAGNOSTIC_CODES_N; i++) {
        if (meanings[i].number == number) {
            *ret_code = (enum diagnostic_code) i;
            return true;
        }
    }
    return false;
}
