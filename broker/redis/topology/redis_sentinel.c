/* The primary that Sentinels name: all of them are asked, always, and redis_sentinel_answer.c says whose answer counts.
 *
 *   each second while something is wrong, each POLL_MS else,         SENTINEL MASTER, GET-MASTER-ADDR-BY-NAME and
 *   at +switch-master and +promoted-slave, when a link comes up  ──▶ SENTINELS to each ─▶ answers ─▶ decide ─▶
 * on_changed
 *
 * A Sentinel has two links: commands, and the topics of its news. News are a nudge to ask, never an answer: those of a
 * Sentinel that hangs do not come, and those of one that was cut off are old. Its last answer counts while its link is
 * up. Further Sentinels are learned from those that answer (SENTINELS_MAX in all) and forgotten when nobody has named
 * them for FORGET_MS and they are away; those of the URL stay. One that is known under two addresses (a name in the
 * URL) is told by its id and counts once.
 *
 * Before the first decision all of them have answered or failed once, or SETTLE_MS are over since the first answer: a
 * Sentinel that comes back from a cut must not name the primary only because it was quickest. */
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"
#include "broker/redis/link/redis_request.h"
#include "broker/redis/topology/redis_sentinel_answer.h"
#include "broker/redis/topology/redis_topology_parts.h"

#include <stdio.h>

enum {
    SENTINELS_MAX = 32,
    POLL_MS = 5000,
    POLL_WRONG_MS = 1000,
    ASK_GAP_MS = 100, /* between two rounds, however often we are nudged */
    HURRY_MS = 10000, /* a doubt of our user keeps us asking each second for so long */
    SETTLE_MS = 300,
    FORGET_MS = 60000,
};

struct sentinel {
    struct redis_sentinel *topology;
    struct list_link link;
    struct redis_address address;
    char id[REDIS_SENTINEL_ID_LENGTH + 1]; /* empty: not known yet */
    bool is_learned;                       /* not of the URL */
    bool has_settled;                      /* answered or failed once */
    uint64_t named_ms;                     /* when another one named it last */
    redis_link_t *command;
    redis_link_t *news;
    bool is_asked;                      /* an answer is owed */
    uint64_t asked_ms;                  /* when that question was asked */
    uint64_t answer_ms;                 /* when the one was whose answer is there */
    struct redis_sentinel_answer asked; /* as far as it has come */
    struct redis_sentinel_answer answer;
    const char *refusal; /* why it gives no answer although it is up; NULL: it does */
    unsigned n_closing;
};

struct redis_sentinel {
    redis_topology_t base;
    struct list_link sentinels;
    unsigned n_sentinels;
    unsigned n_closing; /* sentinels that are being forgotten, and at the end all */
    struct redis_sentinel_answer known;
    uint64_t first_answer_ms;
    uint64_t last_round_ms;
    uint64_t next_round_ms;
    uint64_t hurry_until_ms;
    bool is_full_told;
    uv_timer_t timer;
    bool timer_closed;
};

static struct redis_sentinel *sentinel_of(redis_topology_t *base) {
    return (struct redis_sentinel *) (void *) base;
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer);

static void arm(struct redis_sentinel *self) {
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t due_ms = self->next_round_ms;
    uint64_t settled_ms = self->first_answer_ms + SETTLE_MS;
    /* Only while it lies ahead: else a set without a primary would have the timer run for ever, and nothing be read. */
    if (!self->known.is_there && self->first_answer_ms != 0 && now_ms < settled_ms && settled_ms < due_ms) {
        due_ms = settled_ms;
    }
    uv_update_time(self->base.options.loop);
    uv_timer_start(&self->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

static void ask_soon(struct redis_sentinel *self, uint64_t gap_ms) {
    uint64_t soon_ms = self->last_round_ms + gap_ms;
    if (soon_ms < self->next_round_ms) {
        self->next_round_ms = soon_ms;
        arm(self);
    }
}

/* ---- deciding ---- */

static bool all_have_settled(const struct redis_sentinel *self) {
    list_for_each (link, &self->sentinels) {
        if (!list_entry(link, const struct sentinel, link)->has_settled) {
            return false;
        }
    }
    return true;
}

/* What is wrong where no answer can be used: a refusal says more than silence. */
static const char *silence(const struct redis_sentinel *self) {
    const char *reason = "no Sentinel answers; are they running, and are the hosts and ports in redis.url theirs?";
    list_for_each (link, &self->sentinels) {
        const struct sentinel *sentinel = list_entry(link, const struct sentinel, link);
        if (sentinel->refusal != NULL) {
            reason = sentinel->refusal;
        }
    }
    return reason;
}

static void adopt(struct redis_sentinel *self, const struct redis_sentinel_answer *answer) {
    bool is_same = self->known.is_there && redis_address_equal(&self->known.address, &answer->address) &&
                   self->known.replicas == answer->replicas;
    self->known = *answer;
    if (is_same) {
        return;
    }
    char where[REDIS_ADDRESS_TEXT_MAX + 1];
    redis_address_describe(&answer->address, where, sizeof where);
    log_info("redis_sentinel_names_primary", log_text("master", self->base.url.master), log_text("primary", where),
             log_u64("epoch", answer->epoch), log_u64("replicas", answer->replicas));
    self->base.options.events->on_changed(self->base.options.context);
}

/* Of those that are of one mind with this answer. */
static uint64_t oldest_question_ms(const struct redis_sentinel *self, const struct redis_sentinel_answer *answer) {
    uint64_t oldest_ms = UINT64_MAX;
    list_for_each (link, &self->sentinels) {
        const struct sentinel *sentinel = list_entry(link, const struct sentinel, link);
        bool agrees = sentinel->answer.is_there && redis_address_equal(&sentinel->answer.address, &answer->address);
        oldest_ms = agrees && sentinel->answer_ms < oldest_ms ? sentinel->answer_ms : oldest_ms;
    }
    return oldest_ms;
}

static void decide(struct redis_sentinel *self) {
    bool may_wait = !self->known.is_there && !all_have_settled(self) &&
                    (self->first_answer_ms == 0 || clock_monotonic_ms() < self->first_answer_ms + SETTLE_MS);
    if (self->base.is_closing || may_wait) {
        return;
    }
    struct redis_sentinel_answer answers[SENTINELS_MAX];
    size_t n = 0;
    list_for_each (link, &self->sentinels) {
        answers[n++] = list_entry(link, struct sentinel, link)->answer;
    }
    struct redis_sentinel_answer answer;
    switch (redis_sentinel_choose(answers, n, &self->known, &answer)) {
    case REDIS_SENTINEL_NOBODY:
        redis_topology_set_trouble(&self->base, silence(self));
        break;
    case REDIS_SENTINEL_DOWN:
        redis_topology_set_trouble(&self->base, "the Sentinels say that the primary is down, and name no other yet");
        break;
    case REDIS_SENTINEL_OLD:
        redis_topology_set_trouble(&self->base, "only Sentinels with old news answer; the others are away");
        break;
    case REDIS_SENTINEL_CHOSEN:
        redis_topology_set_trouble(&self->base, NULL);
        self->base.asked_ms = oldest_question_ms(self, &answer);
        adopt(self, &answer);
        break;
    }
    if (self->base.trouble != NULL) {
        ask_soon(self, POLL_WRONG_MS);
    }
}

/* ---- asking ---- */

static struct sentinel *add(struct redis_sentinel *self, const struct redis_address *address, const char *id);

static void set_refusal(struct sentinel *self, struct span error) {
    self->refusal = "a Sentinel refuses SENTINEL MASTER; let its user run it (ACL: +sentinel|master and its like)";
    if (memmem(error.data, error.size, "No such master", strlen("No such master")) != NULL) {
        self->refusal = "the Sentinels do not know the master's name that ends redis.url; sentinel.conf has it behind "
                        "\"sentinel monitor\"";
    }
}

static void on_master(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    struct sentinel *self = context;
    self->asked = (struct redis_sentinel_answer){.is_there = false};
    if (reply == NULL) {
        return; /* on_down follows */
    }
    self->refusal = NULL;
    if (reply->type == REDIS_ERROR) {
        set_refusal(self, reply->text);
    } else if (!redis_sentinel_answer_parse(reply, &self->asked)) {
        self->refusal = "what redis.url names as a Sentinel answers as none does";
    }
}

static void on_address(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    struct sentinel *self = context;
    if (reply != NULL) {
        redis_sentinel_answer_add_address(&self->asked, reply);
    }
}

static void on_replicas(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    struct sentinel *self = context;
    if (reply != NULL) {
        redis_sentinel_answer_add_replicas(&self->asked, reply);
    }
}

static struct sentinel *find(struct redis_sentinel *self, const struct redis_sentinel_peer *peer) {
    list_for_each (link, &self->sentinels) {
        struct sentinel *sentinel = list_entry(link, struct sentinel, link);
        bool is_it = sentinel->id[0] != '\0' ? strcmp(sentinel->id, peer->id) == 0
                                             : redis_address_equal(&sentinel->address, &peer->address);
        if (is_it) {
            return sentinel;
        }
    }
    return NULL;
}

static void learn(struct redis_sentinel *self, const struct redis_reply *reply) {
    for (size_t i = 0; i < reply->n; i++) {
        struct redis_sentinel_peer peer;
        if (!redis_sentinel_peer_parse(&reply->elements[i], &peer)) {
            continue;
        }
        struct sentinel *sentinel = find(self, &peer);
        if (sentinel == NULL) {
            sentinel = add(self, &peer.address, peer.id);
        }
        if (sentinel != NULL) {
            sentinel->named_ms = clock_monotonic_ms();
        }
    }
}

static void on_sentinels(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    struct sentinel *self = context;
    struct redis_sentinel *topology = self->topology;
    self->is_asked = false;
    if (reply == NULL || topology->base.is_closing) {
        return;
    }
    self->has_settled = true;
    self->answer = self->asked;
    self->answer_ms = self->asked_ms;
    if (self->answer.is_there && topology->first_answer_ms == 0) {
        topology->first_answer_ms = clock_monotonic_ms();
        arm(topology);
    }
    if (reply->type == REDIS_ARRAY) {
        learn(topology, reply);
    }
    decide(topology);
}

static void ask(struct sentinel *self) {
    if (self->is_asked || !redis_link_is_up(self->command)) {
        return;
    }
    self->is_asked = true;
    self->asked_ms = clock_monotonic_ms();
    const char *master = self->topology->base.url.master;
    struct buffer *out = redis_link_out(self->command);
    redis_request_texts(out, 3, (const char *const[]){"SENTINEL", "MASTER", master});
    redis_link_sent(self->command, on_master, NULL);
    redis_request_texts(out, 3, (const char *const[]){"SENTINEL", "GET-MASTER-ADDR-BY-NAME", master});
    redis_link_sent(self->command, on_address, NULL);
    redis_request_texts(out, 3, (const char *const[]){"SENTINEL", "SLAVES", master});
    redis_link_sent(self->command, on_replicas, NULL);
    redis_request_texts(out, 3, (const char *const[]){"SENTINEL", "SENTINELS", master});
    redis_link_sent(self->command, on_sentinels, NULL);
    redis_link_flush(self->command);
}

/* ---- one Sentinel's links ---- */

static void forget(struct sentinel *self);

/* The same Sentinel under two addresses: the one that was learned goes. */
static void on_my_id(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    struct sentinel *self = context;
    struct span id = reply == NULL ? SPAN_EMPTY : redis_reply_string(reply);
    if (reply == NULL || reply->type == REDIS_ERROR || id.size != REDIS_SENTINEL_ID_LENGTH ||
        self->topology->base.is_closing) {
        return;
    }
    memcpy(self->id, id.data, id.size);
    list_for_each (link, &self->topology->sentinels) {
        struct sentinel *other = list_entry(link, struct sentinel, link);
        if (other != self && strcmp(other->id, self->id) == 0) {
            forget(other->is_learned ? other : self);
            return;
        }
    }
}

static void on_command_up(void *context) {
    struct sentinel *self = context;
    redis_request_texts(redis_link_out(self->command), 2, (const char *const[]){"SENTINEL", "MYID"});
    redis_link_sent(self->command, on_my_id, NULL);
    ask(self);
}

/* What the link says of a login is worded for Redis. */
static const char *refusal_of(const struct sentinel *self, const char *reason) {
    if (!redis_link_is_refused(self->command)) {
        return NULL;
    }
    return strncmp(reason, "TLS", 3) == 0
               ? reason
               : "the Sentinels refuse our login; check redis.sentinel_user and redis.sentinel_password";
}

static void on_command_down(void *context, const char *reason) {
    struct sentinel *self = context;
    bool was_there = !self->has_settled || self->answer.is_there;
    self->has_settled = true;
    self->answer.is_there = false;
    self->is_asked = false;
    self->refusal = refusal_of(self, reason);
    if (self->topology->base.is_closing || !list_is_linked(&self->link)) {
        return;
    }
    if (was_there) {
        char where[REDIS_ADDRESS_TEXT_MAX + 1];
        redis_address_describe(&self->address, where, sizeof where);
        log_warning("redis_sentinel_away", log_text("sentinel", where), log_text("reason", reason));
    }
    redis_link_drop(self->news, "the Sentinel is away"); /* a half-open link would stay silent for ever */
    decide(self->topology);
}

static void on_news_up(void *context) {
    struct sentinel *self = context;
    redis_request_texts(redis_link_out(self->news), 3,
                        (const char *const[]){"SUBSCRIBE", "+switch-master", "+promoted-slave"});
    redis_link_sent(self->news, NULL, NULL);
    redis_link_flush(self->news);
    ask_soon(self->topology, ASK_GAP_MS); /* what happened before we listened */
}

static void on_news_down(void *context, const char *reason) {
    (void) context;
    (void) reason; /* the command link tells it too */
}

static void on_command_push(void *context, const struct redis_reply *reply) {
    (void) context;
    (void) reply;
}

static void on_news(void *context, const struct redis_reply *reply) {
    struct sentinel *self = context;
    if (reply->type == REDIS_ERROR) {
        char where[REDIS_ADDRESS_TEXT_MAX + 1];
        redis_address_describe(&self->address, where, sizeof where);
        log_warning("redis_sentinel_no_news", log_text("sentinel", where), log_span("error", reply->text),
                    log_text("effect", "a failover is seen by polling only"));
    } else if (reply->n == 3 && redis_reply_is_text(&reply->elements[0], "message")) {
        ask_soon(self->topology, ASK_GAP_MS);
    }
}

static const struct redis_link_events command_events = {on_command_up, on_command_down, on_command_push};
static const struct redis_link_events news_events = {on_news_up, on_news_down, on_news};

/* NULL: there are too many. */
static struct sentinel *add(struct redis_sentinel *self, const struct redis_address *address, const char *id) {
    if (self->n_sentinels == SENTINELS_MAX) {
        if (!self->is_full_told) {
            log_warning("redis_sentinels_too_many", log_u64("known", SENTINELS_MAX));
            self->is_full_told = true;
        }
        return NULL;
    }
    struct sentinel *sentinel = memory_alloc_zero(sizeof *sentinel);
    sentinel->topology = self;
    sentinel->address = *address;
    sentinel->is_learned = id != NULL;
    sentinel->named_ms = clock_monotonic_ms();
    snprintf(sentinel->id, sizeof sentinel->id, "%s", id == NULL ? "" : id);
    struct redis_link_options options = redis_topology_link_options(&self->base, address, true);
    options.context = sentinel;
    options.events = &command_events;
    sentinel->command = redis_link_new(&options);
    options.events = &news_events;
    options.is_pubsub = true;
    sentinel->news = redis_link_new(&options);
    list_push_back(&self->sentinels, &sentinel->link);
    self->n_sentinels++;
    return sentinel;
}

static void finish_close(struct redis_sentinel *self) {
    if (self->base.is_closing && self->n_closing == 0 && self->timer_closed) {
        redis_topology_closed(&self->base);
    }
}

static void on_link_closed(void *context) {
    struct sentinel *self = context;
    struct redis_sentinel *topology = self->topology;
    if (--self->n_closing == 0) {
        memory_free(self);
        topology->n_closing--;
        finish_close(topology);
    }
}

static void forget(struct sentinel *self) {
    list_remove(&self->link);
    self->topology->n_sentinels--;
    self->topology->n_closing++;
    self->topology->is_full_told = false;
    self->n_closing = 2;
    redis_link_close(self->command, on_link_closed, self);
    redis_link_close(self->news, on_link_closed, self);
}

/* ---- rounds ---- */

static void forget_the_gone(struct redis_sentinel *self, uint64_t now_ms) {
    list_for_each_safe (link, &self->sentinels) {
        struct sentinel *sentinel = list_entry(link, struct sentinel, link);
        if (sentinel->is_learned && !sentinel->answer.is_there && now_ms > sentinel->named_ms + FORGET_MS) {
            forget(sentinel);
        }
    }
}

static void on_timer(uv_timer_t *timer) {
    struct redis_sentinel *self = timer->data;
    if (self->base.is_closing) {
        return;
    }
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms >= self->next_round_ms) {
        bool is_wrong = !self->known.is_there || self->base.trouble != NULL || now_ms < self->hurry_until_ms;
        self->last_round_ms = now_ms;
        self->next_round_ms = now_ms + (is_wrong ? POLL_WRONG_MS : POLL_MS);
        forget_the_gone(self, now_ms);
        list_for_each (link, &self->sentinels) {
            ask(list_entry(link, struct sentinel, link));
        }
    }
    decide(self);
    arm(self);
}

/* ---- methods ---- */

static const struct redis_address *sentinel_find(const redis_topology_t *base, uint32_t slot) {
    (void) slot;
    const struct redis_sentinel *self = (const struct redis_sentinel *) (const void *) base;
    return self->known.is_there ? &self->known.address : NULL;
}

static unsigned sentinel_replicas(const redis_topology_t *base, uint32_t slot) {
    (void) slot;
    return ((const struct redis_sentinel *) (const void *) base)->known.replicas;
}

/* Behind Sentinels there is no cluster: a server that says so is not the one to speak to. */
static void sentinel_moved(redis_topology_t *base, uint32_t slot, struct span address) {
    (void) slot;
    (void) address;
    redis_topology_refresh(base);
}

static void sentinel_refresh(redis_topology_t *base) {
    struct redis_sentinel *self = sentinel_of(base);
    self->hurry_until_ms = clock_monotonic_ms() + HURRY_MS;
    ask_soon(self, POLL_WRONG_MS);
}

static void on_timer_closed(uv_handle_t *handle) {
    struct redis_sentinel *self = handle->data;
    self->timer_closed = true;
    finish_close(self);
}

static void sentinel_close(redis_topology_t *base) {
    struct redis_sentinel *self = sentinel_of(base);
    list_for_each_safe (link, &self->sentinels) {
        forget(list_entry(link, struct sentinel, link));
    }
    uv_close((uv_handle_t *) &self->timer, on_timer_closed);
}

static const struct redis_topology_methods methods = {
    .find = sentinel_find,
    .replicas = sentinel_replicas,
    .moved = sentinel_moved,
    .refresh = sentinel_refresh,
    .close = sentinel_close,
};

redis_topology_t *redis_sentinel_new(const struct redis_topology_options *options) {
    struct redis_sentinel *self = memory_alloc_zero(sizeof *self);
    redis_topology_init(&self->base, &methods, options);
    list_init(&self->sentinels);
    for (size_t i = 0; i < self->base.url.n_seeds; i++) {
        add(self, &self->base.url.seeds[i], NULL);
    }
    uv_timer_init(options->loop, &self->timer);
    self->timer.data = self;
    arm(self);
    return &self->base;
}
