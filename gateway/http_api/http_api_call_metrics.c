/* The rows of http_api_metric_table, in the order of enum http_api_metric. */
#include "gateway/http_api/http_api_call.h"

#define COMMANDS "callboard_http_api_commands_total", "Commands of the HTTP API, those of batches too.", METRIC_COUNTER
#define SECONDS                                                                                                        \
    "callboard_http_api_command_seconds", "Time from a command's turn to its result; of a batch from its arrival.",    \
        METRIC_HISTOGRAM
#define ERRORS  "callboard_http_api_errors_total", "Errors in answers of the HTTP API.", METRIC_COUNTER
#define REFUSED "callboard_http_api_refused_total", "Requests that were no calls of the HTTP API.", METRIC_COUNTER

const struct metric_description http_api_metric_table[HTTP_API_METRICS] = {
#define COMMAND_ROW(NAME, text) [HTTP_API_METRIC_COMMANDS_##NAME] = {COMMANDS, "method=\"" text "\""},
    HTTP_API_METHODS(COMMAND_ROW)
#undef COMMAND_ROW
#define SECONDS_ROW(NAME, text) [HTTP_API_METRIC_SECONDS_##NAME] = {SECONDS, "method=\"" text "\""},
        HTTP_API_METHODS(SECONDS_ROW)
#undef SECONDS_ROW
#define ERROR_ROW(name, number, slug, message, temporary, definite)                                                    \
    [HTTP_API_METRIC_ERROR_##name] = {ERRORS, "code=\"" #number "\""},
            ERROR_CODES(ERROR_ROW)
#undef ERROR_ROW
                [HTTP_API_METRIC_CONNECTIONS] = {"callboard_http_api_connections", "Open connections to the HTTP API.",
                                                 METRIC_GAUGE, NULL},
    [HTTP_API_METRIC_REFUSED_BUSY] = {REFUSED, "reason=\"busy\""},
    [HTTP_API_METRIC_REFUSED_KEY] = {REFUSED, "reason=\"key\""},
    [HTTP_API_METRIC_REFUSED_REQUEST] = {REFUSED, "reason=\"request\""},
    [HTTP_API_METRIC_REFUSED_BODY] = {REFUSED, "reason=\"body\""},
    [HTTP_API_METRIC_TIMEOUTS] = {"callboard_http_api_timeouts_total",
                                  "Requests that http_api.timeout ended, while their body came or an answer was due.",
                                  METRIC_COUNTER, NULL},
    [HTTP_API_METRIC_SECONDS] = {"callboard_http_api_seconds", "Time from a whole request to its answer.",
                                 METRIC_HISTOGRAM, NULL},
};
