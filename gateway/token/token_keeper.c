/* An actor that ticks twice a second: looks whether the file of revocations is another one, lets the issuers be asked
 * when that is due, and hands out a new trust when anything came of it.
 *
 *   settings ──read on the owner's thread──▶ prepared ──┐
 *   issuer ──jwks──▶ fetched ───────────────────────────┼──▶ token_trust ──on_trust──▶ workers
 *   file ──stat, read──▶ revocations ───────────────────┤
 *   services ──lines────▶ told ─────────────────────────┘
 *
 * Failure modes: settings whose files do not serve are refused where they are read, nothing changes. A file of
 * revocations that cannot be read, is too large or has a wrong line later on leaves the last good list in use, is
 * logged, counted and a finding of health. What is wrong in it is read again when it changes again; a file that could
 * not be read at all (no descriptor was left) with the next tick. Issuers: see jwks.c. */
#include "gateway/token/token_keeper.h"

#include "base/actor.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "gateway/token/jwks.h"
#include "gateway/token/token_keyring.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum { TICK_MS = 500, STALE_REFRESHES = 3, STOP_DEADLINE_MS = 30000, SETS = 2, REASON_SIZE = 256 };

static const char *const set_names[SETS] = {"token", "subscription_token"};

/* A file as it was when it was read; another one, or a changed one, is not equal. */
struct file_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
    struct timespec changed;
};

/* What settings ask for, with the files read. */
struct prepared {
    token_keys_t *configured[SETS]; /* NULL: the set has no key */
    char *urls[SETS];
    char *ca_files[SETS];
    uint64_t refresh_ms[SETS];
    char *revocation_file; /* "": none */
    size_t revocation_bytes;
    revocations_t *revocations;
    struct file_stamp stamp;
};

struct reload_message {
    struct actor_message message;
    struct prepared prepared;
    uv_sem_t *taken;
};

struct token_keeper {
    struct token_keeper_options options;
    actor_t *actor; /* the owner's; NULL before token_keeper_start */
    uv_loop_t *loop;
    uv_timer_t tick;
    struct prepared settings;
    struct file_stamp refused; /* of the file that was last told about */
    jwks_t *issuers[SETS];
    struct token_jwk_set fetched[SETS];
    metric_values_t *metrics;
    metric_values_t *jwks_metrics;
    revocations_t *told; /* by services; NULL: none yet */
    uv_mutex_t mutex;    /* of trust, and of what services tell */
    token_trust_t *trust;
    struct buffer telling; /* their lines, until the next tick */
    bool is_told;
    atomic_bool keys_are_wanted;
    atomic_bool fetches_keys;
    atomic_bool keys_are_missing;
    atomic_bool keys_are_stale;
    atomic_bool revocations_are_old;
};

enum keeper_metric { METRIC_REVOCATIONS, METRIC_READS, METRIC_READ_FAILURES };

static const struct metric_description metric_table[] = {
    {"callboard_token_revocations", "Users and single tokens on the list of revocations.", METRIC_GAUGE, NULL},
    {"callboard_token_revocation_reads_total", "Times the file of revocations was read.", METRIC_COUNTER, NULL},
    {"callboard_token_revocation_failures_total", "Times it could not be used; the last good list stays.",
     METRIC_COUNTER, NULL},
};

/* ---- the file of revocations ---- */

static bool stamp_file(const char *path, struct file_stamp *ret_stamp) {
    struct stat status;
    memset(ret_stamp, 0, sizeof *ret_stamp); /* a file that is away has a stamp, too */
    if (stat(path, &status) != 0) {
        return false;
    }
    ret_stamp->device = status.st_dev;
    ret_stamp->inode = status.st_ino;
    ret_stamp->size = status.st_size;
    ret_stamp->modified = status.st_mtim;
    ret_stamp->changed = status.st_ctim;
    return true;
}

static bool stamps_are_equal(const struct file_stamp *a, const struct file_stamp *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* The stamp is taken before the reading: what is written meanwhile is seen as a change later. Of a file that cannot be
 * read there is none, so it differs as long as it is there. */
static bool read_revocations(const char *path, size_t bytes_max, struct file_stamp *ret_stamp,
                             revocations_t **ret_revocations, char *ret_error, size_t error_size) {
    struct buffer text = BUFFER_EMPTY;
    char error[REASON_SIZE] = "";
    const char *reason = error;
    revocations_t *revocations = NULL;
    stamp_file(path, ret_stamp);
    if (config_read_file(path, bytes_max, &text, &reason)) {
        revocations = revocations_read(buffer_span(&text), clock_wall_ms() / 1000, error, sizeof error);
        reason = error;
    } else {
        memset(ret_stamp, 0, sizeof *ret_stamp);
    }
    buffer_finish(&text);
    if (revocations == NULL) {
        snprintf(ret_error, error_size, "token.revocation_file: %.128s: %s", path, reason);
        return false;
    }
    *ret_revocations = revocations;
    return true;
}

/* ---- what settings ask for ---- */

static void finish_prepared(struct prepared *self) {
    for (unsigned i = 0; i < SETS; i++) {
        token_keys_destroy(&self->configured[i]);
        memory_free(self->urls[i]);
        memory_free(self->ca_files[i]);
    }
    memory_free(self->revocation_file);
    revocations_unref(&self->revocations);
    memset(self, 0, sizeof *self);
}

static bool prepare(const struct gateway_config *config, struct prepared *ret_prepared, char *ret_error,
                    size_t error_size) {
    const struct token_settings *sets[SETS] = {&config->token, &config->subscription_token};
    memset(ret_prepared, 0, sizeof *ret_prepared);
    ret_prepared->revocation_file = memory_strdup(config->revocation_file);
    ret_prepared->revocation_bytes = (size_t) config->revocation_bytes;
    bool is_good = true;
    for (unsigned i = 0; i < SETS && is_good; i++) {
        ret_prepared->urls[i] = memory_strdup(sets[i]->jwks_url);
        ret_prepared->ca_files[i] = memory_strdup(sets[i]->jwks_ca_file);
        ret_prepared->refresh_ms[i] = (uint64_t) sets[i]->jwks_refresh_ms;
        is_good = token_keyring_read(sets[i], set_names[i], &ret_prepared->configured[i], ret_error, error_size);
    }
    is_good = is_good && (config->revocation_file[0] == '\0' ||
                          read_revocations(config->revocation_file, ret_prepared->revocation_bytes,
                                           &ret_prepared->stamp, &ret_prepared->revocations, ret_error, error_size));
    if (!is_good) {
        finish_prepared(ret_prepared);
    }
    return is_good;
}

/* ---- trust ---- */

static void make_trust(token_keeper_t *self) {
    token_keys_t *keys[SETS];
    for (unsigned i = 0; i < SETS; i++) {
        const token_keys_t *configured = self->settings.configured[i];
        keys[i] = configured == NULL ? NULL : token_keyring_with(configured, &self->fetched[i]);
    }
    revocations_t *revocations = revocations_union(self->settings.revocations, self->told);
    token_trust_t *trust = token_trust_new(&keys[0], &keys[1], revocations);
    uv_mutex_lock(&self->mutex);
    token_trust_t *old = self->trust;
    self->trust = trust;
    uv_mutex_unlock(&self->mutex);
    token_trust_unref(&old);
    metric_set(self->metrics, METRIC_REVOCATIONS, (int64_t) revocations_count(revocations));
    revocations_unref(&revocations);
}

static void hand_out(token_keeper_t *self) {
    make_trust(self);
    self->options.on_trust(self->options.context, self->trust);
}

token_trust_t *token_keeper_trust(token_keeper_t *self) {
    uv_mutex_lock(&self->mutex);
    token_trust_t *trust = token_trust_ref(self->trust);
    uv_mutex_unlock(&self->mutex);
    return trust;
}

/* ---- on its thread ---- */

static void take_set(token_keeper_t *self, unsigned which, const struct token_jwk_set *set) {
    token_jwk_set_finish(&self->fetched[which]);
    self->fetched[which] = *set;
    for (size_t i = 0; i < set->n; i++) {
        token_key_ref(set->keys[i].key);
    }
    hand_out(self);
}

static void on_token_set(void *context, const struct token_jwk_set *set) {
    take_set(context, 0, set);
}

static void on_subscription_set(void *context, const struct token_jwk_set *set) {
    take_set(context, 1, set);
}

static void open_issuer(token_keeper_t *self, unsigned which) {
    const struct jwks_options options = {
        .loop = self->loop,
        .url = self->settings.urls[which],
        .ca_file = self->settings.ca_files[which],
        .refresh_ms = self->settings.refresh_ms[which],
        .gap_ms = self->options.jwks_gap_ms,
        .name = set_names[which],
        .metrics = self->jwks_metrics,
        .first_row = which * JWKS_METRICS,
        .context = self,
        .on_set = which == 0 ? on_token_set : on_subscription_set,
    };
    if (options.url[0] != '\0') {
        self->issuers[which] = jwks_new(&options);
    }
}

static void show_issuers(token_keeper_t *self, uint64_t now_ms) {
    bool fetches = false;
    bool is_missing = false;
    bool is_stale = false;
    for (unsigned i = 0; i < SETS; i++) {
        if (self->issuers[i] != NULL) {
            uint64_t age_ms = jwks_age_ms(self->issuers[i], now_ms);
            fetches = true;
            is_missing = is_missing || age_ms == UINT64_MAX;
            is_stale = is_stale || (age_ms != UINT64_MAX && age_ms > STALE_REFRESHES * self->settings.refresh_ms[i]);
        }
    }
    atomic_store(&self->fetches_keys, fetches);
    atomic_store(&self->keys_are_missing, is_missing);
    atomic_store(&self->keys_are_stale, is_stale);
}

static void ask_issuers(token_keeper_t *self, uint64_t now_ms) {
    bool is_wanted = atomic_exchange(&self->keys_are_wanted, false);
    for (unsigned i = 0; i < SETS; i++) {
        if (self->issuers[i] != NULL) {
            if (is_wanted) {
                jwks_want(self->issuers[i]);
            }
            jwks_tick(self->issuers[i], now_ms);
        }
    }
    show_issuers(self, now_ms);
}

/* Once for each file that is refused: one that cannot be read is tried again with every tick. */
static void tell_refused(token_keeper_t *self, const struct file_stamp *stamp, const char *reason) {
    if (!atomic_load(&self->revocations_are_old) || !stamps_are_equal(stamp, &self->refused)) {
        log_error("revocations_refused", log_text("reason", reason),
                  log_text("help", "the last good list stays in use"));
    }
    self->refused = *stamp;
}

static void watch_revocations(token_keeper_t *self) {
    struct prepared *settings = &self->settings;
    struct file_stamp stamp;
    char error[REASON_SIZE + 256];
    revocations_t *revocations = NULL;
    if (settings->revocation_file[0] == '\0') {
        return;
    }
    stamp_file(settings->revocation_file, &stamp);
    if (stamps_are_equal(&stamp, &settings->stamp)) {
        return;
    }
    metric_count(self->metrics, METRIC_READS);
    bool is_good = read_revocations(settings->revocation_file, settings->revocation_bytes, &settings->stamp,
                                    &revocations, error, sizeof error);
    if (!is_good) {
        metric_count(self->metrics, METRIC_READ_FAILURES);
        tell_refused(self, &stamp, error);
    }
    atomic_store(&self->revocations_are_old, !is_good);
    if (!is_good) {
        return;
    }
    revocations_unref(&settings->revocations);
    settings->revocations = revocations;
    log_info("revocations_read", log_u64("revocations", revocations_count(revocations)));
    hand_out(self);
}

/* They were read line by line before: what is wrong now is a mistake of ours, and changes nothing. */
static void use_told(token_keeper_t *self, struct span lines) {
    char error[REASON_SIZE] = "";
    revocations_t *revocations = revocations_read(lines, clock_wall_ms() / 1000, error, sizeof error);
    if (revocations == NULL) {
        log_error("revocations_refused", log_text("reason", error),
                  log_text("help", "what services told before stays"));
        return;
    }
    revocations_unref(&self->told);
    self->told = revocations;
    log_info("revocations_told", log_u64("revocations", revocations_count(revocations)));
    hand_out(self);
}

static void take_told(token_keeper_t *self) {
    uv_mutex_lock(&self->mutex);
    struct buffer lines = self->telling;
    bool is_told = self->is_told;
    self->telling = BUFFER_EMPTY;
    self->is_told = false;
    uv_mutex_unlock(&self->mutex);
    if (is_told) {
        use_told(self, buffer_span(&lines));
    }
    buffer_finish(&lines);
}

static void on_tick(uv_timer_t *timer) {
    token_keeper_t *self = timer->data;
    take_told(self);
    ask_issuers(self, clock_monotonic_ms());
    watch_revocations(self);
}

static bool is_another_issuer(const struct prepared *a, const struct prepared *b, unsigned which) {
    return strcmp(a->urls[which], b->urls[which]) != 0 || strcmp(a->ca_files[which], b->ca_files[which]) != 0 ||
           a->refresh_ms[which] != b->refresh_ms[which];
}

/* Fetched keys stay where the issuer does. */
static void take_settings(token_keeper_t *self, struct prepared *prepared) {
    struct prepared old = self->settings;
    self->settings = *prepared;
    memset(prepared, 0, sizeof *prepared);
    for (unsigned i = 0; i < SETS; i++) {
        if (strcmp(old.urls[i], self->settings.urls[i]) != 0) {
            token_jwk_set_finish(&self->fetched[i]);
        }
        if (is_another_issuer(&old, &self->settings, i)) {
            jwks_destroy(&self->issuers[i]);
            open_issuer(self, i);
        }
    }
    finish_prepared(&old);
    atomic_store(&self->revocations_are_old, false);
    show_issuers(self, clock_monotonic_ms());
    hand_out(self);
}

static void on_message(void *context, struct actor_message *message) {
    token_keeper_t *self = context;
    struct reload_message *reload = (struct reload_message *) message;
    take_settings(self, &reload->prepared);
    uv_sem_post(reload->taken);
    memory_free(reload);
}

static void drop_message(void *context, struct actor_message *message) {
    (void) context;
    (void) message;
    check(false, "a reload is waited for, and nobody stops the keeper meanwhile");
}

static void on_flush(void *context) {
    (void) context;
}

static bool on_start(void *context, actor_t *actor, char *ret_error, size_t error_size) {
    token_keeper_t *self = context;
    (void) ret_error;
    (void) error_size;
    self->loop = actor_loop(actor);
    for (unsigned i = 0; i < SETS; i++) {
        open_issuer(self, i);
    }
    show_issuers(self, clock_monotonic_ms());
    uv_timer_init(self->loop, &self->tick);
    self->tick.data = self;
    uv_timer_start(&self->tick, on_tick, 0, TICK_MS);
    return true;
}

static void on_stop(void *context) {
    token_keeper_t *self = context;
    uv_close((uv_handle_t *) &self->tick, NULL);
    for (unsigned i = 0; i < SETS; i++) {
        jwks_destroy(&self->issuers[i]);
    }
}

/* ---- life cycle, the owner's ---- */

token_keeper_t *token_keeper_new(const struct token_keeper_options *options, char *ret_error, size_t error_size) {
    struct prepared prepared;
    if (!prepare(options->config, &prepared, ret_error, error_size)) {
        return NULL;
    }
    token_keeper_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    self->options.config = NULL;
    self->settings = prepared;
    self->metrics = metric_values_new(options->metrics, metric_table, sizeof metric_table / sizeof metric_table[0]);
    self->jwks_metrics = metric_values_new(options->metrics, jwks_metric_table, 2 * JWKS_METRICS);
    check(uv_mutex_init(&self->mutex) == 0, "a mutex");
    make_trust(self);
    return self;
}

bool token_keeper_start(token_keeper_t *self, char *ret_error, size_t error_size) {
    static const struct actor_callbacks callbacks = {
        .on_start = on_start,
        .on_message = on_message,
        .on_flush = on_flush,
        .on_stop = on_stop,
        .drop_message = drop_message,
    };
    self->actor = actor_new("tokens", &callbacks, self, NULL, ret_error, error_size);
    return self->actor != NULL;
}

bool token_keeper_reload(token_keeper_t *self, const struct gateway_config *config, char *ret_error,
                         size_t error_size) {
    uv_sem_t taken;
    struct prepared prepared;
    if (!prepare(config, &prepared, ret_error, error_size)) {
        return false;
    }
    check(uv_sem_init(&taken, 0) == 0, "a semaphore");
    struct reload_message *reload = memory_alloc_zero(sizeof *reload);
    reload->message.bytes = sizeof *reload;
    reload->prepared = prepared;
    reload->taken = &taken;
    struct actor_message *message = &reload->message;
    check(actor_post_control(self->actor, &message) == ACTOR_POSTED, "the keeper of tokens takes no messages");
    uv_sem_wait(&taken);
    uv_sem_destroy(&taken);
    return true;
}

void token_keeper_stop(token_keeper_t *self) {
    if (self->actor != NULL) {
        actor_stop(self->actor, STOP_DEADLINE_MS);
    }
}

void token_keeper_destroy(token_keeper_t **self_p) {
    token_keeper_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    actor_destroy(&self->actor, STOP_DEADLINE_MS);
    for (unsigned i = 0; i < SETS; i++) {
        token_jwk_set_finish(&self->fetched[i]);
    }
    finish_prepared(&self->settings);
    token_trust_unref(&self->trust);
    revocations_unref(&self->told);
    buffer_finish(&self->telling);
    metric_values_destroy(&self->metrics);
    metric_values_destroy(&self->jwks_metrics);
    uv_mutex_destroy(&self->mutex);
    memory_free(self);
}

void token_keeper_want_keys(token_keeper_t *self) {
    if (!atomic_load_explicit(&self->keys_are_wanted, memory_order_relaxed)) {
        atomic_store(&self->keys_are_wanted, true);
    }
}

void token_keeper_tell_revocations(token_keeper_t *self, struct span lines) {
    uv_mutex_lock(&self->mutex);
    buffer_clear(&self->telling);
    buffer_append_span(&self->telling, lines);
    self->is_told = true;
    uv_mutex_unlock(&self->mutex);
}

void token_keeper_read_status(const token_keeper_t *self, struct token_keeper_status *ret_status) {
    *ret_status = (struct token_keeper_status){
        .fetches_keys = atomic_load(&self->fetches_keys),
        .keys_are_missing = atomic_load(&self->keys_are_missing),
        .keys_are_stale = atomic_load(&self->keys_are_stale),
        .revocations_are_old = atomic_load(&self->revocations_are_old),
    };
}
