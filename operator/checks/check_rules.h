/* The rules: one function each, in the file of what it is about. Each tells with the place of the field that can mend
 * it, and with the place of the other field of a conflict. Thread: the main thread. */
#ifndef CALLBOARD_OPERATOR_CHECKS_CHECK_RULES_H
#define CALLBOARD_OPERATOR_CHECKS_CHECK_RULES_H

#include "operator/spec/spec_document.h"

struct check {
    const spec_document_t *document;
    const struct spec *spec;
    struct diagnostics *diagnostics;
    size_t n_before;   /* diagnostics from before the rules: a field that has an error there is not judged further */
    bool *was_skipped; /* the one told last was such a one: its mend and other place are for nobody */
};

typedef void check_rule_t(const struct check *check);

/* A NULL-terminated list a file. */
extern check_rule_t *const check_rules_general[];
extern check_rule_t *const check_rules_gateway[];
extern check_rule_t *const check_rules_edge[];
extern check_rule_t *const check_rules_broker[];
extern check_rule_t *const check_rules_redis[];
extern check_rule_t *const check_rules_external[];
extern check_rule_t *const check_rules_placement[];
extern check_rule_t *const check_rules_workload[];
extern check_rule_t *const check_rules_config[];

/* One diagnostic at the field `path` (below spec, or metadata.…). */
void check_tell(const struct check *check, enum diagnostic_code code, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* For the one told last. */
void check_mend(const struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The other field of a conflict: "3 is set here", or where it is not set, what gave it. */
void check_other(const struct check *check, const char *path);
bool check_is_set(const struct check *check, const char *path);
/* An amount as it is written; valid as long as the document. */
const char *check_amount(const struct check *check, enum spec_type type, int64_t value);

#endif
