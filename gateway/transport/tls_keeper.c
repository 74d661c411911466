/*   each look: both files as they were? ─yes─▶ nothing
 *                  │no: the same at two looks in a row
 *                  ▼
 *              read both, into a context of their own ─▶ they belong together, and are valid now? ─yes─▶ handed out
 *                  ▲                                          │no: told, the old ones stay
 *                  └──────────────── next look ───────────────┘
 *
 * A Secret's volume exchanges both files at once (a link); a person or a script one after the other. So one of two may
 * be new for a moment: they do not belong together then, and are refused until the other one came, too.
 *
 * Failure modes: unreadable, no PEM, not each other's, expired, not valid yet → told once a reason in the log, counted
 * at each try; a gauge is 1 until files that serve are taken. A certificate whose time comes later is taken then. */
#include "gateway/transport/tls_keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { REASON_MAX = 512 };

enum keeper_metric { METRIC_RENEWALS, METRIC_FAILURES, METRIC_REFUSED, METRICS };

static const struct metric_description metric_table[METRICS] = {
    [METRIC_RENEWALS] = {"callboard_tls_renewals_total",
                         "Times that a renewed certificate of the public port was taken up.", METRIC_COUNTER, NULL},
    [METRIC_FAILURES] = {"callboard_tls_renewal_failures_total",
                         "Looks at which the changed files of certificate and key did not serve.", METRIC_COUNTER,
                         NULL},
    [METRIC_REFUSED] = {"callboard_tls_renewal_refused",
                        "1 while the changed files of certificate and key do not serve: the old ones are shown.",
                        METRIC_GAUGE_MAX, NULL},
};

struct tls_keeper {
    struct tls_keeper_options options; /* `config` is not used after the construction */
    struct tls_next current;
    bool speaks_tls; /* from the start to the end */
    metric_values_t *metrics;
    uint64_t due_ms;          /* of the next look */
    bool is_changed;          /* the files are others than those in use */
    char refused[REASON_MAX]; /* as told last; "": nothing is refused */
    atomic_int_fast64_t expires_at_s;
    atomic_bool is_renewal_refused;
};

/* ---- what may be used ---- */

/* True with credentials NULL where no certificate is set. The state of the files is taken before they are read: what
 * changes meanwhile is seen at the next look. */
static bool read_files(const struct gateway_config *config, struct tls_next *ret_next, char *ret_error,
                       size_t error_size) {
    *ret_next = (struct tls_next){.config = config};
    if (config->tls_certificate_file[0] == '\0') {
        return true;
    }
    file_watch_init(&ret_next->certificate_file, config->tls_certificate_file);
    file_watch_init(&ret_next->key_file, config->tls_key_file);
    ret_next->credentials =
        tls_credentials_read(config->tls_certificate_file, config->tls_key_file, ret_error, error_size);
    return ret_next->credentials != NULL;
}

/* What may not come while clients are connected: TLS where there was none, or the reverse, for the port's clients would
 * all be lost; and a certificate that is worse than the one in use. */
static bool may_replace(const tls_credentials_t *old, const tls_credentials_t *credentials, char *ret_error,
                        size_t error_size) {
    int64_t now_s = clock_wall_ms() / 1000;
    const char *why = NULL;
    if ((old == NULL) != (credentials == NULL)) {
        why = "TLS of the public listener is switched on or off by a restart only";
    } else if (credentials != NULL && tls_credentials_expire_at_s(credentials) <= now_s) {
        why = "the certificate has expired; the one in use stays";
    } else if (credentials != NULL && tls_credentials_begin_at_s(credentials) > now_s) {
        why = "the certificate is not valid yet, by this machine's clock; the one in use stays";
    }
    if (why != NULL) {
        snprintf(ret_error, error_size, "http.tls_certificate_file: %s", why);
    }
    return why == NULL;
}

bool tls_keeper_read_next(const tls_keeper_t *self, const struct gateway_config *config, struct tls_next *ret_next,
                          char *ret_error, size_t error_size) {
    if (!read_files(config, ret_next, ret_error, error_size)) {
        return false;
    }
    bool may = may_replace(self->current.credentials, ret_next->credentials, ret_error, error_size);
    if (!may) {
        tls_next_finish(ret_next);
    }
    return may;
}

void tls_next_finish(struct tls_next *self) {
    tls_credentials_destroy(&self->credentials);
}

/* ---- what is used ---- */

static void tell_expiry(tls_keeper_t *self) {
    const tls_credentials_t *credentials = self->current.credentials;
    if (credentials == NULL) {
        return;
    }
    int64_t expires_s = tls_credentials_expire_at_s(credentials);
    int64_t left_s = expires_s - clock_wall_ms() / 1000;
    atomic_store(&self->expires_at_s, expires_s);
    if (left_s <= 0) {
        log_error("tls_certificate_expired", log_text("file", self->current.config->tls_certificate_file));
    } else {
        log_info("tls_certificate", log_u64("expires_in_hours", (uint64_t) left_s / 3600));
    }
}

static void set_refused(tls_keeper_t *self, const char *reason) {
    snprintf(self->refused, sizeof self->refused, "%s", reason);
    atomic_store(&self->is_renewal_refused, reason[0] != '\0');
    metric_set(self->metrics, METRIC_REFUSED, reason[0] != '\0' ? 1 : 0);
}

void tls_keeper_take(tls_keeper_t *self, struct tls_next *next) {
    struct tls_next old = self->current;
    self->current = *next;
    *next = old;
    self->is_changed = false;
    set_refused(self, "");
    tell_expiry(self);
}

/* ---- looking ---- */

static void refuse(tls_keeper_t *self, const char *reason) {
    metric_count(self->metrics, METRIC_FAILURES);
    if (strcmp(self->refused, reason) != 0) {
        log_error("tls_renewal_refused", log_text("reason", reason));
    }
    set_refused(self, reason);
}

static void renew(tls_keeper_t *self) {
    struct tls_next next;
    char reason[REASON_MAX];
    if (!tls_keeper_read_next(self, self->current.config, &next, reason, sizeof reason)) {
        refuse(self, reason);
        return;
    }
    tls_keeper_take(self, &next);
    metric_count(self->metrics, METRIC_RENEWALS);
    self->options.on_renewed(self->options.context, self->current.credentials);
    tls_next_finish(&next);
}

void tls_keeper_look(tls_keeper_t *self) {
    uint64_t now_ms = clock_monotonic_ms();
    int64_t interval_ms = self->current.config->tls_check_interval_ms;
    if (self->current.credentials == NULL || interval_ms == 0 || now_ms < self->due_ms) {
        return;
    }
    self->due_ms = now_ms + (uint64_t) interval_ms;
    bool is_certificate_changed = file_watch_changed(&self->current.certificate_file);
    bool is_key_changed = file_watch_changed(&self->current.key_file);
    self->is_changed = self->is_changed || is_certificate_changed || is_key_changed;
    if (self->is_changed) {
        renew(self);
    }
}

/* ---- life ---- */

tls_keeper_t *tls_keeper_new(const struct tls_keeper_options *options, char *ret_error, size_t error_size) {
    struct tls_next first;
    if (!read_files(options->config, &first, ret_error, error_size)) {
        return NULL;
    }
    tls_keeper_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    self->current = first;
    self->speaks_tls = first.credentials != NULL;
    self->metrics = metric_values_new(options->metrics, metric_table, METRICS);
    tell_expiry(self);
    return self;
}

void tls_keeper_destroy(tls_keeper_t **self_p) {
    tls_keeper_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    tls_next_finish(&self->current);
    metric_values_destroy(&self->metrics);
    memory_free(self);
}

const tls_credentials_t *tls_keeper_credentials(const tls_keeper_t *self) {
    return self->current.credentials;
}

void tls_keeper_read_status(const tls_keeper_t *self, struct tls_keeper_status *ret_status) {
    *ret_status = (struct tls_keeper_status){
        .speaks_tls = self->speaks_tls,
        .expires_at_s = atomic_load(&self->expires_at_s),
        .is_renewal_refused = atomic_load(&self->is_renewal_refused),
    };
}
