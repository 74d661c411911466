/* What somebody may have meant by a name that does not exist. Thread: any (no state). */
#ifndef CALLBOARD_BASE_CONFIG_NEAREST_H
#define CALLBOARD_BASE_CONFIG_NEAREST_H

#include "base/bytes.h"

enum { CONFIG_NAME_MAX = 96 }; /* of names that are compared */

/* The least number of letters to add, leave out, change or swap with their neighbour (Damerau-Levenshtein, no letter
 * twice); UINT_MAX when a name is longer than CONFIG_NAME_MAX. */
unsigned config_name_distance(struct span a, struct span b);

/* Collects the nearest of several candidates; borrowed. */
struct config_nearest {
    struct span name;
    struct span best; /* empty: none is near */
    unsigned distance;
};
struct config_nearest config_nearest_to(struct span name);
void config_nearest_consider(struct config_nearest *self, struct span candidate);

#endif
