/* What the files of this folder share and nobody else includes. Thread: the client's. */
#ifndef CALLBOARD_OPERATOR_APPLY_APPLY_PARTS_H
#define CALLBOARD_OPERATOR_APPLY_APPLY_PARTS_H

#include "operator/apply/apply.h"

void apply_add_problem(struct apply_plan *self, enum kube_result result, const char *text);
void apply_tell(const struct apply_plan *self, const char *text);

#endif
