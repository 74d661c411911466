/* A protobuf reply of the gateway's as the JSON that a JSON client gets for it: a small reader of the test's own, along
 * a schema written down from client-protocol.md, so that one expectation serves both codecs. Thread: any. */
#ifndef CALLBOARD_TESTS_PROTOBUF_VIEW_H
#define CALLBOARD_TESTS_PROTOBUF_VIEW_H

#include "base/bytes.h"

/* Appends the JSON of every delimited entry, one a line. False: what no reply of ours may look like (unknown fields,
 * fields out of order, zero values that are written, varints longer than they need, lengths that do not fit). */
bool protobuf_view(struct span message, struct buffer *out);

#endif
