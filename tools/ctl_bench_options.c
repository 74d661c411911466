/* Reads the command line of bench against a table, then judges what only makes sense together. */
#include "tools/ctl_bench_options.h"

#include "tools/bench/bench_protocol.h"
#include "tools/ctl.h"

#include "base/check.h"
#include "base/config_reader.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/token.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { USERS_MAX = 50000, CHANNELS_MAX = 1000000, PROCESSES_MAX = 64, SPARE_DESCRIPTORS = 64, SECRET_MAX = 65536 };

/* In the order of the table. */
enum {
    URL,
    RAW,
    NCHAN,
    USERS,
    CONNECTING,
    CONNECT_TIMEOUT,
    SETTLE,
    SOURCES,
    PROCESSES,
    CONFIG,
    SECRET_FILE,
    AUDIENCE,
    ISSUER,
    TOKEN,
    CHURN,
    CHANNELS,
    CHANNEL_PREFIX,
    SUBSCRIPTIONS,
    PUBLISHERS,
    RATE,
    IN_FLIGHT,
    PAUSE,
    SIZE,
    STORM,
    STORM_TO,
    DURATION,
    DRAIN,
    PID,
    REDIS,
    REPORT,
    PLOT,
    PROGRESS,
    ASSERT,
    N_OPTIONS
};

#define NUMBER(NAME, LEAST, MOST, INITIAL, ...)                                                                        \
    {                                                                                                                  \
        .name = (NAME), .kind = CTL_NUMBER, .value = "N", .minimum = (LEAST), .maximum = (MOST), .initial = (INITIAL), \
        __VA_ARGS__                                                                                                    \
    }
#define TIME(NAME, LEAST_MS, MOST_MS, INITIAL, ...)                                                                    \
    {                                                                                                                  \
        .name = (NAME), .kind = CTL_DURATION, .value = "TIME", .minimum = (LEAST_MS) *1000ULL,                         \
        .maximum = (MOST_MS) *1000ULL, .initial = (INITIAL), __VA_ARGS__                                               \
    }
#define TEXT(NAME, VALUE, ...)                                                                                         \
    { .name = (NAME), .kind = CTL_TEXT, .value = (VALUE), __VA_ARGS__ }
#define A_FILE(NAME, ...)                                                                                              \
    { .name = (NAME), .kind = CTL_FILE, .value = "FILE", __VA_ARGS__ }
#define FLAG(NAME, ...)                                                                                                \
    { .name = (NAME), .kind = CTL_FLAG, __VA_ARGS__ }

const struct ctl_option bench_options_table[] = {
    [URL] = TEXT("url", "URL", .section = "Whom to load", .many = true,
                 .initial = "ws://127.0.0.1:8000/connection/websocket",
                 .help = "ws://HOST:PORT/PATH, mqtt://HOST:PORT or nats://HOST:PORT; with several the users are spread "
                         "over them"),
    [RAW] =
        FLAG("raw", .help = "the raw endpoint: PATH (/ws/ without one) and the channel, a message is a publication; "
                            "so are other servers of that kind loaded"),
    [NCHAN] = FLAG("nchan", .help = "the same as nchan speaks it: with its message ids in a storm"),

    [USERS] = NUMBER("users", 1, USERS_MAX, "100", .section = "Who they are", .help = "how many connect"),
    [CONNECTING] = NUMBER("connecting", 1, USERS_MAX, "200", .help = "at most so many handshakes under way"),
    [CONNECT_TIMEOUT] = TIME("connect-timeout", 1, 3600000, "60s", .help = "the run begins then, whoever is missing"),
    [SETTLE] = TIME("settle", 0, 3600000, "200ms", .help = "wait so long when all are connected"),
    [SOURCES] = NUMBER("sources", 0, 250, "64",
                       .help = "source addresses, from 127.0.0.2 on, where all servers are on loopback"),
    [PROCESSES] = NUMBER("processes", 1, PROCESSES_MAX, "as many as their descriptors need", .help = "of the load"),
    [CONFIG] = A_FILE("config", .help = "sign a token for each user with this configuration's token.secret, audience "
                                        "and issuer"),
    [SECRET_FILE] =
        A_FILE("secret-file", .initial = "CALLBOARD_TOKEN_SECRET", .help = "sign them with this secret, HS256"),
    [AUDIENCE] = TEXT("audience", "TEXT", .help = "for whom the tokens are"),
    [ISSUER] = TEXT("issuer", "TEXT", .help = "who made them"),
    [TOKEN] = TEXT("token", "TOKEN", .help = "the same token for all"),
    [CHURN] =
        TEXT("churn", "HOW", .choices = "close reset",
             .help = "each user ends its connection as soon as it is up (by closing frames, or by cutting it) and "
                     "connects again: handshakes a second are connect_rate"),

    [CHANNELS] = NUMBER("channels", 0, CHANNELS_MAX, "1", .section = "What they do",
                        .help = "how many there are; 0: nobody subscribes"),
    [CHANNEL_PREFIX] = TEXT("channel-prefix", "TEXT", .initial = "bench:", .help = "in front of a channel's number"),
    [SUBSCRIPTIONS] = NUMBER("subscriptions", 1, 1000, "1", .help = "channels of each user"),
    [PUBLISHERS] = NUMBER("publishers", 0, 1000, "1",
                          .help = "of each channel, the first of its subscribers; 0: nobody publishes"),
    [RATE] = TEXT("rate", "R", .initial = "10",
                  .help = "publications a second of each publisher; max: as fast as the slowest subscriber follows, "
                          "--in-flight ahead of it"),
    [IN_FLIGHT] = NUMBER("in-flight", 1, 100000, "512", .help = "with --rate max"),
    [PAUSE] = TIME("pause", 0, 60000, "0s", .help = "with --rate max: so long after each time all came back"),
    [SIZE] = NUMBER("size", BENCH_SIZE_MIN, BENCH_SIZE_MAX, "128", .help = "bytes of a payload"),
    [STORM] = NUMBER("storm", 1, 1000, NULL,
                     .help = "instead of publishing for a while: all but the publishers are cut off at once, miss N "
                             "publications of each publisher, and come back at once with their positions, --connecting "
                             "handshakes at a time; it ends when each has what it missed, or at --connect-timeout"),
    [STORM_TO] = TEXT("storm-to", "URL", .help = "they come back there, as when their gateway went"),
    [DURATION] = TIME("duration", 0, 86400000, "10s", .help = "of the publishing"),
    [DRAIN] = TIME("drain", 0, 3600000, "5s", .help = "wait so long for what is still due"),

    [PID] = TEXT("pid", "[NAME=]PID", .section = "What is looked at beside", .many = true,
                 .help = "CPU and memory of this process; with several of them together, and each"),
    [REDIS] = TEXT("redis", "URL", .help = "its commands a second (redis:// or unix://)"),

    [REPORT] = A_FILE("report", .section = "What comes out", .help = "the report as one JSON object into a file"),
    [PLOT] = A_FILE("plot", .help = "an SVG: latency and deliveries of each second, latency by percentile"),
    [PROGRESS] = FLAG("progress", .help = "a line each second on standard error, also where that is no terminal"),
    [ASSERT] = TEXT("assert", "LIST", .many = true,
                    .help = "e.g. 'success>=99.5,p95<50ms,lost=0': exit code 1 where one does not hold"),
    [N_OPTIONS] = {.name = NULL},
};

/* These go straight into the plan; times in the unit that it has. */
#define PLACE(member) offsetof(struct bench_plan, member)
static const struct {
    int option;
    size_t place;
} numbers[] =
    {
        {USERS, PLACE(users)},           {PROCESSES, PLACE(processes)}, {SOURCES, PLACE(sources)},
        {CONNECTING, PLACE(connecting)}, {CHANNELS, PLACE(channels)},   {SUBSCRIPTIONS, PLACE(subscriptions_per_user)},
        {PUBLISHERS, PLACE(publishers)}, {IN_FLIGHT, PLACE(in_flight)}, {SIZE, PLACE(size)},
        {STORM, PLACE(missed)},
},
  times[] = {
      {DURATION, PLACE(duration_ms)},       {DRAIN, PLACE(drain_ms)}, {SETTLE, PLACE(settle_ms)},
      {CONNECT_TIMEOUT, PLACE(connect_ms)}, {PAUSE, PLACE(pause_us)},
};
enum { N_NUMBERS = sizeof numbers / sizeof numbers[0], N_TIMES = sizeof times / sizeof times[0] };

/* False: it is none of them. */
static bool take_number(struct bench_plan *plan, const struct ctl_given *given) {
    for (size_t i = 0; i < N_NUMBERS; i++) {
        if (numbers[i].option == given->option) {
            unsigned number = (unsigned) given->number;
            memcpy((char *) plan + numbers[i].place, &number, sizeof number);
            return true;
        }
    }
    for (size_t i = 0; i < N_TIMES; i++) {
        if (times[i].option == given->option) {
            uint64_t value = given->number / (given->option == PAUSE ? 1 : 1000);
            memcpy((char *) plan + times[i].place, &value, sizeof value);
            return true;
        }
    }
    return false;
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
        plan->churn = strcmp(text, "close") == 0 ? BENCH_CHURN_CLOSE : BENCH_CHURN_RESET;
        return CTL_DONE;
    case CHANNEL_PREFIX:
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
        check(false, "an option of bench without a reader");
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

int bench_options_read(const struct ctl_arguments *arguments, rlim_t descriptors, struct bench_options *ret) {
    put_defaults(ret);
    enum bench_protocol_kind spoken = BENCH_CENTRIFUGE;
    for (size_t i = 0; i < arguments->n_given; i++) {
        const struct ctl_given *given = &arguments->given[i];
        if (take_number(&ret->plan, given)) {
            continue;
        }
        int outcome = read_other(ret, given->option, given->text, &spoken);
        if (outcome != CTL_DONE) {
            return outcome;
        }
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
