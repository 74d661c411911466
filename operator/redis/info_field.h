/* Fields of INFO and CLUSTER INFO: lines name:value. Pure. Thread: any. */
#ifndef CALLBOARD_OPERATOR_INFO_FIELD_H
#define CALLBOARD_OPERATOR_INFO_FIELD_H

#include "base/bytes.h"

/* Empty where there is none of that name. */
struct span info_field(struct span info, const char *name);
bool info_field_is(struct span info, const char *name, const char *value);
uint64_t info_field_u64(struct span info, const char *name, uint64_t otherwise);

#endif
