/* The Helm chart's side of a spec: its values are the spec's own fields under their own names, with `profile` and
 * `metadata` beside them. What the chart needs of the tables is printed into its folder by tools/print_chart, and tests
 * compare: defaults (values.yaml, profiles/), and the keys of configurations that no pod is replaced for. Thread: the
 * main thread. */
#ifndef CALLBOARD_OPERATOR_CHART_CHART_VALUES_H
#define CALLBOARD_OPERATOR_CHART_CHART_VALUES_H

#include "operator/manifest/manifest.h"
#include "operator/spec/spec_document.h"

/* The chart's own fields beside those of a spec. */
extern const struct spec_fields chart_test_fields;

/* What the spec sets, and what `render` takes from nobody but it: the version of Kubernetes. The chart fills in the
 * rest as the spec's reader does. */
manifest_t *chart_values_of(const spec_document_t *document);

/* profiles/NAME.yaml: the defaults that not all profiles share. */
manifest_t *chart_profile(arena_t *arena, int profile);
/* values.yaml: the defaults that they share, each with its help; the others as comments. */
void chart_values_append_defaults(struct buffer *out);
/* reloaded.yaml: the keys that running gateways and brokers take up by themselves. */
manifest_t *chart_reloaded_keys(arena_t *arena);

#endif
