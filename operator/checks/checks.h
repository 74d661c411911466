/* Rules across the fields of one spec: what Kubernetes or a program would refuse, and what it would accept and regret.
 * Thread: the main thread. */
#ifndef CALLBOARD_OPERATOR_CHECKS_CHECKS_H
#define CALLBOARD_OPERATOR_CHECKS_CHECKS_H

#include "operator/spec/spec_document.h"

void checks_run(const spec_document_t *document, struct diagnostics *diagnostics);

#endif
