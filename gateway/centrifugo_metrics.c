/* One row a series. A label that Centrifugo has and we do not count by is left out: sums by it give one series without
 * it. Never with the text of a client in a label (client_name and the like): whoever connects could make series. */
#include "gateway/centrifugo_metrics.h"

#include "base/error_code.h"
#include "gateway/protocol/client_protocol.h"

/* clang-format off */
#define CLIENT_COMMANDS(X)                                                                                             \
    X("connect") X("subscribe") X("unsubscribe") X("publish") X("presence") X("presence_stats") X("history") X("rpc")  \
    X("send") X("refresh") X("sub_refresh")
#define API_METHODS(X)                                                                                                 \
    X("publish") X("broadcast") X("subscribe") X("unsubscribe") X("disconnect") X("refresh") X("presence")             \
    X("presence_stats") X("history") X("history_remove") X("channels") X("info") X("batch")

/* What stands before the labels of a row. */
#define ACTION      "centrifugo_node_action_count", "Number of various actions called.", METRIC_COUNTER
#define SENT        "centrifugo_node_messages_sent_count", "Number of messages sent to brokers.", METRIC_COUNTER
#define RECEIVED    "centrifugo_node_messages_received_count", "Number of messages received from brokers.", METRIC_COUNTER
#define REPLY_ERROR "centrifugo_client_num_reply_errors", "Number of errors in replies sent to clients.", METRIC_COUNTER
#define DISCONNECT  "centrifugo_client_num_server_disconnects", "Number of server initiated disconnects.", METRIC_COUNTER
#define UNSUBSCRIBE "centrifugo_client_num_server_unsubscribes", "Number of server initiated unsubscribes.", METRIC_COUNTER
#define RECOVER     "centrifugo_client_recover", "Count of recover operations with success/fail resolution.", METRIC_COUNTER
#define ACCEPTED    "centrifugo_client_connections_accepted", "Count of accepted transports.", METRIC_COUNTER
#define INFLIGHT    "centrifugo_client_connections_inflight", "Number of inflight client connections.", METRIC_GAUGE
#define IN_COUNT    "centrifugo_transport_messages_received", "Number of commands received from client connections.", METRIC_COUNTER
#define COMMAND     "centrifugo_client_command_duration_seconds", "Client command duration.", METRIC_SUMMARY
#define COMMAND_HISTOGRAM "centrifugo_client_command_duration_seconds_histogram", "Client command duration.", METRIC_HISTOGRAM
#define API_COMMAND "centrifugo_api_command_duration_seconds", "Duration of API commands.", METRIC_SUMMARY
#define API_COMMAND_HISTOGRAM "centrifugo_api_command_duration_seconds_histogram", "Duration of API commands.", METRIC_HISTOGRAM
#define API_ERROR   "centrifugo_api_command_errors_total", "Total errors in API commands.", METRIC_COUNTER

#define REQUESTS    "callboard_gateway_requests_total"
#define COMMANDS    "callboard_client_commands_total"
#define ENDED       "callboard_client_subscriptions_ended_total"
#define H1(transport) "transport=\"" transport "\",accept_protocol=\"h1\""

#define RECEIVED_ROW(command)          {IN_COUNT, "frame_type=\"" command "\"", COMMANDS, "command=\"" command "\""},
#define COMMAND_ROW(command)           {COMMAND, "method=\"" command "\"", "callboard_client_command_seconds", "command=\"" command "\""},
#define COMMAND_HISTOGRAM_ROW(command) {COMMAND_HISTOGRAM, "method=\"" command "\"", "callboard_client_command_seconds", "command=\"" command "\""},
#define API_ROW(method)                {API_COMMAND, "protocol=\"http\",method=\"" method "\"", "callboard_http_api_command_seconds", "method=\"" method "\""},
#define API_HISTOGRAM_ROW(method)      {API_COMMAND_HISTOGRAM, "protocol=\"http\",method=\"" method "\"", "callboard_http_api_command_seconds", "method=\"" method "\""},
#define REPLY_ERROR_ROW(name, code, reason, message, temporary, definite) \
    {REPLY_ERROR, "code=\"" #code "\"", "callboard_client_errors_total", "code=\"" #code "\",reason=\"" reason "\""},
#define API_ERROR_ROW(name, code, reason, message, temporary, definite) \
    {API_ERROR, "protocol=\"http\",error=\"" #code "\"", "callboard_http_api_errors_total", "code=\"" #code "\""},
#define DISCONNECT_ROW(name, code, reason) \
    {DISCONNECT, "code=\"" #code "\"", "callboard_client_disconnects_total", "code=\"" #code "\",reason=\"" reason "\""},

const struct metric_alias centrifugo_metric_table[] = {
    {"centrifugo_node_num_clients", "Number of clients connected.", METRIC_GAUGE, NULL, "callboard_client_connections", NULL},
    {"centrifugo_node_num_users", "Number of unique users connected.", METRIC_GAUGE, NULL, "callboard_client_users", NULL},
    {"centrifugo_node_num_subscriptions", "Number of subscriptions.", METRIC_GAUGE, NULL, "callboard_gateway_subscriptions", NULL},
    {"centrifugo_node_num_channels", "Number of channels with one or more subscribers.", METRIC_GAUGE, NULL, "callboard_gateway_channels", NULL},
    {"centrifugo_node_num_nodes", "Number of gateways in the cluster.", METRIC_GAUGE_MAX, NULL, "callboard_gateway_gateways", NULL},
    {"centrifugo_node_build", "Node build info.", METRIC_GAUGE, "version=\"" CALLBOARD_VERSION "\"", "callboard_build_info", NULL},
    {SENT, "type=\"publication\"", REQUESTS, "kind=\"publish\""},
    {RECEIVED, "type=\"publication\"", "callboard_gateway_pushes_total", NULL},
    {RECEIVED, "type=\"control\"", "callboard_gateway_commands_total", NULL},
    {ACTION, "action=\"broker_subscribe\"", "callboard_gateway_subscribes_total", NULL},
    {ACTION, "action=\"history\"", REQUESTS, "kind=\"history\""},
    {ACTION, "action=\"history_remove\"", REQUESTS, "kind=\"history_remove\""},
    {ACTION, "action=\"presence\"", REQUESTS, "kind=\"presence\""},
    {ACTION, "action=\"survey\"", REQUESTS, "kind=\"call\""},
    {"centrifugo_node_tags_filter_dropped_publications", "Number of publications dropped due to tags filtering.", METRIC_COUNTER, NULL, "callboard_gateway_pushes_withheld_total", "reason=\"tags_filter\""},
    {"centrifugo_node_client_connection_limit", "Number of refused requests due to node client connection limit.", METRIC_COUNTER, NULL, "callboard_websocket_refused_total", "reason=\"limit\""},

    {ACCEPTED, H1("websocket"), "callboard_websocket_handshakes_total", NULL},
    {ACCEPTED, H1("sse"), "callboard_http_streams_opened_total", "transport=\"sse\""},
    {ACCEPTED, H1("http_stream"), "callboard_http_streams_opened_total", "transport=\"http_stream\""},
    {INFLIGHT, H1("websocket"), "callboard_websocket_connections", NULL},
    {INFLIGHT, H1("sse"), "callboard_http_streams", "transport=\"sse\""},
    {INFLIGHT, H1("http_stream"), "callboard_http_streams", "transport=\"http_stream\""},
    {"centrifugo_client_subscriptions_inflight", "Number of inflight client subscriptions.", METRIC_GAUGE, NULL, "callboard_gateway_subscriptions", NULL},
    CLIENT_COMMANDS(COMMAND_ROW)
    CLIENT_COMMANDS(COMMAND_HISTOGRAM_ROW)
    ERROR_CODES(REPLY_ERROR_ROW)
    DISCONNECT_CODES(DISCONNECT_ROW)
    {UNSUBSCRIBE, "code=\"2500\"", ENDED, "reason=\"insufficient state\""},
    {UNSUBSCRIBE, "code=\"2501\"", ENDED, "reason=\"subscription expired\""},
    {RECOVER, "recovered=\"yes\"", "callboard_gateway_recoveries_total", "recovered=\"true\""},
    {RECOVER, "recovered=\"no\"", "callboard_gateway_recoveries_total", "recovered=\"false\""},

    {"centrifugo_transport_messages_sent", "Number of pushes sent to client connections.", METRIC_COUNTER, NULL, "callboard_gateway_deliveries_total", NULL},
    {"centrifugo_transport_messages_sent_size", "Bytes of frames sent to client connections.", METRIC_COUNTER, "transport=\"websocket\"", "callboard_websocket_sent_bytes_total", NULL},
    CLIENT_COMMANDS(RECEIVED_ROW)
    {IN_COUNT, "frame_type=\"client_pong\"", COMMANDS, "command=\"pong\""},
    {"centrifugo_transport_messages_received_size", "Bytes of messages received from client connections.", METRIC_COUNTER, "transport=\"websocket\"", "callboard_websocket_received_bytes_total", NULL},

    API_METHODS(API_ROW)
    API_METHODS(API_HISTOGRAM_ROW)
    ERROR_CODES(API_ERROR_ROW)
};
/* clang-format on */
const size_t centrifugo_metric_count = sizeof centrifugo_metric_table / sizeof centrifugo_metric_table[0];
