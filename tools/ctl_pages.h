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
    /* The first param, "" for none: its name, and its text. */
    const char *param;
    const char *value;
    uint64_t limit; /* 0: without one */
    const char *cursor;
    bool all; /* page after page to the end */
};

/* Takes --limit, --cursor and --all (`option` is 'l', 'c' or 'a', `value` its argument). A usage error is printed. */
int ctl_pages_option(struct ctl_pages *self, const char *command, int option, const char *value);
/* Asks and prints. Where there are more pages than were wanted, stderr says how to go on. */
int ctl_pages_print(const struct ctl_pages *self, const struct ctl_options *options, backend_client_t *client);

#endif
