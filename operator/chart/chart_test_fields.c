/* What the chart has beside a spec: the pod of `helm test`. No spec has these fields and nothing reads them here; the
 * table is for values.yaml and values.schema.json. */
#include "operator/chart/chart_values.h"
#include "operator/spec/field_rows.h"

static const struct spec_field fields[] = {
    {.path = "test.enabled",
     .type = SPEC_BOOL,
     DEFAULT("true"),
     EFFECT(NOTHING),
     HELP("helm test opens a WebSocket, publishes, receives and recovers."),
     CHANGES("the pod of the test")},
    {.path = "test.channel",
     .type = SPEC_TEXT,
     RANGE(0, 255),
     EFFECT(NOTHING),
     HELP("On which channel, in a namespace that keeps a history. Empty: one of the first namespace in which clients "
          "may "
          "publish, or serviceSecret; where there is none there is no test."),
     CHANGES("the pod of the test")},
    {.path = "test.serviceSecret",
     .type = SPEC_TEXT,
     FORMAT(NAME),
     EFFECT(NOTHING),
     HELP("A Secret whose service.key is the key pair of a backend service (callboardctl keygen) that publishes there "
          "instead of a client; its public half stands among the services' keys."),
     CHANGES("the pod of the test")},
};

const struct spec_fields chart_test_fields = {
    .title = "test",
    .intro = "The chart's own test.",
    FIELDS_OF(fields),
};
