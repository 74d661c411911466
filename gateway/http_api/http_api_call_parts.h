/* What http_api_call.c (the life of a call), http_api_call_methods.c (what each method asks and answers),
 * http_api_call_orders.c (the methods that go to every gateway), http_api_call_revocations.c (those that lock tokens
 * out) and http_api_call_metrics.c share; nobody else includes
 * this. */
#ifndef CALLBOARD_GATEWAY_HTTP_API_CALL_PARTS_H
#define CALLBOARD_GATEWAY_HTTP_API_CALL_PARTS_H

#include "base/quota.h"
#include "gateway/http_api/http_api_call.h"
#include "gateway/http_api/http_api_params.h"

struct http_api_command;

/* One request to the brokers. */
struct http_api_part {
    struct broker_request request;
    struct http_api_command *command;
    enum error_code error;
    char *message; /* of the error; NULL: what the code means */
    bool is_open;
    struct buffer result; /* a JSON object */
};

struct http_api_command {
    http_api_call_t *call;
    const struct http_api_method *method; /* NULL: none of that name */
    struct json_value params;
    enum error_code error; /* of the command as a whole */
    char *message;
    struct epoch since_epoch; /* that history asked for */
    uint64_t started_us;      /* 0: not begun */
    uint32_t n_parts;
    uint32_t n_open;
    struct http_api_part *parts;
    struct buffer line; /* that revokes: for the gateway itself, once the brokers have it; of channels: the cursor */
    size_t page_size;   /* of channels; 0: all */
};

struct http_api_method {
    const char *name;
    enum http_api_metric metric;
    unsigned params; /* HTTP_API_*: what it knows */
    /* Makes the parts and asks the brokers. False: refused, *ret_refusal says why. */
    bool (*start)(struct http_api_command *command, const struct http_api_params *params,
                  struct http_api_refusal *ret_refusal);
    /* Appends a part's result; `answer` is no error. */
    void (*append)(const struct http_api_command *command, const struct broker_answer *answer, struct buffer *out);
    bool is_list;             /* its parts' results are the elements of "responses" */
    const char *help_unknown; /* what error 120 means here; NULL: nothing more than usual */
};

struct http_api_call {
    const struct http_api_service *service;
    http_api_key_t *key;
    const struct http_api_method *method;
    void (*on_done)(void *context);
    void *context;
    struct timer_entry deadline;
    struct buffer text; /* scratch of the command that is being started */
    struct buffer tags;
    struct quota results;
    struct http_api_command *commands;
    uint32_t n_commands;
    uint32_t n_begun;
    uint32_t n_done;
    uint32_t n_parts; /* of all commands so far */
    bool is_batch;
    bool is_parallel;
    bool is_done;
    bool is_malformed; /* the body is no JSON: a status says so, in every mode of errors */
    uint64_t started_us;
};

/* http_api_call_orders.c: starts of the methods that go to every gateway, and the results of channels. */
bool http_api_start_subscribe(struct http_api_command *command, const struct http_api_params *params,
                              struct http_api_refusal *ret_refusal);
bool http_api_start_unsubscribe(struct http_api_command *command, const struct http_api_params *params,
                                struct http_api_refusal *ret_refusal);
bool http_api_start_disconnect(struct http_api_command *command, const struct http_api_params *params,
                               struct http_api_refusal *ret_refusal);
bool http_api_start_refresh(struct http_api_command *command, const struct http_api_params *params,
                            struct http_api_refusal *ret_refusal);
bool http_api_start_channels(struct http_api_command *command, const struct http_api_params *params,
                             struct http_api_refusal *ret_refusal);
void http_api_append_channels(const struct http_api_command *command, const struct broker_answer *answer,
                              struct buffer *out);

/* http_api_call_revocations.c */
bool http_api_start_revoke_token(struct http_api_command *command, const struct http_api_params *params,
                                 struct http_api_refusal *ret_refusal);
bool http_api_start_invalidate_user_tokens(struct http_api_command *command, const struct http_api_params *params,
                                           struct http_api_refusal *ret_refusal);
void http_api_append_revoked(const struct http_api_command *command, const struct broker_answer *answer,
                             struct buffer *out);

/* http_api_call_methods.c: the channel's namespace, where the key is for the channel. False: refused. */
bool http_api_find_namespace(const struct http_api_command *command, struct span channel,
                             const struct namespace_options **ret_options, struct http_api_refusal *ret_refusal);

/* Room for n parts, all open; false: over the bounds. */
bool http_api_command_make_parts(struct http_api_command *command, uint32_t n, struct http_api_refusal *ret_refusal);
/* A part that asks nobody: while its command starts. */
void http_api_part_refuse(struct http_api_part *part, const struct http_api_refusal *refusal);
void http_api_part_answer(struct http_api_part *part, const struct broker_answer *answer);

#endif
