/* Times as Kubernetes writes them: 2026-11-29T10:00:00Z (RFC 3339, also with a fraction and another zone). Thread: any.
 */
#ifndef CALLBOARD_OPERATOR_KUBE_KUBE_TIME_H
#define CALLBOARD_OPERATOR_KUBE_KUBE_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* Ms since 1970 UTC; false: this is no such time. */
bool kube_time_parse(const char *text, int64_t *ret_ms);

#endif
