/* A call by POST to the internal listener (http_service.h) on its way to the thread that can answer it, and back. It is
 * an actor's message, so it travels by pointer; whoever has it answers it exactly once, and loses it with that. The way
 * back outlives the listener: an answer that nobody waits for any more is freed.
 * Thread: the box is the listener's; http_call_answer and http_call_refuse: any. */
#ifndef CALLBOARD_BASE_HTTP_CALL_H
#define CALLBOARD_BASE_HTTP_CALL_H

#include "base/actor.h"
#include "base/bytes.h"
#include "base/error_code.h"
#include "base/ip_address.h"

#include <uv.h>

typedef struct http_call_box http_call_box_t;

enum { HTTP_CALL_METHOD_MAX = 32 };

struct http_call {
    struct actor_message message; /* kind: set by whoever posts it on */
    uint64_t ticket;              /* the listener's */
    char method[HTTP_CALL_METHOD_MAX + 1];
    char source[IP_ADDRESS_TEXT]; /* who asks */
    struct buffer body;           /* as it came: not judged */
    unsigned status;              /* of the answer */
    struct buffer answer;         /* a JSON object */
    http_call_box_t *box;
};

/* The call with its answer; it is freed behind this. Comes on the loop's thread. */
typedef void http_call_answered(void *context, struct http_call *call);

/* observe (may be NULL): each call once, when it is answered, on the thread that does it, waited for or not. */
http_call_box_t *http_call_box_new(uv_loop_t *loop, http_call_answered *on_answered,
                                   void (*observe)(const struct http_call *call), void *context);
/* Answers that come later are dropped. on_closed when the loop holds nothing of it any more. Nulls the pointer. */
void http_call_box_close(http_call_box_t **self_p, void (*on_closed)(void *context), void *context);

/* Takes the body. */
struct http_call *http_call_new(http_call_box_t *box, uint64_t ticket, struct span method, const char *source,
                                struct buffer *body);
/* status and answer are filled. */
void http_call_answer(struct http_call *call);
/* {"error":{…}} with this code and message (NULL: what the code means). */
void http_call_refuse(struct http_call *call, unsigned status, enum error_code code, const char *message);
/* The same object, for who has no call. */
void http_call_append_error(struct buffer *out, enum error_code code, const char *message);

#endif
