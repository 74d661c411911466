/* Pods of a StatefulSet for a test: each is callboard-agent around a real redis-server (or Sentinel) on a loopback
 * address and volume of its own, configured from templates and secrets as in Kubernetes. Addresses change at each start
 * where asked for; names (redis-0.pods.test) are found by a hosts file of the set. Thread: the one that made it. */
#ifndef CALLBOARD_TESTS_REDIS_POD_SET_H
#define CALLBOARD_TESTS_REDIS_POD_SET_H

#include "tests/support/process.h"
#include "tests/support/tls_directory.h"

typedef struct redis_pod_set redis_pod_set_t;

enum { REDIS_POD_SET_MAX = 8 };

struct redis_pod_set_options {
    const char *mode; /* standalone, replicated, cluster, sentinel */
    unsigned n;
    bool by_address;             /* --peers has addresses instead of names: Redis itself cannot ask our hosts file */
    const char *const *lines;    /* more of redis.conf or sentinel.conf, NULL-terminated */
    const char *peers;           /* --peers, where it is another set's (mode sentinel) */
    const tls_directory_t *tls;  /* NULL: plain */
    const char *const *settings; /* more of the agents' environment */
};

redis_pod_set_t *redis_pod_set_new(const struct redis_pod_set_options *options);
/* Kills what runs, removes all. Accepts NULL. */
void redis_pod_set_destroy(redis_pod_set_t **self_p);

/* --sentinels of another set, made after this one; before anything is started. */
void redis_pod_set_watched_by(redis_pod_set_t *self, const redis_pod_set_t *sentinels);
const char *redis_pod_set_list(const redis_pod_set_t *self); /* as --peers of it */
const char *redis_pod_set_address(const redis_pod_set_t *self, unsigned pod);
const char *redis_pod_set_output(const redis_pod_set_t *self, unsigned pod); /* the directory of its configuration */
const char *redis_pod_set_directory(const redis_pod_set_t *self);            /* has hosts and secrets/agent */
int redis_pod_set_port(const redis_pod_set_t *self);

/* Every pod that does not run gets another address. */
void redis_pod_set_move(redis_pod_set_t *self);
void redis_pod_set_wipe(redis_pod_set_t *self, unsigned pod); /* its volume, while it does not run */
/* Starts the agent, which prepares and starts the server. Does not wait. */
void redis_pod_set_start(redis_pod_set_t *self, unsigned pod);
process_t *redis_pod_set_agent(redis_pod_set_t *self, unsigned pod);
/* Another command of the agent as this pod's (prepare, leave), with what it needs; settings: over the pod's. */
process_t *redis_pod_set_command(redis_pod_set_t *self, unsigned pod, const char *command, const char *const *settings);
/* A command of the shell as this pod's, in user and mount namespaces of its own; $0 is the agent. */
process_t *redis_pod_set_command_in(redis_pod_set_t *self, unsigned pod, const char *shell_command);
/* SIGKILL of the server; waits for the agent, which ends with it. */
void redis_pod_set_crash(redis_pod_set_t *self, unsigned pod);
void redis_pod_set_terminate(redis_pod_set_t *self, unsigned pod); /* SIGTERM to the agent, which hands over and ends */
void redis_pod_set_pause(redis_pod_set_t *self, unsigned pod, bool is_paused); /* the server */

/* Status of a probe of the pod, 0: no answer; the await fails the test after 30 s with what was last said. */
int redis_pod_set_probe(redis_pod_set_t *self, unsigned pod, const char *path);
void redis_pod_set_await(redis_pod_set_t *self, unsigned pod, const char *path, int status);
/* Until `part` stands in /status of its agent. */
void redis_pod_set_await_status(redis_pod_set_t *self, unsigned pod, const char *part);
/* One command to the pod's server as user `tester`, words separated by spaces: the answer as text (arrays one element a
 * line); NULL: no answer. To be freed by memory_free. */
char *redis_pod_set_ask(redis_pod_set_t *self, unsigned pod, const char *command);
/* Asks until the answer has `text` in it (or, with `is_there` false, has it not); fails the test after 30 s. */
void redis_pod_set_await_answer(redis_pod_set_t *self, unsigned pod, const char *command, const char *text,
                                bool is_there);

#endif
