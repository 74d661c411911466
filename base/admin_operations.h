/* What a person may do by hand over the internal listener, beside looking at figures: read channels (which there are,
 * who is present, their history), and publish. Off unless internal.operations says so; whoever has internal.token has
 * the right to all that is switched on, and each publication leaves a line in the log: who (the address), where, how
 * much, and what came of it. Thread: any (no state). */
#ifndef CALLBOARD_BASE_ADMIN_OPERATIONS_H
#define CALLBOARD_BASE_ADMIN_OPERATIONS_H

#include "base/http_service.h"
#include "base/json_scan.h"

/* internal.operations */
enum admin_operations { ADMIN_OPERATIONS_OFF, ADMIN_OPERATIONS_READ, ADMIN_OPERATIONS_PUBLISH };

/* Where calls are made, which there are and within which bounds (internal.body_max, internal.calls_max,
 * internal.call_timeout); `take` and `context` are the caller's to fill. */
struct http_service_calls admin_operations_calls(enum admin_operations operations, int64_t body_max, int64_t calls_max,
                                                 int64_t timeout_ms);

/* The one JSON object of a call, judged. False: it is none, and the call was refused. */
bool admin_operations_read(struct http_call *call, struct json_value *ret_object);

#endif
