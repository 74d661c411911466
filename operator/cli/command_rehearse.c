/* rehearse failover | quorum | restart-all | drain: operator/rehearse/rehearse.h. It takes minutes, so its progress
 * goes to stderr at once. SIGINT and SIGTERM end it early: what was taken away comes back first. */
#include "operator/cli/command_cluster.h"
#include "operator/cli/command_redis_access.h"
#include "operator/cli/commands.h"
#include "operator/rehearse/rehearse.h"
#include "operator/spec/spec_amount.h"

#include <signal.h>
#include <stdio.h>

static const struct command_option options[] = {
    {"instance", "NAME", "restart-all, drain: the deployment, metadata.name of its spec; -n is its namespace"},
    {"node", "NAME", "drain: which node; without: the one with most pods of it"},
    COMMAND_CLUSTER_OPTIONS,
    {"crash", NULL,
     "failover: the primary of a shard stands still until another one has taken over, in place of an order"},
    {"for", "DURATION", "how long the workload runs at least (60s)"},
    {"away", "DURATION", "--crash, quorum: how long something is away (15s)"},
    {"gateway", "LIST", "where subscribers connect: ws:// or wss://HOST:PORT/connection/websocket,…"},
    {"gateway-ca", "FILE", "wss: authorities in PEM; without: the system's"},
    {"backend", "LIST", "where publications go: tcp://HOST:PORT,… of the brokers' backend API"},
    {"curve-key", "FILE", "our pair for the backend API, as callboardctl keygen makes it"},
    {"curve-broker-key", "KEY", "the brokers' public key, or a file with it"},
    {"channel", "NAME",
     "with what the channels' names begin: one that nobody uses, in a namespace with history and recovery"},
    {"channels", "N", "how many, over all shards (6)"},
    {"subscribers", "N", "each has all channels (2)"},
    {"rate", "N", "publications a second, of all channels together (60)"},
    {"patience", "DURATION", "how long a publication is tried again under its key before it is given up (60s)"},
    {"token-file", "FILE", "the token to connect with"},
    {"token-secret-file", "FILE", "sign tokens with the gateways' token.secret (HS256), to connect and to subscribe"},
    {"token-audience", "TEXT", "their token.audience"},
    {"token-issuer", "TEXT", "their token.issuer"},
    {"max-gap", "DURATION",
     "verdict: the longest time without an ack, or a delivery (5s; with --crash and quorum --away and 30s)"},
    {"max-whole", "DURATION", "verdict: until all is as before (--timeout; with --crash and quorum behind --away)"},
    {"max-unrecovered", "N", "verdict: subscriptions that began anew (0; fast channels do after a failover)"},
    {"accept", "CODE", "CB3201: rehearse although it is not well before"},
    {"stop-with", "PROGRAM",
     "--crash, quorum: PROGRAM redis|sentinel HOST PORT takes it away, in place of CLIENT PAUSE or DEBUG SLEEP"},
    {"start-with", "PROGRAM", "and this one, called likewise, brings it back"},
    {"mode", "MODE", "cluster (if not said), or replicated (Redis under Sentinel)"},
    {"peers", "LIST", "the Redis pods by ordinal, as redis has them: host[:port],…"},
    COMMAND_REDIS_ACCESS_OPTIONS,
    {"shards", "N", "primaries; pod i is of shard i mod N (3)"},
    {"ordinal", "N", "--crash: the primary of this pod's shard (0)"},
    {"max-lag-bytes", "BYTES", "how far a replica may be behind its primary (1048576)"},
    {"dry-run", NULL, "look, print what would be done, and do nothing"},
    {NULL, NULL, NULL},
};

enum own_kind { OWN_TEXT, OWN_MS, OWN_US, OWN_NUMBER, OWN_SWITCH };

/* What is no option of Redis. */
struct own_option {
    const char *name;
    enum own_kind kind;
    size_t offset;
    uint64_t minimum;
    uint64_t maximum;
};

#define FIELD(field) offsetof(struct rehearse_call, field)
static const struct own_option own_options[] = {
    {"instance", OWN_TEXT, FIELD(instance), 0, 0},
    {"node", OWN_TEXT, FIELD(node), 0, 0},
    {"crash", OWN_SWITCH, FIELD(is_crash), 0, 0},
    {"for", OWN_MS, FIELD(for_ms), 1000, 86400000},
    {"away", OWN_MS, FIELD(away_ms), 100, 600000},
    {"gateway", OWN_TEXT, FIELD(workload.gateways), 0, 0},
    {"gateway-ca", OWN_TEXT, FIELD(workload.gateway_ca_file), 0, 0},
    {"backend", OWN_TEXT, FIELD(workload.backend.addresses), 0, 0},
    {"curve-key", OWN_TEXT, FIELD(workload.backend.curve_key_file), 0, 0},
    {"curve-broker-key", OWN_TEXT, FIELD(workload.backend.curve_broker_key), 0, 0},
    {"channel", OWN_TEXT, FIELD(workload.channel), 0, 0},
    {"channels", OWN_NUMBER, FIELD(workload.channels), 1, REHEARSE_CHANNELS_MAX},
    {"subscribers", OWN_NUMBER, FIELD(workload.subscribers), 1, REHEARSE_SUBSCRIBERS_MAX},
    {"rate", OWN_NUMBER, FIELD(workload.rate), 1, 10000},
    {"patience", OWN_MS, FIELD(workload.patience_ms), 1000, 240000},
    {"token-file", OWN_TEXT, FIELD(workload.tokens.token_file), 0, 0},
    {"token-secret-file", OWN_TEXT, FIELD(workload.tokens.secret_file), 0, 0},
    {"token-audience", OWN_TEXT, FIELD(workload.tokens.audience), 0, 0},
    {"token-issuer", OWN_TEXT, FIELD(workload.tokens.issuer), 0, 0},
    {"max-gap", OWN_US, FIELD(limits.max_gap_us), 1, 86400000},
    {"max-whole", OWN_US, FIELD(limits.max_whole_us), 1, 86400000},
    {"max-unrecovered", OWN_NUMBER, FIELD(limits.max_unrecovered), 0, UINT32_MAX},
    {"stop-with", OWN_TEXT, FIELD(hooks.stop), 0, 0},
    {"start-with", OWN_TEXT, FIELD(hooks.start), 0, 0},
};

enum {
    DEFAULT_FOR_MS = 60000,
    DEFAULT_AWAY_MS = 15000,
    DEFAULT_PATIENCE_MS = 60000,
    API_TIMEOUT_MS = 30 * 60 * 1000,
    TOKEN_TTL_S = 86400
};

static volatile sig_atomic_t interrupted; /* a signal handler can reach nothing else */

static void on_signal(int number) {
    (void) number;
    interrupted = 1;
}

static void tell(void *context, const char *text) {
    const struct command_call *call = context;
    if (!call->is_quiet) {
        fprintf(stderr, "%s\n", text);
    }
}

/* ---- options ---- */

static void *place_of(struct rehearse_call *self, const struct own_option *option) {
    return (char *) self + option->offset;
}

static bool set_amount(struct rehearse_call *self, const struct own_option *option, const char *value) {
    uint64_t amount = 0;
    int64_t ms = 0;
    bool is_read = option->kind == OWN_NUMBER ? span_parse_u64(span_of_text(value), &amount)
                                              : spec_duration_parse(span_of_text(value), &ms);
    amount = option->kind == OWN_NUMBER ? amount : (uint64_t) ms;
    if (!is_read || amount < option->minimum || amount > option->maximum) {
        return false;
    }
    *(uint64_t *) place_of(self, option) = option->kind == OWN_US ? amount * 1000 : amount;
    return true;
}

static int refuse_amount(struct command_call *call, const struct own_option *option, const char *value) {
    const char *unit = option->kind == OWN_NUMBER ? "" : " ms";
    return command_usage_error(call, "rehearse", "--%s: %s is no %s from %llu%s to %llu%s", option->name, value,
                               option->kind == OWN_NUMBER ? "number" : "duration", (unsigned long long) option->minimum,
                               unit, (unsigned long long) option->maximum, unit);
}

static const struct own_option *find_own(const char *name) {
    for (size_t i = 0; i < sizeof own_options / sizeof own_options[0]; i++) {
        if (strcmp(own_options[i].name, name) == 0) {
            return &own_options[i];
        }
    }
    return NULL;
}

static int set_own(struct command_call *call, struct rehearse_call *self, const struct own_option *option,
                   const char *value) {
    switch (option->kind) {
    case OWN_SWITCH:
        *(bool *) place_of(self, option) = true;
        return OPERATOR_DONE;
    case OWN_TEXT:
        *(const char **) place_of(self, option) = value;
        return OPERATOR_DONE;
    case OWN_MS:
    case OWN_US:
    case OWN_NUMBER:
        return set_amount(self, option, value) ? OPERATOR_DONE : refuse_amount(call, option, value);
    }
    return OPERATOR_USAGE;
}

static int set_option(struct command_call *call, struct rehearse_call *self, const char *name, const char *value) {
    char error[512];
    const struct own_option *own = find_own(name);
    if (own != NULL) {
        return set_own(call, self, own, value);
    }
    if (strcmp(name, "kubeconfig") == 0 || strcmp(name, "context") == 0) {
        return OPERATOR_DONE; /* command_cluster_open takes them */
    }
    if (strcmp(name, "accept") == 0) {
        self->is_unwell_accepted = strcasecmp(value, "CB3201") == 0;
        return self->is_unwell_accepted ? OPERATOR_DONE
                                        : command_usage_error(call, "rehearse", "--accept takes CB3201, not %s", value);
    }
    return redis_options_set(&self->redis, REDIS_OPTIONS_OPERATOR, name, value, error, sizeof error)
               ? OPERATOR_DONE
               : command_usage_error(call, "rehearse", "%s", error);
}

static bool is_by_api(const struct rehearse_call *self) {
    return self->act == REHEARSE_RESTART || self->act == REHEARSE_DRAIN;
}

static int check_options(struct command_call *call, struct rehearse_call *self) {
    if ((self->hooks.stop == NULL) != (self->hooks.start == NULL)) {
        return command_usage_error(call, "rehearse", "--stop-with and --start-with: both or neither");
    }
    if (is_by_api(self) && self->instance == NULL) {
        return command_usage_error(call, "rehearse",
                                   "--instance NAME says which deployment, as its spec's metadata.name");
    }
    if (is_by_api(self) && !call->has_timeout) {
        self->timeout_ms = API_TIMEOUT_MS;
    }
    if (self->is_crash && self->act != REHEARSE_FAILOVER) {
        return command_usage_error(call, "rehearse", "--crash is of failover");
    }
    if (self->is_crash || self->act == REHEARSE_QUORUM) {
        self->timeout_ms += self->away_ms;
    }
    if (self->workload.rate * (self->for_ms + self->timeout_ms) / 1000 > REHEARSE_PUBLICATIONS_MAX) {
        return command_usage_error(call, "rehearse", "--rate and --for come to more than %d publications",
                                   REHEARSE_PUBLICATIONS_MAX);
    }
    return OPERATOR_DONE;
}

static void set_defaults(const struct command_call *call, struct rehearse_call *self) {
    redis_options_init(&self->redis);
    self->redis.mode = REDIS_MODE_CLUSTER;
    self->for_ms = DEFAULT_FOR_MS;
    self->away_ms = DEFAULT_AWAY_MS;
    self->timeout_ms = (uint64_t) call->timeout_ms;
    self->workload.channels = 6;
    self->workload.subscribers = 2;
    self->workload.rate = 60;
    self->workload.patience_ms = DEFAULT_PATIENCE_MS;
    self->workload.tokens.ttl_s = TOKEN_TTL_S;
}

static int read_act(struct command_call *call, struct rehearse_call *self) {
    const char *act = call->n_arguments == 1 ? call->arguments[0] : "";
    if (strcmp(act, "failover") == 0) {
        self->act = REHEARSE_FAILOVER;
    } else if (strcmp(act, "quorum") == 0) {
        self->act = REHEARSE_QUORUM;
    } else if (strcmp(act, "restart-all") == 0) {
        self->act = REHEARSE_RESTART;
    } else if (strcmp(act, "drain") == 0) {
        self->act = REHEARSE_DRAIN;
    } else {
        return command_usage_error(call, "rehearse", "one act: failover, quorum, restart-all or drain");
    }
    return OPERATOR_DONE;
}

/* ---- the command ---- */

static void take_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    action.sa_flags = (int) SA_RESETHAND; /* the second one ends at once */
    (void) sigaction(SIGINT, &action, NULL);
    (void) sigaction(SIGTERM, &action, NULL);
    (void) signal(SIGPIPE, SIG_IGN);
}

static int run_by_api(struct command_call *call, struct rehearse_call *self) {
    struct command_cluster cluster;
    int result = command_cluster_open(call, "rehearse", &cluster);
    if (result == OPERATOR_DONE) {
        kube_client_set_deadline(cluster.client, 0); /* each call has its own time, and what was begun is undone */
        self->kube =
            rehearse_kube_new(&(struct rehearse_kube_options){.client = cluster.client, .instance = self->instance});
        result = rehearse_run(self);
        rehearse_kube_destroy(&self->kube);
    }
    command_cluster_close(&cluster);
    return result;
}

static int run(struct command_call *call) {
    struct rehearse_call self = {.arena = call->arena,
                                 .out = call->out,
                                 .is_json = strcmp(call->output, "json") == 0,
                                 .tell = tell,
                                 .context = call,
                                 .is_interrupted = &interrupted};
    int result = read_act(call, &self);
    set_defaults(call, &self);
    for (size_t i = 0; i < call->n_options && result == OPERATOR_DONE; i++) {
        result = set_option(call, &self, call->options[i].name, call->options[i].value);
    }
    if (result == OPERATOR_DONE) {
        result = check_options(call, &self);
    }
    if (result != OPERATOR_DONE) {
        return result;
    }
    take_signals();
    return is_by_api(&self) ? run_by_api(call, &self) : rehearse_run(&self);
}

const struct command command_rehearse = {
    .name = "rehearse",
    .arguments = "ACT",
    .help = "failover, quorum, restart-all or drain: do it, measure what users would notice, put things back, and "
            "print a verdict",
    .outputs = "text json",
    .options = options,
    .run = run,
};
