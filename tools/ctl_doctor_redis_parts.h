/* What the files of doctor's look at Redis share:
 *
 *   ctl_doctor_redis.c        what the settings name: Sentinels, primaries, their replicas
 *   ctl_doctor_redis_visit.c  one connection: a survey, or one command; bounded
 *   ctl_doctor_redis_nodes.c  the primaries that a topology names; bounded */
#ifndef CALLBOARD_TOOLS_CTL_DOCTOR_REDIS_PARTS_H
#define CALLBOARD_TOOLS_CTL_DOCTOR_REDIS_PARTS_H

#include "base/redis_tls.h"
#include "broker/redis/link/redis_url.h"
#include "broker/redis/survey/redis_facts.h"

enum { DOCTOR_NODES_MAX = 64, DOCTOR_ANSWER_MAX = 4095, DOCTOR_REASON_MAX = 159 };
#define DOCTOR_REDIS_BYTES_MAX ((size_t) 4 << 20)

/* One server, and how to come in. */
struct doctor_redis {
    struct redis_url url; /* with login; its host, port or path is the server's */
    redis_tls_t *tls;     /* where url.tls */
    bool has_left;        /* a resolver still holds a thread: the process is not to wait for it */
};

/* False: it was not reached, or did not answer in time; ret_reason says why (DOCTOR_REASON_MAX + 1 bytes).
 * partitions_key: NULL: the number of partitions is not asked. */
bool doctor_redis_survey(struct doctor_redis *server, const char *partitions_key, struct redis_facts *ret_facts,
                         char *ret_reason);
/* One command; its answer as text (DOCTOR_ANSWER_MAX + 1 bytes), that of an error with its code, of a list an element a
 * line. */
bool doctor_redis_ask(struct doctor_redis *server, size_t n_arguments, const char *const *arguments, char *ret_answer,
                      char *ret_reason);

/* The primaries that Sentinels or nodes of a cluster name, at most DOCTOR_NODES_MAX. 0: ret_reason says why. */
size_t doctor_redis_find(struct doctor_redis *seeds, const char *sentinel_user, const char *sentinel_password,
                         struct redis_address *ret_primaries, char *ret_reason);

#endif
