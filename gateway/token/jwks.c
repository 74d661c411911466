/*     idle ──due, or wanted and the gap is over──▶ fetching ──good──▶ idle, on_set if it differs
 *                                                     └──bad──▶ idle, the last good set stays; again after the gap
 *
 * The transfer is a blocking one on a thread of libuv's pool: there is one at a time, it has a deadline, and nobody
 * waits for it but this file. What it touches is its own (struct fetch) until it has come back to the loop.
 *
 * Failure modes: no answer, another status than 200 (redirects are one), too large, no key set, a set that is refused
 * (base/token_jwk.c): counted, logged with the reason, and the last good set stays in use. A flood of unknown kids asks
 * as often as it likes: `gap_ms` lies between two fetches. */
#include "gateway/token/jwks.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdio.h>

enum { ERROR_SIZE = 512, CONNECT_TIMEOUT_MS = 5000 };

struct fetch {
    uv_work_t work;
    jwks_t *jwks;
    char *url;
    char *ca_file;
    atomic_bool is_cancelled;
    struct buffer body;
    bool is_good;
    char error[ERROR_SIZE];
};

struct jwks {
    struct jwks_options options; /* url, ca_file and name are ours */
    char *url;
    char *ca_file;
    struct fetch *fetch; /* under way */
    struct buffer last;  /* the text of the last good set */
    uint64_t started_ms; /* the last fetch; 0: none yet */
    uint64_t good_ms;    /* the last good answer; 0: none yet */
    bool is_wanted;
    bool failed;       /* the last one */
    bool is_destroyed; /* waits for the fetch */
};

#define ROWS(set)                                                                                                      \
    {"callboard_jwks_fetches_total", "Fetches of an issuer's keys that were begun.", METRIC_COUNTER, set},             \
        {"callboard_jwks_failures_total", "Fetches that brought no usable key set; the last good one stays.",          \
         METRIC_COUNTER, set},                                                                                         \
        {"callboard_jwks_keys", "Fetched keys in use.", METRIC_GAUGE, set}, {                                          \
        "callboard_jwks_age_seconds", "Since the last good answer; -1 without one.", METRIC_GAUGE, set                 \
    }

const struct metric_description jwks_metric_table[2 * JWKS_METRICS] = {ROWS("set=\"token\""),
                                                                       ROWS("set=\"subscription_token\"")};

static size_t row(const jwks_t *self, enum jwks_metric metric) {
    return self->options.first_row + metric;
}

/* ---- on a thread of the pool ---- */

static size_t on_bytes(char *data, size_t size, size_t count, void *context) {
    struct fetch *fetch = context;
    size_t bytes = size * count;
    return buffer_append(&fetch->body, data, bytes) ? bytes : 0; /* less than given: curl breaks off */
}

static int on_progress(void *context, curl_off_t total_down, curl_off_t down, curl_off_t total_up, curl_off_t up) {
    struct fetch *fetch = context;
    (void) total_down;
    (void) down;
    (void) total_up;
    (void) up;
    return atomic_load(&fetch->is_cancelled) ? 1 : 0;
}

static void set_options(CURL *curl, struct fetch *fetch, char *error) {
    curl_easy_setopt(curl, CURLOPT_URL, fetch->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* nor one that the environment names */
    curl_easy_setopt(curl, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    if (fetch->ca_file[0] != '\0') {
        curl_easy_setopt(curl, CURLOPT_CAINFO, fetch->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long) CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long) JWKS_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, (long) TOKEN_JWK_TEXT_MAX);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "callboard/" CALLBOARD_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, fetch);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
}

static void on_work(uv_work_t *work) {
    struct fetch *fetch = work->data;
    char error[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURL *curl = curl_easy_init();
    check(curl != NULL, "libcurl: no handle");
    set_options(curl, fetch, error);
    CURLcode result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    fetch->is_good = result == CURLE_OK && status == 200;
    if (fetch->body.overflow || result == CURLE_FILESIZE_EXCEEDED) {
        snprintf(fetch->error, sizeof fetch->error, "the answer has more than %d bytes", TOKEN_JWK_TEXT_MAX);
    } else if (result != CURLE_OK) {
        snprintf(fetch->error, sizeof fetch->error, "%s", error[0] == '\0' ? curl_easy_strerror(result) : error);
    } else if (status != 200) {
        snprintf(fetch->error, sizeof fetch->error, "status %ld%s", status,
                 status >= 300 && status < 400 ? ": redirects are not followed, set the final URL" : "");
    }
}

/* ---- back on the loop ---- */

static void free_fetch(struct fetch *fetch) {
    buffer_finish(&fetch->body);
    memory_free(fetch->url);
    memory_free(fetch->ca_file);
    memory_free(fetch);
}

static void free_jwks(jwks_t *self) {
    buffer_finish(&self->last);
    memory_free(self->url);
    memory_free(self->ca_file);
    memory_free(self);
}

static void on_failure(jwks_t *self, const char *reason) {
    self->failed = true;
    metric_count(self->options.metrics, row(self, JWKS_METRIC_FAILURES));
    log_warning("jwks_fetch_failed", log_text("settings", self->options.name), log_text("url", self->url),
                log_text("reason", reason), log_text("help", "the last good keys stay in use"));
}

static void take_answer(jwks_t *self, struct fetch *fetch) {
    char error[ERROR_SIZE];
    struct token_jwk_set set;
    if (!fetch->is_good) {
        on_failure(self, fetch->error);
        return;
    }
    if (!token_jwk_set_read(buffer_span(&fetch->body), &set, error, sizeof error)) {
        on_failure(self, error);
        return;
    }
    bool is_same = self->good_ms != 0 && span_equal(buffer_span(&self->last), buffer_span(&fetch->body));
    self->failed = false;
    self->good_ms = clock_monotonic_ms();
    metric_set(self->options.metrics, row(self, JWKS_METRIC_KEYS), (int64_t) set.n);
    if (!is_same) {
        buffer_clear(&self->last);
        buffer_append_span(&self->last, buffer_span(&fetch->body));
        log_info("jwks_fetched", log_text("settings", self->options.name), log_u64("keys", set.n),
                 log_u64("left_out", set.n_left_out));
        self->options.on_set(self->options.context, &set);
    }
    token_jwk_set_finish(&set);
}

static void on_done(uv_work_t *work, int status) {
    struct fetch *fetch = work->data;
    jwks_t *self = fetch->jwks;
    self->fetch = NULL;
    if (self->is_destroyed) {
        free_jwks(self);
    } else if (status == 0) {
        take_answer(self, fetch);
    }
    free_fetch(fetch);
}

static void begin(jwks_t *self, uint64_t now_ms) {
    struct fetch *fetch = memory_alloc_zero(sizeof *fetch);
    fetch->jwks = self;
    fetch->url = memory_strdup(self->url);
    fetch->ca_file = memory_strdup(self->ca_file);
    buffer_init(&fetch->body, TOKEN_JWK_TEXT_MAX);
    atomic_init(&fetch->is_cancelled, false);
    fetch->work.data = fetch;
    self->fetch = fetch;
    self->started_ms = now_ms;
    self->is_wanted = false;
    metric_count(self->options.metrics, row(self, JWKS_METRIC_FETCHES));
    check(uv_queue_work(self->options.loop, &fetch->work, on_work, on_done) == 0, "libuv: no work");
}

/* ---- asking ---- */

jwks_t *jwks_new(const struct jwks_options *options) {
    check(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK,
          "libcurl: not ready"); /* counted, and safe on any thread */
    jwks_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    self->url = memory_strdup(options->url);
    self->ca_file = memory_strdup(options->ca_file);
    metric_set(options->metrics, row(self, JWKS_METRIC_AGE), -1);
    return self;
}

void jwks_want(jwks_t *self) {
    self->is_wanted = true;
}

static bool is_due(const jwks_t *self, uint64_t now_ms) {
    if (self->started_ms == 0) {
        return true;
    }
    uint64_t since_ms = now_ms - self->started_ms;
    return since_ms >= self->options.gap_ms &&
           (self->is_wanted || self->failed || since_ms >= self->options.refresh_ms);
}

void jwks_tick(jwks_t *self, uint64_t now_ms) {
    uint64_t age_ms = jwks_age_ms(self, now_ms);
    metric_set(self->options.metrics, row(self, JWKS_METRIC_AGE),
               age_ms == UINT64_MAX ? -1 : (int64_t) (age_ms / 1000));
    if (self->fetch == NULL && is_due(self, now_ms)) {
        begin(self, now_ms);
    }
}

uint64_t jwks_age_ms(const jwks_t *self, uint64_t now_ms) {
    return self->good_ms == 0 ? UINT64_MAX : now_ms - self->good_ms;
}

void jwks_destroy(jwks_t **self_p) {
    jwks_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    metric_set(self->options.metrics, row(self, JWKS_METRIC_KEYS), 0);
    metric_set(self->options.metrics, row(self, JWKS_METRIC_AGE), 0);
    self->is_destroyed = true;
    if (self->fetch == NULL) {
        free_jwks(self);
        return;
    }
    atomic_store(&self->fetch->is_cancelled, true);
    uv_cancel((uv_req_t *) &self->fetch->work); /* where it has not begun: on_done comes with UV_ECANCELED */
}
