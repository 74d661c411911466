/* What the in-pod agent and `callboard-operator redis` have to be told, as one table: flags, variables of the
 * environment, defaults, bounds and help come from it. Passwords are named by files, never given. Thread: the owner's.
 */
#ifndef CALLBOARD_OPERATOR_REDIS_OPTIONS_H
#define CALLBOARD_OPERATOR_REDIS_OPTIONS_H

#include "base/bytes.h"

#include <stdio.h>

enum redis_mode { REDIS_MODE_STANDALONE, REDIS_MODE_REPLICATED, REDIS_MODE_CLUSTER, REDIS_MODE_SENTINEL };

enum { REDIS_OPTIONS_AGENT = 1, REDIS_OPTIONS_OPERATOR = 2, REDIS_NO_ORDINAL = 1000000, REDIS_NO_REPLICAS = 1000000 };

struct redis_options {
    enum redis_mode mode;
    const char *peers;
    const char *sentinels;
    const char *master_set;
    uint64_t shards;
    const char *user;
    const char *password_file;
    const char *sentinel_user;
    const char *sentinel_password_file;
    bool tls;
    const char *tls_ca_file;
    const char *tls_certificate_file;
    const char *tls_key_file;
    const char *tls_server_name;
    const char *hosts_file;
    const char *nameserver;
    uint64_t command_timeout_ms;
    uint64_t timeout_s;
    const char *log_level;
    /* the operator's */
    bool dry_run;
    uint64_t max_lag_bytes;
    uint64_t replicas_per_shard; /* REDIS_NO_REPLICAS: not given */
    uint64_t migrate_timeout_ms;
    const char *accept;
    const char *to;
    uint64_t keep;
    const char *from;
    bool resume;
    /* both: of whom; REDIS_NO_ORDINAL: not given */
    uint64_t ordinal;
    /* the agent's */
    const char *pod_name;
    const char *pod_namespace;
    const char *pod_ip;
    const char *host;
    uint64_t port;
    const char *listen;
    uint64_t interval_ms;
    uint64_t down_after_ms;
    const char *templates;
    const char *secrets;
    const char *output;
    const char *data;
    bool accept_empty_primary;
    uint64_t renewal_wait_s;
};

/* Reads argv[first…] (flags --name VALUE, --name=VALUE; a lone -- ends them) over the environment (PREFIX_NAME for
 * --name; prefix NULL: not read) over the defaults. Texts are borrowed from both. False: ret_error says what and how to
 * mend it. *ret_rest: the index of the first word that is no flag, or argc. */
bool redis_options_read(struct redis_options *self, unsigned who, const char *prefix, int argc, char **argv, int first,
                        int *ret_rest, char *ret_error, size_t error_size);
/* The defaults, and one option by its name (without dashes; a switch has the value "" or true); borrowed. */
void redis_options_init(struct redis_options *self);
bool redis_options_set(struct redis_options *self, unsigned who, const char *name, const char *value, char *ret_error,
                       size_t error_size);

/* The flags with their variables, defaults and help, for --help. */
void redis_options_print(FILE *out, unsigned who, const char *prefix);

const char *redis_mode_name(enum redis_mode mode);

#endif
