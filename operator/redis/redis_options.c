/* See redis_options.h. The table is the only place that knows a flag. Failures: an unknown flag is answered with the
 * nearest known one, a number out of bounds with its bounds, a value that is missing with what it should be. */
#include "operator/redis/redis_options.h"

#include "base/check.h"
#include "base/config_nearest.h"

#include <stddef.h>
#include <stdlib.h>

enum option_type { OPTION_TEXT, OPTION_NUMBER, OPTION_SWITCH, OPTION_MODE };

struct option_row {
    const char *name; /* without the dashes */
    enum option_type type;
    unsigned who;
    size_t offset;
    const char *argument;
    const char *initial; /* text, or the number as text; NULL: none */
    uint64_t min;
    uint64_t max;
    const char *also; /* another variable of the environment, read where ours is not set */
    const char *help;
};

#define AGENT        REDIS_OPTIONS_AGENT
#define OPERATOR     REDIS_OPTIONS_OPERATOR
#define BOTH         (REDIS_OPTIONS_AGENT | REDIS_OPTIONS_OPERATOR)
#define FIELD(field) offsetof(struct redis_options, field)

#define TEXT(name, who, field, argument, initial, also, help)                                                          \
    { name, OPTION_TEXT, who, FIELD(field), argument, initial, 0, 0, also, help }
#define NUMBER(name, who, field, argument, initial, min, max, help)                                                    \
    { name, OPTION_NUMBER, who, FIELD(field), argument, initial, min, max, NULL, help }
#define SWITCH(name, who, field, help)                                                                                 \
    { name, OPTION_SWITCH, who, FIELD(field), NULL, NULL, 0, 0, NULL, help }

static const struct option_row rows[] = {
    {"mode", OPTION_MODE, BOTH, FIELD(mode), "MODE", NULL, 0, 0, NULL,
     "what the pods are: standalone, replicated (Redis under Sentinel), cluster, or sentinel"},
    TEXT("peers", BOTH, peers, "LIST", NULL, NULL,
         "the Redis pods by ordinal: host[:port],… ; redis-{0..5}.redis-headless.ns.svc.cluster.local is six of them"),
    TEXT("sentinels", BOTH, sentinels, "LIST", NULL, NULL, "the Sentinel pods, written like --peers (port 26379)"),
    TEXT("master-set", BOTH, master_set, "NAME", "callboard", NULL, "the name that the Sentinels know the set by"),
    NUMBER("shards", BOTH, shards, "N", "3", 1, 90, "cluster: primaries; at forming pod i is of shard i mod N"),
    TEXT("user", BOTH, user, "NAME", NULL, NULL, "ACL user at the Redis pods; without: the default one"),
    TEXT("password-file", BOTH, password_file, "FILE", NULL, NULL,
         "its first line is the password (read again for each connection)"),
    TEXT("sentinel-user", BOTH, sentinel_user, "NAME", NULL, NULL, "ACL user at the Sentinels"),
    TEXT("sentinel-password-file", BOTH, sentinel_password_file, "FILE", NULL, NULL,
         "as --password-file, for the Sentinels"),
    SWITCH("tls", BOTH, tls, "speak TLS to all of them"),
    TEXT("tls-ca-file", BOTH, tls_ca_file, "FILE", NULL, NULL, "authorities in PEM"),
    TEXT("tls-certificate-file", BOTH, tls_certificate_file, "FILE", NULL, NULL,
         "our certificate in PEM, where one is asked for"),
    TEXT("tls-key-file", BOTH, tls_key_file, "FILE", NULL, NULL, "its private key in PEM"),
    TEXT("tls-server-name", BOTH, tls_server_name, "NAME", NULL, NULL,
         "the name that certificates have to be made for; without: the host of --peers"),
    TEXT("hosts-file", BOTH, hosts_file, "FILE", "/etc/hosts", NULL, "names that are looked for here before DNS"),
    TEXT("nameserver", BOTH, nameserver, "ADDRESS[:PORT]", NULL, NULL,
         "the DNS server to ask instead of /etc/resolv.conf's"),
    NUMBER("command-timeout-ms", BOTH, command_timeout_ms, "MS", "1000", 50, 60000,
           "for a connect, and for each command"),
    NUMBER("timeout", BOTH, timeout_s, "SECONDS", "60", 1, 86400, "how long a command may take in all"),
    TEXT("log-level", BOTH, log_level, "LEVEL", "info", NULL, "debug, info, warning or error"),
    SWITCH("dry-run", OPERATOR, dry_run, "print the next commands as redis-cli would send them, and send none"),
    NUMBER("max-lag-bytes", OPERATOR, max_lag_bytes, "BYTES", "1048576", 0, UINT64_MAX,
           "roll: how far a replica may be behind its primary"),
    NUMBER("replicas-per-shard", OPERATOR, replicas_per_shard, "N", NULL, 0, 5,
           "scale: replicas of each shard; without: as many as the shards have now"),
    NUMBER("migrate-timeout-ms", OPERATOR, migrate_timeout_ms, "MS", "3000", 100, 600000,
           "scale: how long one key may take on its way; stay below cluster-node-timeout"),
    TEXT("accept", OPERATOR, accept, "CODES", NULL, NULL, "scale: go on in spite of what it refuses, as CB3102,CB3103"),
    TEXT("to", OPERATOR, to, "DIR", NULL, NULL,
         "backup: the directory that gets a folder of this copy; - writes one server's RDB to standard output"),
    NUMBER("keep", OPERATOR, keep, "N", "7", 1, 10000, "backup: copies that stay in --to, this one among them"),
    TEXT("from", OPERATOR, from, "DIR", NULL, NULL, "restore: the folder of one copy"),
    SWITCH("resume", OPERATOR, resume,
           "restore: go on with one that was interrupted: keys that the target has stay as they are"),
    NUMBER("ordinal", BOTH, ordinal, "N", NULL, 0, 539,
           "the pod's number; an agent takes it from the end of --pod-name"),
    TEXT("pod-name", AGENT, pod_name, "NAME", NULL, "POD_NAME", "this pod, e.g. redis-0"),
    TEXT("pod-namespace", AGENT, pod_namespace, "NAME", "default", "POD_NAMESPACE", "its namespace"),
    TEXT("pod-ip", AGENT, pod_ip, "ADDRESS", NULL, "POD_IP", "its address, for ${pod-ip} in templates"),
    TEXT("host", AGENT, host, "ADDRESS", "127.0.0.1", NULL, "where this pod's own server listens"),
    NUMBER("port", AGENT, port, "PORT", NULL, 1, 65535, "its port; without: as --peers has it for this pod"),
    TEXT("listen", AGENT, listen, "ADDRESS:PORT", "0.0.0.0:8090", NULL,
         "where /livez, /readyz and /startupz are answered"),
    NUMBER("interval-ms", AGENT, interval_ms, "MS", "2000", 100, 60000, "between two looks at the pods"),
    NUMBER("down-after-ms", AGENT, down_after_ms, "MS", "5000", 100, 600000,
           "as the Sentinels' down-after-milliseconds: how long a wrong role is borne before it is mended"),
    NUMBER("renewal-wait", AGENT, renewal_wait_s, "SECONDS", "120", 1, 86400,
           "Sentinel: how long after its certificates were renewed it is restarted, one pod after the other: so long "
           "other pods may take to get theirs"),
    TEXT("templates", AGENT, templates, "DIR", "/templates", NULL, "prepare: the files to fill"),
    TEXT("secrets", AGENT, secrets, "DIR", "/secrets", NULL, "prepare: what ${secret:NAME} and ${acl:NAME} read"),
    TEXT("output", AGENT, output, "DIR", "/conf", NULL,
         "prepare: where they are written; has to be writable, as a directory"),
    TEXT("data", AGENT, data, "DIR", "/data", NULL, "the server's directory: whether it holds data of an earlier life"),
    SWITCH("accept-empty-primary", AGENT, accept_empty_primary,
           "let a pod whose volume is empty be primary though replicas may hold data: gives that data up"),
};

enum { N_ROWS = sizeof rows / sizeof rows[0], VARIABLE_MAX = 64 };

static const char *const mode_names[] = {
    [REDIS_MODE_STANDALONE] = "standalone",
    [REDIS_MODE_REPLICATED] = "replicated",
    [REDIS_MODE_CLUSTER] = "cluster",
    [REDIS_MODE_SENTINEL] = "sentinel",
};

const char *redis_mode_name(enum redis_mode mode) {
    return mode_names[mode];
}

static void *place_of(struct redis_options *self, const struct option_row *row) {
    return (char *) self + row->offset;
}

static bool set_mode(struct redis_options *self, const char *value) {
    for (size_t i = 0; i < sizeof mode_names / sizeof mode_names[0]; i++) {
        if (strcmp(mode_names[i], value) == 0) {
            self->mode = (enum redis_mode) i;
            return true;
        }
    }
    return false;
}

/* `from`: how the user wrote it, e.g. --port or CALLBOARD_AGENT_PORT. */
static bool set_value(struct redis_options *self, const struct option_row *row, const char *from, const char *value,
                      char *ret_error, size_t error_size) {
    uint64_t number;
    switch (row->type) {
    case OPTION_TEXT:
        *(const char **) place_of(self, row) = value;
        return true;
    case OPTION_NUMBER:
        if (span_parse_u64(span_of_text(value), &number) && number >= row->min && number <= row->max) {
            *(uint64_t *) place_of(self, row) = number;
            return true;
        }
        snprintf(ret_error, error_size, "%s: %s is no whole number from %llu to %llu", from, value,
                 (unsigned long long) row->min, (unsigned long long) row->max);
        return false;
    case OPTION_SWITCH:
        *(bool *) place_of(self, row) = strcmp(value, "true") == 0;
        if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0) {
            return true;
        }
        snprintf(ret_error, error_size, "%s: %s is neither true nor false", from, value);
        return false;
    case OPTION_MODE:
        if (set_mode(self, value)) {
            return true;
        }
        snprintf(ret_error, error_size, "%s: %s is none of standalone, replicated, cluster, sentinel", from, value);
        return false;
    }
    return false;
}

/* CALLBOARD_AGENT_PASSWORD_FILE for password-file. */
static void name_variable(const struct option_row *row, const char *prefix, char ret_name[VARIABLE_MAX]) {
    int size = snprintf(ret_name, VARIABLE_MAX, "%s_%s", prefix, row->name);
    for (int i = 0; i < size && i < VARIABLE_MAX; i++) {
        ret_name[i] = ret_name[i] == '-' ? '_' : ret_name[i];
        if (ret_name[i] >= 'a' && ret_name[i] <= 'z') {
            ret_name[i] = (char) (ret_name[i] - 'a' + 'A');
        }
    }
}

static bool read_environment(struct redis_options *self, unsigned who, const char *prefix, char *ret_error,
                             size_t error_size) {
    for (size_t i = 0; i < N_ROWS; i++) {
        char name[VARIABLE_MAX];
        if ((rows[i].who & who) == 0) {
            continue;
        }
        name_variable(&rows[i], prefix, name);
        const char *from = name;
        const char *value = getenv(name);
        if (value == NULL && rows[i].also != NULL) {
            from = rows[i].also;
            value = getenv(rows[i].also);
        }
        if (value != NULL && value[0] != '\0' && !set_value(self, &rows[i], from, value, ret_error, error_size)) {
            return false;
        }
    }
    return true;
}

static const struct option_row *find_row(struct span name, unsigned who) {
    for (size_t i = 0; i < N_ROWS; i++) {
        if ((rows[i].who & who) != 0 && span_equal_text(name, rows[i].name)) {
            return &rows[i];
        }
    }
    return NULL;
}

static bool refuse_unknown(struct span name, unsigned who, char *ret_error, size_t error_size) {
    struct config_nearest nearest = config_nearest_to(name);
    for (size_t i = 0; i < N_ROWS; i++) {
        if ((rows[i].who & who) != 0) {
            config_nearest_consider(&nearest, span_of_text(rows[i].name));
        }
    }
    snprintf(ret_error, error_size, "--%.*s: no such option%s%.*s%s", (int) name.size, (const char *) name.data,
             nearest.best.size > 0 ? "; did you mean --" : "", (int) nearest.best.size,
             nearest.best.size > 0 ? (const char *) nearest.best.data : "", nearest.best.size > 0 ? "?" : "");
    return false;
}

/* One flag at argv[*at]; moves *at to its last word. */
static bool read_flag(struct redis_options *self, unsigned who, int argc, char **argv, int *at, char *ret_error,
                      size_t error_size) {
    const char *word = argv[*at];
    const char *equals = strchr(word, '=');
    struct span name = span_of(word + 2, equals == NULL ? strlen(word + 2) : (size_t) (equals - word - 2));
    const struct option_row *row = find_row(name, who);
    if (row == NULL) {
        return refuse_unknown(name, who, ret_error, error_size);
    }
    const char *value = equals == NULL ? NULL : equals + 1;
    if (value == NULL && row->type == OPTION_SWITCH) {
        value = "true";
    } else if (value == NULL && *at + 1 < argc) {
        value = argv[++*at];
    }
    if (value == NULL) {
        snprintf(ret_error, error_size, "--%s needs its %s", row->name, row->argument);
        return false;
    }
    char from[VARIABLE_MAX];
    snprintf(from, sizeof from, "--%s", row->name);
    return set_value(self, row, from, value, ret_error, error_size);
}

void redis_options_init(struct redis_options *self) {
    char error[160] = "";
    *self = (struct redis_options){.ordinal = REDIS_NO_ORDINAL, .replicas_per_shard = REDIS_NO_REPLICAS};
    for (size_t i = 0; i < N_ROWS; i++) {
        bool is_set =
            rows[i].initial == NULL || set_value(self, &rows[i], rows[i].name, rows[i].initial, error, sizeof error);
        check(is_set, "the default of --%s: %s", rows[i].name, error);
    }
}

bool redis_options_set(struct redis_options *self, unsigned who, const char *name, const char *value, char *ret_error,
                       size_t error_size) {
    char from[VARIABLE_MAX];
    const struct option_row *row = find_row(span_of_text(name), who);
    if (row == NULL) {
        return refuse_unknown(span_of_text(name), who, ret_error, error_size);
    }
    snprintf(from, sizeof from, "--%s", name);
    return set_value(self, row, from, row->type == OPTION_SWITCH && value[0] == '\0' ? "true" : value, ret_error,
                     error_size);
}

bool redis_options_read(struct redis_options *self, unsigned who, const char *prefix, int argc, char **argv, int first,
                        int *ret_rest, char *ret_error, size_t error_size) {
    redis_options_init(self);
    if (prefix != NULL && !read_environment(self, who, prefix, ret_error, error_size)) {
        return false;
    }
    int at = first;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0 && argv[at][2] != '\0'; at++) {
        if (!read_flag(self, who, argc, argv, &at, ret_error, error_size)) {
            return false;
        }
    }
    *ret_rest = at < argc && strcmp(argv[at], "--") == 0 ? at + 1 : at;
    return true;
}

void redis_options_print(FILE *out, unsigned who, const char *prefix) {
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct option_row *row = &rows[i];
        char name[VARIABLE_MAX];
        if ((row->who & who) == 0) {
            continue;
        }
        fprintf(out, "  --%s%s%s\n      %s", row->name, row->argument == NULL ? "" : " ",
                row->argument == NULL ? "" : row->argument, row->help);
        if (row->initial != NULL) {
            fprintf(out, "; default %s", row->initial);
        }
        if (prefix != NULL) {
            name_variable(row, prefix, name);
            fprintf(out, " [%s%s%s]", name, row->also == NULL ? "" : ", ", row->also == NULL ? "" : row->also);
        }
        fprintf(out, "\n");
    }
}
