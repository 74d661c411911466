/* What http_stream.c (streams, their life) and http_stream_emulation.c (POSTs to them) share; nobody else includes
 * this. */
#ifndef CALLBOARD_GATEWAY_HTTP_STREAM_PARTS_H
#define CALLBOARD_GATEWAY_HTTP_STREAM_PARTS_H

#include "gateway/key_table.h"
#include "gateway/transport/http_stream.h"
#include "gateway/transport/stream_frames.h"

enum { HTTP_STREAM_KEY_RANDOM = 22, HTTP_STREAM_KEY_SIZE = 3 + HTTP_STREAM_KEY_RANDOM };

struct http_streams {
    struct http_streams_options options;
    const struct gateway_config *config;
    struct key_table by_session; /* hash of the session's key → its stream */
    struct key_table waiting;    /* ticket → POST whose answer another worker of this gateway has */
    struct buffer scratch;       /* of a write */
    uint64_t last_ticket;
    uint32_t n_streams;
    uint32_t n_elsewhere; /* POSTs whose answer another gateway has */
    bool is_draining;
};

enum http_stream_state {
    HTTP_STREAM_BODY,    /* the request's body is being read */
    HTTP_STREAM_OPEN,    /* a session's way down */
    HTTP_STREAM_WAITING, /* a POST whose answer another worker has, here or at another gateway */
    HTTP_STREAM_ENDING,  /* the last bytes were written: to be closed */
};

struct http_stream {
    struct transport transport;
    http_streams_t *service;
    struct lws *wsi;
    session_t *session; /* while open */
    struct buffer body;
    size_t body_size;
    struct timer_entry timer; /* body whole, answer there, is the client still there */
    enum http_stream_state state;
    enum stream_kind kind;
    bool is_post; /* to /emulation */
    bool is_backlogged;
    uint64_t ticket;                       /* of what was handed to another worker; 0: nothing */
    struct emulation_elsewhere *elsewhere; /* what was asked of another gateway; NULL: nothing */
    char key[HTTP_STREAM_KEY_SIZE + 1];
};

void http_stream_count(const http_stream_t *self, enum http_stream_metric row);
/* At the next turn, without a word. */
void http_stream_cut_off(http_stream_t *self);
/* A POST whose body is whole: to its session, wherever that is; returns what the lws callback must return. */
int emulation_deliver(http_stream_t *post);
/* The word that it waits for did not come. */
void emulation_on_deadline(http_stream_t *post);
/* The connection is gone: nobody waits any more. */
void emulation_forget(http_stream_t *post);
/* The stream of this session on this worker, or NULL. */
http_stream_t *http_streams_find(const http_streams_t *self, struct span session);

#endif
