/* "Partition in an actor" (redis.md, state machines): a pure function, event in, actions out. No clock, no I/O, no
 * memory: engine_redis feeds it and does what it says, the tests walk it row by row.
 *
 *            wanted           hello, topic, seq
 *   closed ─────────▶ joining ─────────────────▶ open ◀──────────────┐ topic, seq
 *     ▲  idle 60 s       │                       │ │ └─pub/sub lost─▶ deaf
 *     └──────────────────┼───────────────────────┘ │                  │
 *                        │ link cut      NEWREIGN, BEHIND, other gen  │
 *                        ▼                         ▼                  │
 *                     suspect ──hello, other──▶ reopening ◀───────────┘
 *                        ▲ └────hello, same───▶ joining
 *                        └──── link cut, unfit ── from everywhere
 *
 * | state     | appends, loads  | event → next                                                                     |
 * |-----------|-----------------|----------------------------------------------------------------------------------|
 * | closed    | –               | wanted → subscribe, hello → joining (suspect where the command link is down)     |
 * | joining   | wait            | hello done, then topic confirmed, then seq read, same gen → open; hello done and |
 * |           |                 | pub/sub down → deaf; other gen → reopening; link cut, unfit → suspect            |
 * | open      | go              | NEWREIGN, BEHIND, other gen, seq went back → hello → reopening; link cut, unfit  |
 * |           |                 | → suspect; pub/sub lost → deaf; idle → closed                                    |
 * | reopening | wait            | hello done → open (deaf, or joining where the topic is not there); cut → suspect |
 * | deaf      | go              | topic confirmed, then seq read → open; seq moved → doubt; the rest as open       |
 * | suspect   | wait            | link up → hello; same gen → as joining, other gen → doubt, as reopening          |
 *
 * What is not in the table of partition_state.c is a bug and aborts. */
#ifndef CALLBOARD_BROKER_PARTITION_STATE_H
#define CALLBOARD_BROKER_PARTITION_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum { PARTITION_GEN_LENGTH = 16 };

/* The random name of one opening of a partition; zeroed: none. */
struct partition_gen {
    char text[PARTITION_GEN_LENGTH + 1];
};

bool partition_gen_equal(const struct partition_gen *a, const struct partition_gen *b);

enum partition_phase {
    PARTITION_CLOSED,
    PARTITION_JOINING,
    PARTITION_OPEN,
    PARTITION_REOPENING,
    PARTITION_DEAF,
    PARTITION_SUSPECT,
};
enum { PARTITION_PHASES = PARTITION_SUSPECT + 1 };

enum partition_event {
    PARTITION_WANTED,          /* a hold, a publish, a read */
    PARTITION_IDLE,            /* unused for long enough */
    PARTITION_COMMAND_UP,      /* the command link is ready */
    PARTITION_COMMAND_DOWN,    /* cut, also by a deadline */
    PARTITION_PUBSUB_UP,       /* the pub/sub link is ready; every wanted topic is being subscribed */
    PARTITION_PUBSUB_DOWN,     /* every topic is lost */
    PARTITION_TOPIC_CONFIRMED, /* from here on the topic is heard */
    PARTITION_HELLO_DONE,      /* with gen and seq */
    PARTITION_HELLO_FAILED,    /* refused by an error that may pass; asked again at the next tick */
    PARTITION_SEQ_READ,        /* with gen (empty: none, or another reign) and seq */
    PARTITION_SEQ_FAILED,
    PARTITION_REFUSED,   /* a batch or a load was answered NEWREIGN or BEHIND */
    PARTITION_OTHER_GEN, /* the topic spoke of another gen, or said "opened" */
    PARTITION_UNFIT,     /* READONLY, LOADING, MOVED…, or this process stood still for a second */
    PARTITION_TICK,      /* every second (deaf: every 250 ms): check, or ask again */
};
enum { PARTITION_EVENTS = PARTITION_TICK + 1 };

enum partition_action {
    PARTITION_DO_SUBSCRIBE = 1,
    PARTITION_DO_UNSUBSCRIBE = 2,
    PARTITION_DO_HELLO = 4,
    PARTITION_DO_CHECK = 8,   /* read gen and seq */
    PARTITION_DO_ADOPT = 16,  /* batches are applied from (gen, seq) of the event on; what is held is sifted */
    PARTITION_DO_EXPECT = 32, /* others wrote up to seq of the event: missing what does not come soon */
    PARTITION_DO_DOUBT = 64,  /* every held channel may have missed anything, presence too */
    PARTITION_DO_DROP = 128,  /* cut the command link: this is not the server to speak to */
};

struct partition_state {
    enum partition_phase phase;
    bool command_up;
    bool pubsub_up;
    bool topic_on;      /* confirmed on this pub/sub link */
    bool asked;         /* a hello is out */
    bool checking;      /* a seq read is out */
    bool asked_hearing; /* the topic was on when the hello or the seq read that is out was sent */
    bool introduced;    /* a hello was answered since joining, reopening or suspect began */
    bool missed;        /* the topic was off at some time since the last open */
    bool known;         /* gen is that of the last hello */
    struct partition_gen gen;
};

/* What an event carries. */
struct partition_input {
    enum partition_event event;
    struct partition_gen gen; /* HELLO_DONE, SEQ_READ */
    uint64_t seq;             /* HELLO_DONE, SEQ_READ */
    uint64_t applied;         /* the last batch that this actor applied */
};

/* Bits of enum partition_action, to be done in the order of their values. */
unsigned partition_state_step(struct partition_state *self, const struct partition_input *input);

/* May batches and loads be sent? */
static inline bool partition_state_goes(const struct partition_state *self) {
    return self->phase == PARTITION_OPEN || self->phase == PARTITION_DEAF;
}
const char *partition_phase_text(enum partition_phase phase);
const char *partition_event_text(enum partition_event event);

#endif
