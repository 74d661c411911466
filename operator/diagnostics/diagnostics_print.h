/* Diagnostics as text for a person (with the line of the file and a caret), as JSON, and as SARIF 2.1.0 for CI.
 * Thread: any (no state). */
#ifndef CALLBOARD_OPERATOR_DIAGNOSTICS_DIAGNOSTICS_PRINT_H
#define CALLBOARD_OPERATOR_DIAGNOSTICS_DIAGNOSTICS_PRINT_H

#include "operator/diagnostics/diagnostics.h"

/* deploy.yaml:27:16: error[CB2103]: spec.redis.sentinel.quorum: 1 is no majority of 3 sentinels
 *    27 |       quorum: 1
 *       |               ^ two masters could be elected; use 2 */
void diagnostics_print_text(const struct diagnostics *self, bool has_color, bool is_quiet, struct buffer *out);
void diagnostics_print_json(const struct diagnostics *self, struct buffer *out);
void diagnostics_print_sarif(const struct diagnostics *self, struct buffer *out);

/* "error" or "warning" */
const char *diagnostic_severity(const struct diagnostic *item);
/* Its mend, else the one of its code. */
const char *diagnostic_mend_of(const struct diagnostic *item);

#endif
