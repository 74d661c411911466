/* See redis_pod_set.h. Addresses are 127.a.b.c with a of this process and b of the generation, so that tests that run
 * at the same time do not meet. */
#include "tests/support/redis_pod_set.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "tests/support/free_port.h"
#include "tests/support/http_get.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

enum { AWAIT_MS = 30000, PATH_SIZE = 160, SETTINGS_MAX = 40, SETTING_SIZE = 700, LIST_SIZE = 512 };

struct pod {
    process_t *agent; /* NULL: does not run */
    pid_t server;
    int probe_port;
    char address[32];
};

struct redis_pod_set {
    struct redis_pod_set_options options;
    struct pod pods[REDIS_POD_SET_MAX];
    int port;
    unsigned number; /* of the set in this process */
    unsigned generation;
    char directory[PATH_SIZE];
    char list[LIST_SIZE];
    const char *sentinels; /* the list of another set, or NULL */
};

static unsigned n_sets; /* of this process, so that their addresses differ */

static void set_address(redis_pod_set_t *self, unsigned pod) {
    snprintf(self->pods[pod].address, sizeof self->pods[pod].address, "127.%u.%u.%u", 10 + (unsigned) getpid() % 240,
             self->number * 16 + self->generation, pod + 1);
}

static void path_of(const redis_pod_set_t *self, unsigned pod, const char *what, char ret_path[PATH_SIZE + 64]) {
    snprintf(ret_path, PATH_SIZE + 64, "%s/%u-%s", self->directory, pod, what);
}

static FILE *create(const char *directory, const char *name) {
    char path[PATH_SIZE + 96];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    check(file != NULL, "%s: %s", path, strerror(errno));
    return file;
}

static void write_hosts(const redis_pod_set_t *self) {
    FILE *file = create(self->directory, "hosts");
    for (unsigned i = 0; i < self->options.n; i++) {
        fprintf(file, "%s redis-%u.pods.test redis-%u\n", self->pods[i].address, i, i);
    }
    fclose(file);
}

static void write_tls(const redis_pod_set_t *self, FILE *file) {
    char path[TLS_PATH_MAX];
    fprintf(file, "tls-port %d\nport 0\ntls-replication yes\ntls-auth-clients no\n", self->port);
    tls_directory_file(self->options.tls, "authority.crt", path);
    fprintf(file, "tls-ca-cert-file %s\n", path);
    tls_directory_file(self->options.tls, "server.crt", path);
    fprintf(file, "tls-cert-file %s\n", path);
    tls_directory_file(self->options.tls, "server.key", path);
    fprintf(file, "tls-key-file %s\n", path);
    if (strcmp(self->options.mode, "cluster") == 0) {
        fprintf(file, "tls-cluster yes\n");
    }
}

static void write_templates(const redis_pod_set_t *self, unsigned pod) {
    char path[PATH_SIZE + 64];
    char data[PATH_SIZE + 64];
    bool is_sentinel = strcmp(self->options.mode, "sentinel") == 0;
    path_of(self, pod, "output", path);
    path_of(self, pod, "data", data);
    char templates[PATH_SIZE + 64];
    path_of(self, pod, "templates", templates);
    FILE *file = create(templates, is_sentinel ? "sentinel.conf" : "redis.conf");
    if (self->options.tls != NULL) {
        write_tls(self, file);
    } else {
        fprintf(file, "port %d\n", self->port);
    }
    fprintf(file, "bind ${pod-ip}\nprotected-mode no\ndir %s\n", data);
    if (!is_sentinel) {
        fprintf(file, "aclfile %s/users.acl\nsave \"\"\nappendonly yes\nrepl-diskless-sync-delay 0\n", path);
        fprintf(file, "masteruser agent\nmasterauth ${secret:agent}\n");
    } else {
        fprintf(file, "sentinel myid ${sentinel-id}\n");
    }
    for (size_t i = 0; self->options.lines != NULL && self->options.lines[i] != NULL; i++) {
        fprintf(file, "%s\n", self->options.lines[i]);
    }
    fclose(file);
    if (is_sentinel) {
        return;
    }
    file = create(templates, "users.acl");
    fprintf(file, "user default off resetpass ~* &* +@all\nuser tester on ${acl:tester} ~* &* +@all\n"
                  "user agent on ${acl:agent} +ping +info +role +dbsize +cluster +replicaof +psync +replconf "
                  "+client|pause +client|unpause\n"
                  "user backup on ${acl:agent} resetchannels -@all +ping +info +role +dbsize +cluster|info "
                  "+cluster|nodes +psync +replconf\n"
                  "user operator on ${acl:agent} ~cb:* ~{cb}* resetchannels -@all +ping +info +role +dbsize +select "
                  "+cluster +migrate +restore +restore-asking\n"
                  "user renewal on ${own-acl} resetchannels -@all +ping +config|set\n"
                  "user sentinel on ${acl:sentinel} resetchannels allchannels -@all +multi +slaveof +ping +exec "
                  "+subscribe +config|rewrite "
                  "+role +publish +info +client|setname +client|kill +script|kill +failover\n");
    fclose(file);
}

static void write_secrets(const redis_pod_set_t *self) {
    char path[PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/secrets", self->directory);
    check(mkdir(path, 0700) == 0, "%s", path);
    FILE *file = create(path, "agent");
    fprintf(file, "agent \"secret\" word\r\nthe-old-one\r\n");
    fclose(file);
    file = create(path, "tester");
    fprintf(file, "tester-secret\n");
    fclose(file);
    file = create(path, "sentinel");
    fprintf(file, "sentinel-secret\n");
    fclose(file);
}

redis_pod_set_t *redis_pod_set_new(const struct redis_pod_set_options *options) {
    redis_pod_set_t *self = memory_alloc_zero(sizeof *self);
    const char *base = getenv("TMPDIR");
    self->options = *options;
    self->number = n_sets++;
    self->port = free_port();
    snprintf(self->directory, sizeof self->directory, "%s/callboard-pods-XXXXXX", base == NULL ? "/tmp" : base);
    check(mkdtemp(self->directory) != NULL, "mkdtemp: %s", strerror(errno));
    write_secrets(self);
    size_t size = 0;
    for (unsigned i = 0; i < options->n; i++) {
        static const char *const kinds[] = {"templates", "output", "data"};
        for (size_t k = 0; k < 3; k++) {
            char path[PATH_SIZE + 64];
            path_of(self, i, kinds[k], path);
            check(mkdir(path, 0700) == 0, "%s", path);
        }
        set_address(self, i);
        write_templates(self, i);
        char name[40];
        snprintf(name, sizeof name, "redis-%u.pods.test", i);
        size += (size_t) snprintf(self->list + size, sizeof self->list - size, "%s%s:%d", i == 0 ? "" : ",",
                                  options->by_address ? self->pods[i].address : name, self->port);
    }
    write_hosts(self);
    return self;
}

static int remove_entry(const char *path, const struct stat *stat, int kind, struct FTW *walk) {
    (void) stat;
    (void) kind;
    (void) walk;
    return remove(path);
}

void redis_pod_set_destroy(redis_pod_set_t **self_p) {
    redis_pod_set_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (unsigned i = 0; i < self->options.n; i++) {
        if (self->pods[i].agent != NULL && process_is_running(self->pods[i].agent) && self->pods[i].server != 0) {
            kill(self->pods[i].server, SIGKILL);
        }
        process_kill(&self->pods[i].agent);
    }
    nftw(self->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    memory_free(self);
    *self_p = NULL;
}

void redis_pod_set_watched_by(redis_pod_set_t *self, const redis_pod_set_t *sentinels) {
    self->sentinels = sentinels->list;
}

const char *redis_pod_set_list(const redis_pod_set_t *self) {
    return self->list;
}

const char *redis_pod_set_address(const redis_pod_set_t *self, unsigned pod) {
    return self->pods[pod].address;
}

const char *redis_pod_set_output(const redis_pod_set_t *self, unsigned pod) {
    static char path[PATH_SIZE + 64];
    path_of(self, pod, "output", path);
    return path;
}

const char *redis_pod_set_directory(const redis_pod_set_t *self) {
    return self->directory;
}

int redis_pod_set_port(const redis_pod_set_t *self) {
    return self->port;
}

void redis_pod_set_move(redis_pod_set_t *self) {
    self->generation++;
    for (unsigned i = 0; i < self->options.n; i++) {
        if (self->pods[i].agent == NULL) {
            set_address(self, i);
        }
    }
    write_hosts(self);
}

void redis_pod_set_wipe(redis_pod_set_t *self, unsigned pod) {
    char path[PATH_SIZE + 64];
    path_of(self, pod, "data", path);
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    check(mkdir(path, 0700) == 0, "%s", path);
}

/* ---- processes ---- */

struct settings {
    char texts[SETTINGS_MAX][SETTING_SIZE];
    const char *list[SETTINGS_MAX + 1];
    size_t n;
};

static void add(struct settings *settings, const char *name, const char *value) {
    check(settings->n < SETTINGS_MAX, "too many settings");
    int size = snprintf(settings->texts[settings->n], SETTING_SIZE, "%s=%s", name, value);
    check(size > 0 && size < SETTING_SIZE, "a long setting");
    settings->list[settings->n] = settings->texts[settings->n];
    settings->list[++settings->n] = NULL;
}

static void add_lines(struct settings *settings, const char *const *lines) {
    for (size_t i = 0; lines != NULL && lines[i] != NULL; i++) {
        check(settings->n < SETTINGS_MAX, "too many settings");
        settings->list[settings->n++] = lines[i];
        settings->list[settings->n] = NULL;
    }
}

static void add_paths(const redis_pod_set_t *self, unsigned pod, struct settings *settings) {
    static const struct {
        const char *name;
        const char *what;
    } paths[] = {{"CALLBOARD_AGENT_TEMPLATES", "templates"},
                 {"CALLBOARD_AGENT_OUTPUT", "output"},
                 {"CALLBOARD_AGENT_DATA", "data"}};
    char path[PATH_SIZE + 64];
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        path_of(self, pod, paths[i].what, path);
        add(settings, paths[i].name, path);
    }
    snprintf(path, sizeof path, "%s/hosts", self->directory);
    add(settings, "CALLBOARD_AGENT_HOSTS_FILE", path);
    snprintf(path, sizeof path, "%s/secrets", self->directory);
    add(settings, "CALLBOARD_AGENT_SECRETS", path);
    snprintf(path, sizeof path, "%s/secrets/agent", self->directory);
    add(settings, "CALLBOARD_AGENT_PASSWORD_FILE", path);
}

/* `over` first: of two of a name the first one counts. */
static void fill_settings(const redis_pod_set_t *self, unsigned pod, const char *const *over,
                          struct settings *settings) {
    bool is_sentinel = strcmp(self->options.mode, "sentinel") == 0;
    char text[64];
    settings->n = 0;
    add_lines(settings, over);
    add_lines(settings, self->options.settings);
    add(settings, "CALLBOARD_AGENT_MODE", self->options.mode);
    add(settings, "CALLBOARD_AGENT_PEERS", self->options.peers != NULL ? self->options.peers : self->list);
    if (is_sentinel || self->sentinels != NULL) {
        add(settings, "CALLBOARD_AGENT_SENTINELS", is_sentinel ? self->list : self->sentinels);
    }
    snprintf(text, sizeof text, "redis-%u", pod);
    add(settings, "POD_NAME", text);
    add(settings, "POD_IP", self->pods[pod].address);
    add(settings, "CALLBOARD_AGENT_HOST", self->pods[pod].address);
    add(settings, "CALLBOARD_AGENT_LISTEN", "127.0.0.1:0");
    add(settings, "CALLBOARD_AGENT_USER", "agent");
    add(settings, "CALLBOARD_AGENT_INTERVAL_MS", "200");
    add_paths(self, pod, settings);
    if (self->options.tls != NULL) {
        char path[TLS_PATH_MAX];
        tls_directory_file(self->options.tls, "authority.crt", path);
        add(settings, "CALLBOARD_AGENT_TLS", "true");
        add(settings, "CALLBOARD_AGENT_TLS_CA_FILE", path);
        add(settings, "CALLBOARD_AGENT_TLS_SERVER_NAME", "redis.test");
    }
}

#define AGENT_PROGRAM CALLBOARD_BINARY_DIR "/operator/agent/callboard-agent"

void redis_pod_set_start(redis_pod_set_t *self, unsigned pod) {
    struct settings settings;
    char config[PATH_SIZE + 96];
    bool is_sentinel = strcmp(self->options.mode, "sentinel") == 0;
    const char *server = getenv("TEST_REDIS_SERVER");
    check(self->pods[pod].agent == NULL, "pod %u runs", pod);
    fill_settings(self, pod, NULL, &settings);
    snprintf(config, sizeof config, "%s/%u-output/%s", self->directory, pod,
             is_sentinel ? "sentinel.conf" : "redis.conf");
    const char *const argv[] = {
        AGENT_PROGRAM, "run", "--", server == NULL ? "redis-server" : server, config, is_sentinel ? "--sentinel" : NULL,
        NULL};
    self->pods[pod].agent = process_start(argv, settings.list);
    self->pods[pod].server = 0;
    self->pods[pod].probe_port = 0;
}

process_t *redis_pod_set_agent(redis_pod_set_t *self, unsigned pod) {
    return self->pods[pod].agent;
}

process_t *redis_pod_set_command(redis_pod_set_t *self, unsigned pod, const char *command,
                                 const char *const *settings_over) {
    struct settings settings;
    fill_settings(self, pod, settings_over, &settings);
    const char *const argv[] = {AGENT_PROGRAM, command, NULL};
    return process_start(argv, settings.list);
}

process_t *redis_pod_set_command_in(redis_pod_set_t *self, unsigned pod, const char *shell_command) {
    struct settings settings;
    fill_settings(self, pod, NULL, &settings);
    const char *const argv[] = {"unshare", "--user",      "--map-root-user", "--mount", "sh",
                                "-c",      shell_command, AGENT_PROGRAM,     NULL};
    return process_start(argv, settings.list);
}

/* The number behind "name": in a log line. */
static long field(const char *line, const char *name) {
    char quoted[40];
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *place = line == NULL ? NULL : strstr(line, quoted);
    check(place != NULL, "no %s in %s", name, line == NULL ? "(no line)" : line);
    return strtol(place + strlen(quoted), NULL, 10);
}

static pid_t server_of(redis_pod_set_t *self, unsigned pod) {
    if (self->pods[pod].server == 0) {
        self->pods[pod].server =
            (pid_t) field(process_wait_event(self->pods[pod].agent, "server_started", AWAIT_MS), "pid");
    }
    return self->pods[pod].server;
}

static void await_agent(redis_pod_set_t *self, unsigned pod) {
    int status;
    check(process_wait_exit(self->pods[pod].agent, AWAIT_MS, &status), "agent %u does not end: %s", pod,
          process_output(self->pods[pod].agent, PROCESS_STDERR));
    process_kill(&self->pods[pod].agent);
    self->pods[pod].server = 0;
}

void redis_pod_set_crash(redis_pod_set_t *self, unsigned pod) {
    kill(server_of(self, pod), SIGKILL);
    await_agent(self, pod);
}

void redis_pod_set_terminate(redis_pod_set_t *self, unsigned pod) {
    int status;
    process_signal(self->pods[pod].agent, SIGTERM);
    check(process_wait_exit(self->pods[pod].agent, AWAIT_MS, &status), "agent %u does not end", pod);
    const char *log = process_output(self->pods[pod].agent, PROCESS_STDERR);
    check(strstr(log, "stopped_without_handing_over") == NULL, "agent %u: %s", pod, log);
    await_agent(self, pod);
}

void redis_pod_set_pause(redis_pod_set_t *self, unsigned pod, bool is_paused) {
    if (is_paused) {
        process_halt(server_of(self, pod));
    } else {
        kill(server_of(self, pod), SIGCONT);
    }
}

/* ---- questions ---- */

int redis_pod_set_probe(redis_pod_set_t *self, unsigned pod, const char *path) {
    if (self->pods[pod].probe_port == 0) {
        self->pods[pod].probe_port =
            (int) field(process_wait_event(self->pods[pod].agent, "started", AWAIT_MS), "port");
    }
    return http_get_status(self->pods[pod].probe_port, path);
}

static void pause_a_little(void) {
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

void redis_pod_set_await(redis_pod_set_t *self, unsigned pod, const char *path, int status) {
    uint64_t end = clock_monotonic_ms() + AWAIT_MS;
    int last;
    while ((last = redis_pod_set_probe(self, pod, path)) != status) {
        check(clock_monotonic_ms() < end, "pod %u: %s is %d, not %d: %s", pod, path, last, status,
              process_output(self->pods[pod].agent, PROCESS_STDERR));
        pause_a_little();
    }
}

void redis_pod_set_await_status(redis_pod_set_t *self, unsigned pod, const char *part) {
    uint64_t end = clock_monotonic_ms() + AWAIT_MS;
    bool is_there = false;
    redis_pod_set_await(self, pod, "/livez", 200);
    while (!is_there) {
        struct http_got got = http_get(self->pods[pod].probe_port, "/status", NULL, AWAIT_MS);
        is_there = got.status == 200 && strstr(got.body, part) != NULL;
        check(is_there || clock_monotonic_ms() < end, "pod %u: %s is not in /status: %s", pod, part, got.body);
        http_got_finish(&got);
        pause_a_little();
    }
}

static void append(struct buffer *out, const redisReply *reply) {
    if (reply->type == REDIS_REPLY_ARRAY) {
        for (size_t i = 0; i < reply->elements; i++) {
            append(out, reply->element[i]);
            buffer_append_char(out, '\n');
        }
    } else if (reply->type == REDIS_REPLY_INTEGER) {
        buffer_append_i64_decimal(out, reply->integer);
    } else if (reply->type != REDIS_REPLY_NIL) {
        buffer_append(out, reply->str, (size_t) reply->len);
    }
}

char *redis_pod_set_ask(redis_pod_set_t *self, unsigned pod, const char *command) {
    struct timeval timeout = {.tv_sec = 2};
    bool is_sentinel = strcmp(self->options.mode, "sentinel") == 0;
    redisContext *context = redisConnectWithTimeout(self->pods[pod].address, self->port, timeout);
    char *text = NULL;
    check(self->options.tls == NULL, "not over TLS");
    if (context != NULL && context->err == 0 && redisSetTimeout(context, timeout) == REDIS_OK) {
        redisReply *login = is_sentinel ? NULL : redisCommand(context, "AUTH tester tester-secret");
        redisReply *reply = is_sentinel || login != NULL ? redisCommand(context, command) : NULL;
        if (reply != NULL) {
            struct buffer out = BUFFER_EMPTY;
            append(&out, reply);
            buffer_append_char(&out, '\0');
            text = memory_strdup((const char *) out.data);
            buffer_finish(&out);
        }
        freeReplyObject(reply);
        freeReplyObject(login);
    }
    if (context != NULL) {
        redisFree(context);
    }
    return text;
}

void redis_pod_set_await_answer(redis_pod_set_t *self, unsigned pod, const char *command, const char *text,
                                bool is_there) {
    uint64_t end = clock_monotonic_ms() + AWAIT_MS;
    for (;;) {
        char *answer = redis_pod_set_ask(self, pod, command);
        bool is_well = answer != NULL && (strstr(answer, text) != NULL) == is_there;
        if (!is_well && clock_monotonic_ms() >= end) {
            check(false, "pod %u: %s answers %s; %s", pod, command, answer == NULL ? "nothing" : answer,
                  process_output(self->pods[pod].agent, PROCESS_STDERR));
        }
        memory_free(answer);
        if (is_well) {
            return;
        }
        pause_a_little();
    }
}
