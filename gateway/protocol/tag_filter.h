/* Tags filters of subscriptions (client-protocol.md section 16): read from the request once, kept once for all
 * subscriptions that ask for the same, and judged once for each publication, however many ask.
 *
 *   {"op":"and","nodes":[{"key":"sport","cmp":"in","vals":["chess","go"]},{"op":"not","nodes":[{"key":"draft","cmp":"ex"}]}]}
 *
 * Leaves (no op) compare one tag: eq, neq, in, nin, ex, nex, sw, ew, ct with strings; lt, lte, gt, gte with decimal
 * numbers of any length. A tag that is not there, or is no number, fails every comparison but neq, nin and nex. Thread:
 * the worker's. */
#ifndef CALLBOARD_GATEWAY_TAG_FILTER_H
#define CALLBOARD_GATEWAY_TAG_FILTER_H

#include "base/json_scan.h"

enum {
    TAG_FILTER_NODES_MAX = 64,
    TAG_FILTER_VALS_MAX = 64, /* in the whole filter */
    TAG_FILTER_DEPTH_MAX = 6, /* as many as fit into a command in protobuf */
    TAG_FILTER_BYTES_MAX = 4096,
};

typedef struct tag_filter tag_filter_t;
typedef struct tag_filter_set tag_filter_set_t;

tag_filter_set_t *tag_filter_set_new(void);
void tag_filter_set_destroy(tag_filter_set_t **self_p); /* every filter was released */
size_t tag_filter_set_count(const tag_filter_set_t *self);

/* The filter of the request, the same one for equal requests; a reference. NULL: malformed, or over a bound (error
 * 107). */
tag_filter_t *tag_filter_take(tag_filter_set_t *set, struct json_value request);
void tag_filter_release(tag_filter_t **self_p); /* accepts NULL */

/* tags: wire_tags. */
bool tag_filter_passes(const tag_filter_t *self, struct span tags);
/* The same; asked again with the same serial (of a publication, not 0), it remembers the answer. */
bool tag_filter_passes_once(tag_filter_t *self, struct span tags, uint64_t serial);

#endif
