/* The channels of many gateway workers as one list, a page of it as JSON. A worker lists its own (wire.h, COMMAND with
 * CHANNELS: name sized, u32 clients, each) in any order; what several of them list stands one after another, so a name
 * stands as often as workers have it. Thread: any (no state). */
#ifndef CALLBOARD_BASE_CHANNEL_LIST_H
#define CALLBOARD_BASE_CHANNEL_LIST_H

#include "base/bytes.h"

struct channel_list_page {
    struct span behind; /* only names above it, byte by byte; empty: from the first */
    size_t limit;       /* most channels of the page; 0: all */
    /* For whom is it? NULL: everybody. */
    bool (*admits)(void *context, struct span name);
    void *context;
};

/* Appends {"NAME":{"num_clients":N},…}: by name, each once, with the clients of all workers. Returns the page's last
 * name where channels follow (it points into `listed`), else an empty span. What is malformed ends the list. */
struct span channel_list_append_page(struct buffer *out, struct span listed, const struct channel_list_page *page);

#endif
