/* The list of error_code.h as a table. */
#include "base/error_code.h"

const struct error_description error_descriptions[] = {
#define ERROR_CODE_ROW(name, code, reason, message, temporary, definite)                                               \
    {ERROR_##name, reason, message, temporary, definite},
    ERROR_CODES(ERROR_CODE_ROW)
#undef ERROR_CODE_ROW
};

const unsigned error_descriptions_count = sizeof error_descriptions / sizeof error_descriptions[0];

const struct error_description *error_describe(uint32_t code) {
    for (unsigned i = 0; i < error_descriptions_count; i++) {
        if ((uint32_t) error_descriptions[i].code == code) {
            return &error_descriptions[i];
        }
    }
    return &error_descriptions[0]; /* INTERNAL stands first in the list */
}
