/* See agent_renewal.h.
 *
 *   each look: certificate, key, authorities as they were? ─yes─▶ nothing
 *                  │no: the same at two looks in a row
 *                  ▼
 *              they belong together, and are valid now? ─no─▶ told once a reason, tried again
 *                  │yes
 *        ┌─────────┴───────────────────────────┐
 *      Redis: CONFIG SET, all of them at once    Sentinel: wait (--renewal-wait), then at the own turn, and when all of
 *        links that stand stay                   them are there, a restart; it is away for about a second
 *
 * Another authority: Redis' own links (replication, the cluster's bus) trust the one of before for an hour more, by a
 * file with both in --output, because pods get their volumes' new content up to minutes apart. Sentinel waits for the
 * same reason: when it comes back, the pods of Redis have taken up theirs.
 *
 * Failures: files that do not serve, a server that refuses → log event renewal_refused, once a reason; the server goes
 * on with the old ones. A Sentinel is missing for PATIENCE_MS → restarted all the same: whoever waited for it would
 * wait until the certificates end. */
#include "operator/agent/agent_renewal.h"

#include "base/clock.h"
#include "base/file_watch.h"
#include "base/log.h"
#include "base/memory.h"
#include "operator/agent/agent_files.h"
#include "operator/redis/redis_dialer.h"

#include <sys/stat.h>

enum {
    PATH_SIZE = 512,
    CONF_MAX = 1024 * 1024,
    AUTHORITIES_MAX = 256 * 1024,
    OVERLAP_MS = 3600 * 1000,
    RETRY_MS = 10 * 1000,
    SLOTS_A_WAIT = 6,
    SLOT_MIN_MS = 2000,
    PATIENCE_MS = 10 * 60 * 1000,
};

#define BOTH_AUTHORITIES "both-authorities.crt"

enum server_file { CERTIFICATE, KEY, AUTHORITIES, SERVER_FILES };
static const char *const directives[SERVER_FILES] = {"tls-cert-file", "tls-key-file", "tls-ca-cert-file"};

struct agent_renewal {
    const struct agent_config *config;
    void (*restart)(void *context);
    void *context;
    struct redis_options options; /* as the agent's, with the login of this */
    char password_file[PATH_SIZE];
    redis_dialer_t *dialer; /* NULL: the server has no TLS */
    char paths[SERVER_FILES][PATH_SIZE];
    struct file_watch watches[SERVER_FILES];
    bool is_changed;
    uint64_t changed_ms;
    uint64_t due_ms; /* of the next try */
    char told[AGENT_ERROR_MAX];
    struct buffer authorities; /* as the server uses them */
    struct buffer former;      /* trusted as well */
    uint64_t former_until_ms;  /* 0: there are none */
    char both[PATH_SIZE];      /* the file of both */
};

/* ---- what the server was configured with ---- */

void agent_renewal_find(struct span conf, const char *directive, char *ret_value, size_t size) {
    struct span name = span_of_text(directive);
    ret_value[0] = '\0';
    while (conf.size > 0) {
        const uint8_t *end = memchr(conf.data, '\n', conf.size);
        struct span line = span_of(conf.data, end == NULL ? conf.size : (size_t) (end - conf.data));
        size_t taken = end == NULL ? line.size : line.size + 1;
        conf = span_of(conf.data + taken, conf.size - taken);
        if (!span_starts_with(line, name) || line.size <= name.size || line.data[name.size] != ' ') {
            continue;
        }
        struct span value = span_of(line.data + name.size + 1, line.size - name.size - 1);
        while (value.size > 0 && (value.data[0] == ' ' || value.data[0] == '"')) {
            value = span_of(value.data + 1, value.size - 1);
        }
        while (value.size > 0 && (value.data[value.size - 1] <= ' ' || value.data[value.size - 1] == '"')) {
            value.size--;
        }
        snprintf(ret_value, size, "%.*s", (int) value.size, (const char *) value.data);
    }
}

static bool is_sentinel(const agent_renewal_t *self) {
    return self->config->options.mode == REDIS_MODE_SENTINEL;
}

static void read_conf(agent_renewal_t *self) {
    struct buffer conf;
    bool is_missing;
    char why[AGENT_ERROR_MAX];
    buffer_init(&conf, CONF_MAX);
    if (agent_file_read(self->config->options.output, is_sentinel(self) ? "sentinel.conf" : "redis.conf", &conf,
                        &is_missing, why, sizeof why)) {
        for (size_t i = 0; i < SERVER_FILES; i++) {
            agent_renewal_find(buffer_span(&conf), directives[i], self->paths[i], PATH_SIZE);
        }
    }
    if (conf.size > 0) {
        explicit_bzero(conf.data, conf.size); /* it holds a password */
    }
    buffer_finish(&conf);
}

static bool has_tls(const agent_renewal_t *self) {
    return self->paths[CERTIFICATE][0] != '\0' && self->paths[KEY][0] != '\0';
}

static void read_authorities(const agent_renewal_t *self, struct buffer *out) {
    bool is_missing;
    char why[AGENT_ERROR_MAX];
    buffer_clear(out);
    if (self->paths[AUTHORITIES][0] != '\0' &&
        !agent_file_read("", self->paths[AUTHORITIES], out, &is_missing, why, sizeof why)) {
        buffer_clear(out);
    }
}

/* ---- telling ---- */

static void refuse(agent_renewal_t *self, const char *reason) {
    self->due_ms = clock_monotonic_ms() + RETRY_MS;
    if (strcmp(self->told, reason) != 0) {
        snprintf(self->told, sizeof self->told, "%s", reason);
        log_error("renewal_refused", log_text("certificate", self->paths[CERTIFICATE]), log_text("reason", reason));
    }
}

static void note_done(agent_renewal_t *self) {
    self->is_changed = false;
    self->told[0] = '\0';
}

static bool do_serve(agent_renewal_t *self) {
    char reason[AGENT_ERROR_MAX];
    const struct redis_tls_options files = {.ca_file = self->paths[AUTHORITIES],
                                            .certificate_file = self->paths[CERTIFICATE],
                                            .key_file = self->paths[KEY]};
    bool serves = redis_tls_files_serve(&files, reason, sizeof reason);
    if (!serves) {
        refuse(self, reason);
    }
    return serves;
}

/* ---- Redis ---- */

static resp_client_t *open_own(agent_renewal_t *self, enum redis_service service, char *ret_error, size_t error_size) {
    resp_client_t *client = redis_dialer_connect_at(self->dialer, service, &self->config->self,
                                                    self->config->options.host, ret_error, error_size);
    if (client != NULL && !resp_client_login(client, ret_error, error_size)) {
        resp_client_destroy(&client);
    }
    return client;
}

static bool set_files(agent_renewal_t *self, const char *authorities) {
    char error[RESP_ERROR_MAX] = "";
    resp_client_t *client = open_own(self, REDIS_SERVICE_REDIS, error, sizeof error);
    bool is_done = false;
    if (client != NULL) {
        bool has_authorities = authorities[0] != '\0';
        const struct redis_reply *reply = resp_client_call(
            client, "CONFIG", "SET", directives[CERTIFICATE], self->paths[CERTIFICATE], directives[KEY],
            self->paths[KEY], has_authorities ? directives[AUTHORITIES] : NULL, has_authorities ? authorities : NULL);
        is_done = resp_reply_is_ok(reply);
        if (!is_done) {
            snprintf(error, sizeof error, "CONFIG SET: %.*s", reply == NULL ? 40 : (int) reply->text.size,
                     reply == NULL ? resp_client_error(client) : (const char *) reply->text.data);
        }
    }
    resp_client_destroy(&client);
    if (!is_done) {
        refuse(self, error);
    }
    return is_done;
}

/* The file that the server shall read its authorities from, of these and those of before; NULL: it cannot be written.
 */
static const char *write_both(agent_renewal_t *self, const struct buffer *authorities, const struct buffer *former) {
    struct buffer both = BUFFER_EMPTY;
    char why[AGENT_ERROR_MAX];
    buffer_append_span(&both, buffer_span(authorities));
    buffer_append_char(&both, '\n');
    buffer_append_span(&both, buffer_span(former));
    bool is_written =
        agent_file_write(self->config->options.output, BOTH_AUTHORITIES, buffer_span(&both), 0400, why, sizeof why);
    buffer_finish(&both);
    if (!is_written) {
        refuse(self, why);
    }
    return is_written ? self->both : NULL;
}

static void exchange(struct buffer *one, struct buffer *other) {
    struct buffer kept = *one;
    *one = *other;
    *other = kept;
}

static void renew_redis(agent_renewal_t *self) {
    struct buffer authorities;
    buffer_init(&authorities, AUTHORITIES_MAX);
    read_authorities(self, &authorities);
    bool is_other = authorities.size != self->authorities.size ||
                    (authorities.size > 0 && memcmp(authorities.data, self->authorities.data, authorities.size) != 0);
    const struct buffer *former = is_other ? &self->authorities : &self->former;
    bool has_former = former->size > 0 && authorities.size > 0;
    const char *file = has_former ? write_both(self, &authorities, former) : self->paths[AUTHORITIES];
    if (file != NULL && set_files(self, file)) {
        log_info("renewed", log_text("certificate", self->paths[CERTIFICATE]), log_bool("other_authorities", is_other));
        note_done(self);
        if (is_other) {
            exchange(&self->former, &self->authorities);
            exchange(&self->authorities, &authorities);
            self->former_until_ms = has_former ? clock_monotonic_ms() + OVERLAP_MS : 0;
        }
    }
    buffer_finish(&authorities);
}

static void end_overlap(agent_renewal_t *self) {
    if (set_files(self, self->paths[AUTHORITIES])) {
        buffer_clear(&self->former);
        self->former_until_ms = 0;
    }
}

/* ---- Sentinel ---- */

bool agent_renewal_is_turn(int64_t wall_ms, uint64_t slot_ms, unsigned ordinal, size_t n) {
    uint64_t now = wall_ms < 0 ? 0 : (uint64_t) wall_ms;
    return (now / slot_ms) % n == ordinal && now % slot_ms < slot_ms / 2;
}

/* "OK 3 usable Sentinels. …" */
static bool are_all_there(agent_renewal_t *self) {
    char error[RESP_ERROR_MAX];
    resp_client_t *client = open_own(self, REDIS_SERVICE_SENTINEL, error, sizeof error);
    const struct redis_reply *reply =
        client == NULL ? NULL : resp_client_call(client, "SENTINEL", "CKQUORUM", self->options.master_set);
    char wanted[16];
    snprintf(wanted, sizeof wanted, "OK %zu ", self->config->sentinels.n);
    bool are_there =
        reply != NULL && reply->type == REDIS_STATUS && span_starts_with(reply->text, span_of_text(wanted));
    resp_client_destroy(&client);
    return are_there;
}

static void renew_sentinel(agent_renewal_t *self) {
    uint64_t wait_ms = self->options.renewal_wait_s * 1000;
    uint64_t slot_ms = wait_ms / SLOTS_A_WAIT < SLOT_MIN_MS ? SLOT_MIN_MS : wait_ms / SLOTS_A_WAIT;
    uint64_t waited_ms = clock_monotonic_ms() - self->changed_ms;
    if (self->restart == NULL) {
        refuse(self, "Sentinel takes them up by a restart only, and is another container's: restart this pod");
        return;
    }
    if (waited_ms < wait_ms ||
        !agent_renewal_is_turn(clock_wall_ms(), slot_ms, self->config->ordinal, self->config->sentinels.n) ||
        (waited_ms < wait_ms + PATIENCE_MS && !are_all_there(self))) {
        return;
    }
    log_info("renewed", log_text("certificate", self->paths[CERTIFICATE]), log_text("by", "a restart of Sentinel"));
    note_done(self);
    self->restart(self->context);
}

/* ---- looking ---- */

static void look_at_files(agent_renewal_t *self) {
    for (size_t i = 0; i < SERVER_FILES; i++) {
        if (self->paths[i][0] != '\0' && file_watch_changed(&self->watches[i])) {
            self->is_changed = true;
            self->changed_ms = clock_monotonic_ms();
            self->due_ms = 0;
        }
    }
}

void agent_renewal_look(agent_renewal_t *self) {
    if (self->dialer == NULL) {
        return;
    }
    look_at_files(self);
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms < self->due_ms) {
        return;
    }
    if (self->is_changed && do_serve(self)) {
        if (is_sentinel(self)) {
            renew_sentinel(self);
        } else {
            renew_redis(self);
        }
    } else if (!self->is_changed && self->former_until_ms != 0 && now_ms >= self->former_until_ms) {
        end_overlap(self);
    }
}

/* ---- life ---- */

/* The login: that of `renewal` where `prepare` has made one. */
static void take_login(agent_renewal_t *self) {
    struct stat facts;
    snprintf(self->password_file, sizeof self->password_file, "%s/%s", self->options.output,
             AGENT_RENEWAL_PASSWORD_FILE);
    if (!is_sentinel(self) && stat(self->password_file, &facts) == 0) {
        self->options.user = AGENT_RENEWAL_USER;
        self->options.password_file = self->password_file;
    }
}

agent_renewal_t *agent_renewal_new(const struct agent_config *config, void (*restart)(void *context), void *context,
                                   char ret_error[AGENT_ERROR_MAX]) {
    agent_renewal_t *self = memory_alloc_zero(sizeof *self);
    self->config = config;
    self->restart = restart;
    self->context = context;
    self->options = config->options;
    buffer_init(&self->authorities, AUTHORITIES_MAX);
    buffer_init(&self->former, AUTHORITIES_MAX);
    snprintf(self->both, sizeof self->both, "%s/%s", config->options.output, BOTH_AUTHORITIES);
    take_login(self);
    read_conf(self);
    if (!has_tls(self)) {
        return self;
    }
    for (size_t i = 0; i < SERVER_FILES; i++) {
        file_watch_init(&self->watches[i], self->paths[i]);
    }
    read_authorities(self, &self->authorities);
    self->dialer = redis_dialer_new(&self->options, ret_error, AGENT_ERROR_MAX);
    if (self->dialer == NULL) {
        agent_renewal_destroy(&self);
    }
    return self;
}

void agent_renewal_destroy(agent_renewal_t **self_p) {
    agent_renewal_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    redis_dialer_destroy(&self->dialer);
    buffer_finish(&self->authorities);
    buffer_finish(&self->former);
    memory_free(self);
    *self_p = NULL;
}
