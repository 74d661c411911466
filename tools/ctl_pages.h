/* Answers of the backend API that come page by page: {"…":…,"cursor"?:"…"}. What presence and channels of callboardctl
 * share. Thread: main. */
#ifndef CALLBOARD_TOOLS_CTL_PAGES_H
#define CALLBOARD_TOOLS_CTL_PAGES_H

#include "tools/ctl.h"

enum { CTL_PAGE_MAX = 10000 };

struct ctl_pages {
    const char *method;
    const char *member; /* of the answer: an object or array of which each element is printed */
    const char *counts; /* not NULL: each name instead, and this number of its element behind a tab */
    /* The first param: its name, and its text; NULL for none. */
    const char *param;
    const char *value;
    uint64_t limit; /* 0: without one */
    const char *cursor;
    bool all; /* page after page to the end */
};

/* The options of such a command. */
#define CTL_PAGES_LIMIT                                                                                                \
    {                                                                                                                  \
        .name = "limit", .kind = CTL_NUMBER, .value = "N", .minimum = 1, .maximum = CTL_PAGE_MAX,                      \
        .help = "a page of so many"                                                                                    \
    }
#define CTL_PAGES_CURSOR                                                                                               \
    { .name = "cursor", .kind = CTL_TEXT, .value = "C", .help = "the page behind this, as the one before it said" }
#define CTL_PAGES_ALL                                                                                                  \
    { .name = "all", .kind = CTL_FLAG, .help = "page after page to the end" }

/* Connects, asks and prints. Where there are more pages than were wanted, stderr says how to go on. */
int ctl_pages_print(const struct ctl_pages *self, const struct ctl_options *options);

#endif
