/* sentinel.conf from its template and from what Sentinel itself wrote into it in an earlier life: pure. Thread: any. */
#ifndef CALLBOARD_OPERATOR_SENTINEL_CONF_H
#define CALLBOARD_OPERATOR_SENTINEL_CONF_H

#include "base/bytes.h"

/* Appends the merged file. True: the old file's state was kept; false: it has none (empty, cut off, of another set),
 * and the template stands alone. */
bool sentinel_conf_merge(struct buffer *out, struct span template_text, struct span old, const char *master_set);

#endif
