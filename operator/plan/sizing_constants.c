/* The list as a table. */
#include "operator/plan/sizing_constants.h"

#include "base/check.h"

#define ROW(name, label, value, unit, source) [CONSTANT_##name] = {label, value, unit, source},
static const struct sizing_constant_row rows[SIZING_CONSTANTS_N] = {SIZING_CONSTANTS(ROW)};

const struct sizing_constant_row *sizing_constant_row(enum sizing_constant constant) {
    check(constant < SIZING_CONSTANTS_N, "constant %d", (int) constant);
    return &rows[constant];
}
