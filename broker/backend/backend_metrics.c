/* What the backend API counts. */
#include "broker/backend/backend_api_parts.h"

const struct metric_description backend_metric_rows[BACKEND_METRICS_COUNT] = {
    [BACKEND_METRIC_REQUESTS] = {"callboard_backend_requests_total", "Backend requests that were read", METRIC_COUNTER,
                                 NULL},
    [BACKEND_METRIC_BAD_REQUESTS] = {"callboard_backend_bad_requests_total",
                                     "Backend requests that were refused as malformed or unknown", METRIC_COUNTER,
                                     NULL},
    [BACKEND_METRIC_REFUSED_BUSY] =
        {"callboard_backend_refused_busy_total",
         "Backend requests refused because backend.requests or a shard's inbox was at its bound", METRIC_COUNTER, NULL},
    [BACKEND_METRIC_REPLIES_DROPPED] = {"callboard_backend_replies_dropped_total",
                                        "Answers whose peer was gone or did not read", METRIC_COUNTER, NULL},
    [BACKEND_METRIC_PENDING] = {"callboard_backend_requests_pending", "Backend requests that wait for a shard",
                                METRIC_GAUGE, NULL},
    [BACKEND_METRIC_SUBSCRIPTIONS] = {"callboard_backend_subscriptions",
                                      "Subscriptions of backend services, at most backend.subscriptions", METRIC_GAUGE,
                                      NULL},
    [BACKEND_METRIC_EVENTS] = {"callboard_backend_events_total", "Events sent to subscribed backend services",
                               METRIC_COUNTER, NULL},
    [BACKEND_METRIC_EVENTS_BEHIND] =
        {"callboard_backend_events_behind_total",
         "Times a subscribed service did not read, so that its subscription went on later from its position",
         METRIC_COUNTER, NULL},
    [BACKEND_METRIC_PUSHES] =
        {"callboard_backend_pushes_total",
         "Publications taken that nobody waits for: of the PULL endpoint, and those with ack none", METRIC_COUNTER,
         NULL},
    [BACKEND_METRIC_PUSH_BAD] =
        {"callboard_backend_push_dropped_total",
         "Publications that nobody waits for (the PULL endpoint, ack none) and that could not be kept", METRIC_COUNTER,
         "reason=\"bad_request\""},
    [BACKEND_METRIC_PUSH_BUSY] =
        {"callboard_backend_push_dropped_total",
         "Publications that nobody waits for (the PULL endpoint, ack none) and that could not be kept", METRIC_COUNTER,
         "reason=\"busy\""},
    [BACKEND_METRIC_NOT_ALLOWED] =
        {"callboard_backend_key_not_allowed_total",
         "Requests, publications and subscriptions ended because the CURVE key was taken off the list", METRIC_COUNTER,
         NULL},
    [BACKEND_METRIC_CURVE_REFUSED] = {"callboard_curve_zap_refused_total",
                                      "Connections refused because their key is not on the list.", METRIC_COUNTER,
                                      "endpoint=\"backends\""},
};
