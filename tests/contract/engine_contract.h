/* The engine contract: one suite of specs, run on every engine (broker/engine.h). An engine joins it by a factory:
 *
 *     static const struct engine_factory factory = {"memory", start, stop, new_engine, .has_shared_store = false};
 *     n_failed += engine_contract_run(&factory);
 *
 * The specs use only what engine.h promises, on a real loop: they ask, turn the loop until the answer is there, and
 * look at what was told in which order. Beside what each spec asserts, the bench checks for every request of every spec
 * that it was completed exactly once, outside of any call, and that nothing was told after the close. Every span handed
 * to the engine is overwritten as soon as the call returned.
 *
 * A suite has one store for all its specs; channels, keys and gateways have names that are new in each spec. */
#ifndef CALLBOARD_TESTS_ENGINE_CONTRACT_H
#define CALLBOARD_TESTS_ENGINE_CONTRACT_H

#include "broker/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* What the specs need an engine to be made with. */
struct engine_wishes {
    uint64_t key_ttl_ms; /* the window of idempotency keys */
};

struct engine_factory {
    const char *name;
    void *(*start)(void);      /* the store, e.g. a server; NULL where there is none */
    void (*stop)(void *store); /* may be NULL */
    engine_t *(*new_engine)(void *store, const struct engine_options *options, const struct engine_wishes *wishes);
    bool has_shared_store; /* two engines on one store see each other */
};

/* Number of failed specs. */
int engine_contract_run(const struct engine_factory *factory);

/* ---- for the files of specs ---- */

/* A spec waits for an answer at most so long; it never takes so long where all is well. */
enum { BENCH_PATIENCE_MS = 20000, BENCH_NODES = 2 };

enum { KEY_TTL_MS = 1500 }; /* as the suite wishes it */

/* What an engine told, in order. */
enum record_kind { RECORD_PUBLICATION, RECORD_JOINED, RECORD_LEFT, RECORD_REMOVED, RECORD_FREED, RECORD_DONE };
struct record {
    enum record_kind kind;
    struct buffer channel;
    struct epoch epoch;
    uint64_t offset;
    payload_t *publication;
    struct buffer info;
    struct buffer gateway_id;
    uint64_t lease_number;
    const struct op *op; /* RECORD_DONE */
};

/* A lease of the last on_leases. */
struct seen_lease {
    char gateway_id[64];
    struct engine_lease lease; /* without the id */
};

struct bench;

/* One engine and what it told. */
struct node {
    struct bench *bench;
    engine_t *engine;
    struct record *records;
    size_t n_records;
    struct seen_lease leases[64];
    size_t n_leases;
    size_t n_lease_calls;
    size_t n_states;
    bool said_connected;
    bool in_call;
    bool is_closed;
    size_t n_calls_inside; /* calls up inside a call down */
    size_t n_calls_late;   /* calls up after the close */
};

/* A request and its outcome. */
struct op {
    struct list_link link;
    struct node *node;
    unsigned n_done;
    enum engine_outcome outcome;
    size_t done_at; /* index of its RECORD_DONE */
    union {
        struct engine_append append;
        struct engine_read read;
        struct engine_remove remove;
        struct engine_presence_read presence;
        struct engine_service service;
    };
    /* copies of borrowed outputs */
    uint32_t n;
    payload_t **publications;
    struct record *members; /* info, gateway_id and lease_number */
    struct buffer content;  /* of a value */
};

struct suite {
    const struct engine_factory *factory;
    void *store;
};

struct bench {
    const struct suite *suite;
    uv_loop_t loop;
    uv_prepare_t prepare; /* flushes the engines before the loop sleeps */
    uv_timer_t timer;
    bool timer_fired;
    char prefix[16];
    metrics_t *metrics;
    namespace_set_t *namespaces; /* only `history`, without a name */
    char no_name[1];
    struct node nodes[BENCH_NODES];
    struct list_link ops;
    struct namespace_options plain;         /* no history */
    struct namespace_options history;       /* 1,000 publications, 10 minutes */
    struct namespace_options short_history; /* 5 publications */
    struct namespace_options brief;         /* history for 1 s, meta for 2 s */
    struct namespace_options binary;        /* history of bytes */
    struct buffer names[64];                /* of the spec's channels */
    size_t n_names;
};

int bench_setup(void **state);
int bench_teardown(void **state);
#define spec(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

/* The first engine; bench_second makes another on the same store. */
static inline struct node *bench_node(void **state) {
    return &((struct bench *) *state)->nodes[0];
}
struct node *bench_second(struct node *first);

/* A channel name that is new in this store; text goes behind a random prefix. */
struct span new_channel(struct node *node, const char *text);
struct span new_channel_of(struct node *node, struct span bytes);
/* And held, and the engine sure of it. */
struct span held_channel(struct node *node, const char *text, const struct namespace_options *options);
void hold_and_join(struct node *node, struct span channel, const struct namespace_options *options);
void node_hold(struct node *node, struct span channel, const struct namespace_options *options);
void node_release(struct node *node, struct span channel);

/* Turns the loop until the condition holds; fails the spec when patience is over. */
#define wait_for(node, condition)                                                                                      \
    do {                                                                                                               \
        bench_begin_wait((node)->bench);                                                                               \
        while (!(condition)) {                                                                                         \
            bench_turn((node)->bench, #condition);                                                                     \
        }                                                                                                              \
    } while (0)
void bench_begin_wait(struct bench *bench);
void bench_turn(struct bench *bench, const char *awaited);
/* Lets at least so much time pass. */
void bench_pass(struct bench *bench, uint64_t ms);

/* ---- asking: start returns at once; the others wait for the completion ---- */
struct append_input {
    const struct namespace_options *options; /* NULL: bench->history */
    struct span data;
    struct span key;
    struct span info;
    struct span tags;
    bool skip_history;
    uint64_t version;
    struct span version_epoch;
};
struct op *start_append(struct node *node, struct span channel, const struct append_input *input);
struct op *append_input(struct node *node, struct span channel, const struct append_input *input);
/* With the bench's history and a text. */
struct op *append_text(struct node *node, struct span channel, const char *text);
void append_many(struct node *node, struct span channel, const struct namespace_options *options, unsigned n);

struct read_input {
    const struct namespace_options *options; /* NULL: bench->history */
    bool has_since;
    struct position since;
    bool reverse;
    uint32_t limit;
    size_t bytes_limit;
};
struct op *start_read(struct node *node, struct span channel, const struct read_input *input);
struct op *read_input(struct node *node, struct span channel, const struct read_input *input);
struct op *start_remove(struct node *node, struct span channel, const struct namespace_options *options);
struct op *remove_history(struct node *node, struct span channel, const struct namespace_options *options);
struct op *start_members(struct node *node, struct span channel, uint64_t cursor, uint32_t limit);
struct op *read_members_page(struct node *node, struct span channel, uint64_t cursor, uint32_t limit);
/* All of them: they must fit a page of the usual size. */
struct op *read_members(struct node *node, struct span channel);

struct member_input {
    const char *client;
    const char *user;
    struct span conn_info;
    const char *gateway;
    uint64_t lease;
    bool silent;
};
void set_member(struct node *node, struct span channel, const struct member_input *input);
void clear_member(struct node *node, struct span channel, const char *client);
/* Only where this gateway set it under this lease. */
void clear_member_of(struct node *node, struct span channel, const char *client, const char *gateway, uint64_t lease);
void renew_lease(struct node *node, const char *gateway, uint64_t boot_nonce, uint32_t connections);
const struct engine_lease *find_lease(const struct node *node, const char *gateway);
/* The model's verb and what goes with it; nonce and deadline are filled where there are none. */
struct op *start_serve(struct node *node, struct span name, const struct engine_service *model);
struct op *serve(struct node *node, struct span name, const struct engine_service *model);
void node_close(struct node *node);

/* ---- looking ---- */
size_t count_records(const struct node *node, enum record_kind kind, struct span channel);
/* The i-th record of the kind for the channel. */
const struct record *nth_record(const struct node *node, enum record_kind kind, struct span channel, size_t i);
struct wire_publication publication_of(const payload_t *encoded);
struct wire_client_info info_of(const struct buffer *info);
#define assert_span(actual, expected_text)                                                                             \
    do {                                                                                                               \
        struct span actual_span = (actual);                                                                            \
        assert_int_equal(actual_span.size, strlen(expected_text));                                                     \
        assert_memory_equal(actual_span.data, expected_text, actual_span.size);                                        \
    } while (0)
#define assert_outcome(op, expected)                                                                                   \
    assert_string_equal(engine_outcome_text((op)->outcome), engine_outcome_text(expected))
/* The publications of a read are these offsets, first to last (last < first: newest first). */
void assert_offsets(const struct op *op, uint64_t first, uint64_t last);
void assert_no_publications(const struct op *op);

struct specs {
    const struct CMUnitTest *tests;
    size_t n;
};
struct specs append_specs(void);
struct specs key_specs(void);
struct specs version_specs(void);
struct specs read_specs(void);
struct specs presence_specs(void);
struct specs life_specs(void);
struct specs service_specs(void);
struct specs shared_service_specs(void);
struct specs shared_specs(void);

#endif
