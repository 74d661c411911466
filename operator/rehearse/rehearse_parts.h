/* What rehearse.c and the acts share, and nobody else includes. */
#ifndef CALLBOARD_OPERATOR_REHEARSE_PARTS_H
#define CALLBOARD_OPERATOR_REHEARSE_PARTS_H

#include "operator/rehearse/rehearse.h"
#include "operator/rehearse/rehearse_redis.h"

enum { REHEARSE_TEXT = 900 };

struct rehearse {
    struct rehearse_call *call;
    rehearse_redis_t *redis; /* NULL: nobody said where it is */
    rehearse_workload_t *workload;
    struct rehearse_away away;
    int homes[REHEARSE_SHARDS_MAX]; /* who was primary before */
    char node[REHEARSE_KUBE_NAME_SIZE];
    bool is_cordoned; /* by us: it has to take pods again */
    uint64_t began_ms;
    uint64_t deadline_ms;
    char told[REHEARSE_TEXT];
    char error[REHEARSE_TEXT]; /* the first thing that went wrong; empty: nothing did */
};

/* A line with the time since the beginning; the same one is told once. */
void rehearse_tell(struct rehearse *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Tells it, too, and keeps the first one for the report; returns `result`. */
int rehearse_fail(struct rehearse *self, int result, const char *error);
bool rehearse_is_interrupted(const struct rehearse *self);
/* A little while. False: interrupted, or the time is over. */
bool rehearse_pause(const struct rehearse *self);
/* Redis and the cluster's workloads, whichever there are. */
enum rehearse_health rehearse_look(struct rehearse *self, char ret_reason[CLUSTER_REASON_MAX]);
/* REHEARSE_EXIT_PASSED; else interrupted or out of time, with what was not well told. */
int rehearse_await_well(struct rehearse *self);
int rehearse_stopped(struct rehearse *self, const char *what); /* TIMEOUT, and tells what was waited for in vain */

/* In rehearse_acts.c: what an act does, and how it is undone, which is called in any case. PASSED: done. */
int rehearse_do(struct rehearse *self);
int rehearse_undo(struct rehearse *self);
/* As lines, for a dry run. */
void rehearse_print_steps(struct rehearse *self, struct buffer *out);

/* In rehearse_kube_acts.c: the same of those that go by the API server. */
int rehearse_restart_all(struct rehearse *self);
int rehearse_drain(struct rehearse *self);
int rehearse_uncordon(struct rehearse *self); /* also where nothing is cordoned */
void rehearse_print_kube_steps(struct rehearse *self, struct buffer *out);

/* In rehearse_report.c. `error`: what else went wrong, or "". */
void rehearse_print_report(const struct rehearse_call *call, const struct rehearse_account *account,
                           const struct rehearse_verdict *verdict, const char *error);
const char *rehearse_act_name(const struct rehearse_call *call);

#endif
