/* Reads the command line of bench against a table, then judges what only makes sense together. */
#include "tools/ctl_bench_options.h"

#include "tools/bench/bench_protocol.h"
#include "tools/ctl.h"

#include "base/config_reader.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/token.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { USERS_MAX = 50000, CHANNELS_MAX = 1000000, PROCESSES_MAX = 64, SPARE_DESCRIPTORS = 64, SECRET_MAX = 65536 };

/* Numbers and durations go straight into the plan. */
struct number_option {
    const char *name;
    size_t place;
    uint64_t minimum;
    uint64_t maximum;
};
#define PLACE(member) offsetof(struct bench_plan, member)
static const struct number_option numbers[] = {
    {"users", PLACE(users), 1, USERS_MAX},
    {"processes", PLACE(processes), 1, PROCESSES_MAX},
    {"sources", PLACE(sources), 0, 250},
    {"connecting", PLACE(connecting), 1, USERS_MAX},
    {"channels", PLACE(channels), 0, CHANNELS_MAX},
    {"subscriptions", PLACE(subscriptions_per_user), 1, 1000},
    {"publishers", PLACE(publishers), 0, 1000},
    {"in-flight", PLACE(in_flight), 1, 100000},
    {"size", PLACE(size), BENCH_SIZE_MIN, BENCH_SIZE_MAX},
    {"storm", PLACE(missed), 1, 1000},
};
static const struct number_option durations[] = {
    /* in the unit that the plan has, given as ms or µs */
    {"duration", PLACE(duration_ms), 0, 86400000}, {"drain", PLACE(drain_ms), 0, 3600000},
    {"settle", PLACE(settle_ms), 0, 3600000},      {"connect-timeout", PLACE(connect_ms), 1, 3600000},
    {"pause", PLACE(pause_us), 0, 60000000},
};
enum { N_NUMBERS = sizeof numbers / sizeof numbers[0], N_DURATIONS = sizeof durations / sizeof durations[0] };

/* The others, in the order of the switch. */
enum {
    URL,
    RAW,
    NCHAN,
    STORM_TO,
    RATE,
    CHURN,
    PREFIX,
    CONFIG,
    SECRET_FILE,
    AUDIENCE,
    ISSUER,
    TOKEN,
    PID,
    REDIS,
    ASSERT,
    REPORT,
    PLOT,
    PROGRESS,
    HELP,
    N_OTHERS
};
static const struct option others[N_OTHERS] = {
    [URL] = {"url", required_argument, NULL, 0},
    [RAW] = {"raw", no_argument, NULL, 0},
    [NCHAN] = {"nchan", no_argument, NULL, 0},
    [STORM_TO] = {"storm-to", required_argument, NULL, 0},
    [RATE] = {"rate", required_argument, NULL, 0},
    [CHURN] = {"churn", required_argument, NULL, 0},
    [PREFIX] = {"channel-prefix", required_argument, NULL, 0},
    [CONFIG] = {"config", required_argument, NULL, 0},
    [SECRET_FILE] = {"secret-file", required_argument, NULL, 0},
    [AUDIENCE] = {"audience", required_argument, NULL, 0},
    [ISSUER] = {"issuer", required_argument, NULL, 0},
    [TOKEN] = {"token", required_argument, NULL, 0},
    [PID] = {"pid", required_argument, NULL, 0},
    [REDIS] = {"redis", required_argument, NULL, 0},
    [ASSERT] = {"assert", required_argument, NULL, 0},
    [REPORT] = {"report", required_argument, NULL, 0},
    [PLOT] = {"plot", required_argument, NULL, 0},
    [PROGRESS] = {"progress", no_argument, NULL, 0},
    [HELP] = {"help", no_argument, NULL, 0},
};

static int read_number(struct bench_plan *plan, const struct number_option *option, const char *text) {
    uint64_t value;
    if (!ctl_parse_number(text, option->minimum, option->maximum, &value)) {
        return ctl_usage_error("bench", "--%s takes a number from %llu to %llu, not '%s'", option->name,
                               (unsigned long long) option->minimum, (unsigned long long) option->maximum, text);
    }
    unsigned number = (unsigned) value;
    memcpy((char *) plan + option->place, &number, sizeof number);
    return CTL_DONE;
}

/* 500us, 20ms, 10s, 2m as microseconds. */
static bool parse_duration(const char *text, uint64_t *ret_us) {
    static const struct {
        const char *unit;
        uint64_t us;
    } units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}};
    size_t digits = strspn(text, "0123456789");
    uint64_t value;
    if (digits > 12 || !span_parse_u64(span_of(text, digits), &value)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text + digits, units[i].unit) == 0) {
            *ret_us = value * units[i].us;
            return true;
        }
    }
    return false;
}

static int read_duration(struct bench_plan *plan, const struct number_option *option, const char *text) {
    uint64_t us;
    uint64_t unit = option->place == PLACE(pause_us) ? 1 : 1000;
    if (!parse_duration(text, &us) || us / unit < option->minimum || us / unit > option->maximum) {
        return ctl_usage_error("bench", "--%s takes a time such as 500us, 20ms, 10s or 2m, not '%s'", option->name,
                               text);
    }
    us /= unit;
    memcpy((char *) plan + option->place, &us, sizeof us);
    return CTL_DONE;
}

/* The scheme says the protocol; HOST must resolve to an IPv4 address. */
static int read_url(struct bench_plan *plan, const char *text) {
    static const struct {
        const char *scheme;
        enum bench_protocol_kind protocol;
    } schemes[] = {{"ws://", BENCH_CENTRIFUGE}, {"mqtt://", BENCH_MQTT}, {"nats://", BENCH_NATS}};
    const char *rest = NULL;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0] && rest == NULL; i++) {
        if (strncmp(text, schemes[i].scheme, strlen(schemes[i].scheme)) == 0) {
            rest = text + strlen(schemes[i].scheme);
            if (plan->n_targets > 0 && schemes[i].protocol != plan->protocol) {
                return ctl_usage_error("bench", "--url: all of them have the same scheme");
            }
            plan->protocol = schemes[i].protocol;
        }
    }
    char host[128];
    char name[128];
    unsigned port;
    size_t length = rest == NULL ? 0 : strcspn(rest, "/");
    if (length == 0 || length >= sizeof host || plan->n_targets == BENCH_TARGETS_MAX) {
        return ctl_usage_error("bench",
                               "--url takes ws://HOST:PORT/PATH, mqtt://HOST:PORT or nats://HOST:PORT, at most %d "
                               "of them, not '%s' (it speaks plain TCP)",
                               BENCH_TARGETS_MAX, text);
    }
    snprintf(host, sizeof host, "%.*s", (int) length, rest);
    if (sscanf(host, "%127[^:]:%u", name, &port) != 2 || port == 0 || port > 65535) {
        return ctl_usage_error("bench", "--url: '%s' is no HOST:PORT", host);
    }
    struct bench_target *target = &plan->targets[plan->n_targets++];
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (getaddrinfo(name, NULL, &hints, &found) != 0) {
        return ctl_usage_error("bench", "--url: %s has no IPv4 address", name);
    }
    memcpy(&target->address, found->ai_addr, sizeof target->address);
    target->address.sin_port = htons((uint16_t) port);
    freeaddrinfo(found);
    snprintf(target->host, sizeof target->host, "%s", host);
    snprintf(target->path, sizeof target->path, "%s", rest + length);
    return CTL_DONE;
}

/* One more target, which nobody goes to at first. */
static int read_storm_target(struct bench_plan *plan, const char *text) {
    int outcome = read_url(plan, text);
    if (outcome == CTL_DONE) {
        plan->storm_target = plan->targets[--plan->n_targets];
        plan->has_storm_target = true;
    }
    return outcome;
}

static int read_pid(struct bench_options *self, char *text) {
    char *equals = strchr(text, '=');
    uint64_t pid;
    struct bench_observation *observation = &self->observation;
    if (observation->n_pids == BENCH_PROCESSES_MAX ||
        !ctl_parse_number(equals == NULL ? text : equals + 1, 1, 1 << 30, &pid)) {
        return ctl_usage_error("bench", "--pid takes PID or NAME=PID, at most %d of them, not '%s'",
                               BENCH_PROCESSES_MAX, text);
    }
    if (equals != NULL) {
        *equals = '\0';
        self->names[observation->n_pids] = text;
    }
    self->pids[observation->n_pids++] = (int) pid;
    return CTL_DONE;
}

static int read_redis(struct bench_options *self, const char *text) {
    char error[256];
    if (!redis_url_parse(span_of_text(text), &self->redis, error, sizeof error)) {
        return ctl_usage_error("bench", "--redis: %s", error);
    }
    if (self->redis.kind != REDIS_URL_STANDALONE || self->redis.tls) {
        return ctl_usage_error("bench", "--redis takes redis:// or unix://, one server without TLS");
    }
    self->observation.redis = &self->redis;
    return CTL_DONE;
}

static int read_secret_file(struct bench_options *self, const char *file) {
    const char *reason;
    if (!config_read_file(file, SECRET_MAX, &self->secret, &reason)) {
        fprintf(stderr, "callboardctl bench: cannot read %s: %s\n", file, reason);
        return CTL_USAGE;
    }
    while (self->secret.size > 0 && strchr("\r\n", self->secret.data[self->secret.size - 1]) != NULL) {
        self->secret.size--;
    }
    return CTL_DONE;
}

static int read_rate(struct bench_plan *plan, const char *text) {
    char *end;
    plan->rate = strcmp(text, "max") == 0 ? 0 : strtod(text, &end);
    if (strcmp(text, "max") != 0 && (end == text || *end != '\0' || !(plan->rate > 0) || plan->rate > 1e6)) {
        return ctl_usage_error("bench", "--rate takes publications a second, or max, not '%s'", text);
    }
    return CTL_DONE;
}

static int read_churn(struct bench_plan *plan, const char *text) {
    if (strcmp(text, "close") != 0 && strcmp(text, "reset") != 0) {
        return ctl_usage_error("bench", "--churn takes close or reset, not '%s'", text);
    }
    plan->churn = strcmp(text, "close") == 0 ? BENCH_CHURN_CLOSE : BENCH_CHURN_RESET;
    return CTL_DONE;
}

static int read_assertions(struct bench_options *self, const char *text) {
    char error[256];
    if (!bench_assertions_parse(text, self->assertions, &self->n_assertions, error, sizeof error)) {
        return ctl_usage_error("bench", "--assert '%s': %s", text, error);
    }
    return CTL_DONE;
}

static int read_other(struct bench_options *self, int which, char *text, enum bench_protocol_kind *spoken) {
    struct bench_plan *plan = &self->plan;
    switch (which) {
    case URL:
        return read_url(plan, text);
    case RAW:
        *spoken = BENCH_RAW;
        return CTL_DONE;
    case NCHAN:
        *spoken = BENCH_NCHAN;
        return CTL_DONE;
    case STORM_TO:
        return read_storm_target(plan, text);
    case RATE:
        return read_rate(plan, text);
    case CHURN:
        return read_churn(plan, text);
    case PREFIX:
        plan->channel_prefix = text;
        return CTL_DONE;
    case CONFIG:
        return bench_options_read_config(text, self);
    case SECRET_FILE:
        return read_secret_file(self, text);
    case AUDIENCE:
        plan->audience = text;
        return CTL_DONE;
    case ISSUER:
        plan->issuer = text;
        return CTL_DONE;
    case TOKEN:
        plan->token = text;
        return CTL_DONE;
    case PID:
        return read_pid(self, text);
    case REDIS:
        return read_redis(self, text);
    case ASSERT:
        return read_assertions(self, text);
    case REPORT:
        self->report_file = text;
        return CTL_DONE;
    case PLOT:
        self->plot_file = text;
        return CTL_DONE;
    case PROGRESS:
        self->observation.progress = true;
        return CTL_DONE;
    default:
        self->help = true;
        bench_options_print_help();
        return CTL_DONE;
    }
}

/* Who misses something has to go, and to say where it was. */
static int judge_storm(const struct bench_plan *plan) {
    if (plan->missed == 0) {
        return plan->has_storm_target ? ctl_usage_error("bench", "--storm-to needs --storm") : CTL_DONE;
    }
    if (!bench_protocol_of(plan->protocol)->can_resume) {
        return ctl_usage_error("bench", "--storm: %s has no positions to come back with",
                               bench_protocol_of(plan->protocol)->name);
    }
    if (plan->churn != BENCH_NO_CHURN) {
        return ctl_usage_error("bench", "--storm and --churn are two things");
    }
    if (plan->channels == 0 || plan->publishers == 0 || (uint64_t) plan->channels * plan->publishers >= plan->users) {
        return ctl_usage_error("bench", "--storm: somebody publishes and stays, the others go and come back: it needs "
                                        "channels and publishers, and more users than publishers");
    }
    return CTL_DONE;
}

static void put_default_path(struct bench_target *target, bool is_raw) {
    if (target->path[0] == '\0') {
        snprintf(target->path, sizeof target->path, "%s", is_raw ? "/ws/" : "/connection/websocket");
    }
}

/* What was not given, and what does not go together. */
static int complete(struct bench_options *self, rlim_t descriptors, enum bench_protocol_kind spoken) {
    struct bench_plan *plan = &self->plan;
    const char *secret = getenv("CALLBOARD_TOKEN_SECRET");
    if (plan->n_targets == 0) {
        char url[] = "ws://127.0.0.1:8000";
        read_url(plan, url);
    }
    plan->protocol = plan->protocol == BENCH_CENTRIFUGE ? spoken : plan->protocol;
    bool on_loopback = true;
    for (unsigned i = 0; i < plan->n_targets; i++) {
        struct bench_target *target = &plan->targets[i];
        on_loopback = on_loopback && ntohl(target->address.sin_addr.s_addr) >> 24 == 127;
        put_default_path(target, spoken != BENCH_CENTRIFUGE);
    }
    put_default_path(&plan->storm_target, spoken != BENCH_CENTRIFUGE);
    on_loopback =
        on_loopback && (!plan->has_storm_target || ntohl(plan->storm_target.address.sin_addr.s_addr) >> 24 == 127);
    plan->sources = on_loopback ? plan->sources : 0;
    unsigned needed = (unsigned) (plan->users / (descriptors - SPARE_DESCRIPTORS) + 1);
    plan->processes = plan->processes < needed ? needed : plan->processes;
    plan->processes = plan->processes > plan->users ? plan->users : plan->processes;
    if (self->secret.size == 0 && plan->token == NULL && secret != NULL) {
        buffer_append_text(&self->secret, secret);
    }
    plan->secret = buffer_span(&self->secret);
    plan->audience = plan->audience == NULL ? self->audience : plan->audience;
    plan->issuer = plan->issuer == NULL ? self->issuer : plan->issuer;
    if (plan->secret.size > 0 && plan->secret.size < TOKEN_SECRET_MIN) {
        return ctl_usage_error("bench", "the secret has %zu bytes; it needs at least %d", plan->secret.size,
                               TOKEN_SECRET_MIN);
    }
    if (plan->channels > 0 && plan->subscriptions_per_user > plan->channels) {
        return ctl_usage_error("bench", "--subscriptions %u: there are %u channels", plan->subscriptions_per_user,
                               plan->channels);
    }
    if (plan->subscriptions_per_user > 1 && !bench_protocol_of(plan->protocol)->many_channels) {
        return ctl_usage_error("bench", "--subscriptions: a raw connection has one channel");
    }
    if ((uint64_t) plan->channels * plan->publishers > bench_subscriptions(plan)) {
        return ctl_usage_error("bench",
                               "%u channels x %u publishers: the publishers are among the subscribers, and there "
                               "are %llu of them",
                               plan->channels, plan->publishers, (unsigned long long) bench_subscriptions(plan));
    }
    return judge_storm(plan);
}

static void put_defaults(struct bench_options *self) {
    *self = (struct bench_options){.plan = {.users = 100,
                                            .processes = 1,
                                            .sources = 64,
                                            .connecting = 200,
                                            .channels = 1,
                                            .subscriptions_per_user = 1,
                                            .publishers = 1,
                                            .rate = 10,
                                            .in_flight = 512,
                                            .size = 128,
                                            .duration_ms = 10000,
                                            .drain_ms = 5000,
                                            .settle_ms = 200,
                                            .connect_ms = 60000,
                                            .channel_prefix = "bench:",
                                            .algorithm = TOKEN_HS256},
                                   .observation = {.progress = isatty(STDERR_FILENO) == 1},
                                   .secret = BUFFER_EMPTY};
    self->observation.pids = self->pids;
    self->observation.names = self->names;
    self->plan.run = (uint32_t) random_u64();
}

int bench_options_read(int argc, char **argv, rlim_t descriptors, struct bench_options *ret) {
    struct option known[N_NUMBERS + N_DURATIONS + N_OTHERS + 1] = {{NULL, 0, NULL, 0}};
    for (int i = 0; i < N_NUMBERS; i++) {
        known[i] = (struct option){numbers[i].name, required_argument, NULL, 0};
    }
    for (int i = 0; i < N_DURATIONS; i++) {
        known[N_NUMBERS + i] = (struct option){durations[i].name, required_argument, NULL, 0};
    }
    memcpy(&known[N_NUMBERS + N_DURATIONS], others, sizeof others);
    put_defaults(ret);
    enum bench_protocol_kind spoken = BENCH_CENTRIFUGE;
    int place;
    for (int option; (option = getopt_long(argc, argv, "", known, &place)) != -1;) {
        if (option != 0) {
            return ctl_usage_error("bench", "see callboardctl bench --help");
        }
        int outcome = place < N_NUMBERS ? read_number(&ret->plan, &numbers[place], optarg)
                      : place < N_NUMBERS + N_DURATIONS
                          ? read_duration(&ret->plan, &durations[place - N_NUMBERS], optarg)
                          : read_other(ret, place - N_NUMBERS - N_DURATIONS, optarg, &spoken);
        if (outcome != CTL_DONE || ret->help) {
            return outcome;
        }
    }
    if (optind != argc) {
        return ctl_usage_error("bench", "takes options only, not '%s'; see callboardctl bench --help", argv[optind]);
    }
    return complete(ret, descriptors, spoken);
}

void bench_options_finish(struct bench_options *self) {
    if (self->secret.data != NULL) {
        explicit_bzero(self->secret.data, self->secret.capacity);
    }
    buffer_finish(&self->secret);
    memory_free(self->audience);
    memory_free(self->issuer);
}
