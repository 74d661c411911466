/* The options of namespaces as a settings table, the rules between them, and finding the options of a channel.
 *
 * Happy path: the list is read by the configuration; a set of it is an array sorted by name, so a channel's options are
 * found in a few comparisons without copying anything.
 *
 * Failure modes: names that are not valid, names that stand twice, and options that need others are configuration
 * errors. A channel whose namespace does not exist has no options (NULL). */
#include "base/namespace_options.h"

#include "base/channel_name.h"
#include "base/config_reader.h"
#include "base/memory.h"

#include <stdlib.h>

struct namespace_set {
    const struct namespace_options **sorted; /* by name; borrowed */
    size_t n;
};

static const char *const durabilities[] = {"default", "fast", "safe", NULL};
static const char *const engine_down_choices[] = {"fail", "memory", NULL};
static const char *const recovery_modes[] = {"stream", "cache", NULL};
static const char *const publication_formats[] = {"json", "binary", NULL};

#define FIELD(name) .offset = offsetof(struct namespace_options, name), .flags = CONFIG_RELOADABLE
#define SWITCH(name, text)                                                                                             \
    { .path = #name, .type = CONFIG_BOOL, FIELD(name), .help = text }

static const struct config_key keys[] = {
    {.path = "name",
     .type = CONFIG_TEXT,
     FIELD(name),
     .help =
         "What stands before the first colon of its channels: 2 to 64 letters, digits, dashes and underlines. Empty: "
         "the options of channels without a namespace; without such an entry they are refused (102)."},
    SWITCH(presence, "Keep who is subscribed, and answer presence and presence_stats."),
    SWITCH(join_leave, "Publish when somebody joins or leaves."),
    SWITCH(force_push_join_leave, "Send joins and leaves to every subscriber, asked for or not."),
    {.path = "history_size",
     .type = CONFIG_INT,
     FIELD(history_size),
     .default_text = "0",
     .minimum = 0,
     .maximum = 1000000,
     .help = "Publications kept for each channel; the oldest goes when one more comes. 0: no history."},
    {.path = "history_ttl",
     .type = CONFIG_DURATION,
     FIELD(history_ttl_ms),
     .default_text = "0",
     .minimum = 0,
     .maximum = INT64_C(365) * 86400000,
     .help =
         "How long a publication is kept, unless history_size pushes it out; so long after the newest one all go. In "
         "a channel that never rests it goes after one and a half to three times as long. 0: no history."},
    {.path = "history_meta_ttl",
     .type = CONFIG_DURATION,
     FIELD(history_meta_ttl_ms),
     .default_text = "720h",
     .minimum = 1000,
     .maximum = INT64_C(3650) * 86400000,
     .help = "How long a channel's epoch and offset are kept after its last use; at least twice history_ttl. Then the "
             "channel begins anew, and who comes back with an old position is told that it was not recovered."},
    SWITCH(force_positioning, "Watch every subscriber's position, so that a gap is found. Needs history."),
    SWITCH(allow_positioning, "The same, for those who ask for it. Needs history."),
    SWITCH(force_recovery, "Every subscriber gets what it missed when it comes back. Needs history."),
    SWITCH(allow_recovery, "The same, for those who ask for it. Needs history."),
    {.path = "force_recovery_mode",
     .type = CONFIG_CHOICE,
     FIELD(force_recovery_mode),
     .choices = recovery_modes,
     .help = "What recovery brings. stream: everything that was missed. cache: the newest publication alone, for "
             "channels in which the last message is the state; history_size: 1 is enough. cache needs history."},
    SWITCH(auto_cache_recover,
           "Every subscriber begins with the newest publication, also one that did not ask to recover. Needs "
           "force_recovery_mode: cache."),
    SWITCH(allow_subscribe_for_client, "Known users may subscribe without a subscription token."),
    SWITCH(allow_subscribe_for_anonymous, "So may users without an id; needs allow_subscribe_for_client too."),
    SWITCH(allow_publish_for_client, "Known users may publish."),
    SWITCH(allow_publish_for_subscriber, "Subscribers of the channel may publish there."),
    SWITCH(allow_publish_for_anonymous, "What is allowed for publishing holds for users without an id too."),
    SWITCH(allow_presence_for_client, "Known users may ask for presence."),
    SWITCH(allow_presence_for_subscriber, "Subscribers of the channel may ask for its presence."),
    SWITCH(allow_presence_for_anonymous, "What is allowed for presence holds for users without an id too."),
    SWITCH(allow_history_for_client, "Known users may read the history."),
    SWITCH(allow_history_for_subscriber, "Subscribers of the channel may read its history."),
    SWITCH(allow_history_for_anonymous, "What is allowed for history holds for users without an id too."),
    SWITCH(allow_user_limited_channels, "Names like dialog#42,43 admit the users listed behind the last #."),
    SWITCH(subscribe_proxy_enabled,
           "Who may subscribe without a subscription token is asked of a worker of the backend API (the subscribe hook "
           "of docs/backend-api.md); allow_subscribe_for_* count for nothing then."),
    SWITCH(
        publish_proxy_enabled,
        "Each publication of a client is asked of a worker first, which may refuse or change it; allow_publish_for_* "
        "count for nothing then."),
    SWITCH(sub_refresh_proxy_enabled,
           "Subscriptions that expire are extended by asking a worker, not by the client's sending a token."),
    SWITCH(subscription_events, "Services are told who subscribed and unsubscribed, in the gateways' events.channel."),
    SWITCH(occupancy_events,
           "Services are told which channels got their first subscriber and lost their last one, in the brokers' "
           "events.channel."),
    {.path = "allowed_delta_types",
     .type = CONFIG_TEXT_LIST,
     FIELD(allowed_delta_types),
     .minimum = 1,
     .maximum = 16,
     .help =
         "fossil: subscribers that ask for it get a publication as a patch of the one before, where that is shorter. "
         "Needs history."},
    SWITCH(delta_publish,
           "All publications may be sent as patches. Without it those that backends publish with delta: true."),
    SWITCH(allow_tags_filter, "Subscribers may ask for a part of the publications, by their tags (else error 107)."),
    SWITCH(exclude_publisher, "Who publishes does not get its own publication back."),
    {.path = "flush_interval",
     .type = CONFIG_DURATION,
     FIELD(flush_interval_ms),
     .default_text = "0",
     .minimum = 0,
     .maximum = 10000,
     .help =
         "How long a connection's pushes may wait for more, so that one write carries them all: fewer system calls and "
         "packets, later delivery. Whatever else the connection is sent takes them along. 0: not at all."},
    {.path = "publication_data_format",
     .type = CONFIG_CHOICE,
     FIELD(publication_data_format),
     .choices = publication_formats,
     .help = "json: what is published must be JSON (else error 107). binary: any bytes, for clients of the binary "
             "protocol."},
    {.path = "durability",
     .type = CONFIG_CHOICE,
     FIELD(durability),
     .choices = durabilities,
     .help =
         "fast: a publication is told when the primary has it; a failover may take the newest back, then changes the "
         "epoch and tells everyone. safe: nothing is told before replicas (or the disk) have it, and a failover takes "
         "nothing back (redis.confirm). default: safe with Sentinel and Cluster, fast with one server."},
    {.path = "on_engine_down",
     .type = CONFIG_CHOICE,
     FIELD(on_engine_down),
     .choices = engine_down_choices,
     .help = "What happens to publications while Redis is away. fail: they are refused after broker.publish_timeout. "
             "memory: they pass live, without a position and outside history, marked so."},
};

/* ---- rules ---- */

static void need_history(const struct namespace_options *self, bool option, const char *path, const char *prefix,
                         config_errors_t *errors) {
    if (option && !namespace_has_history(self)) {
        config_error(errors, prefix, path, "needs history; set history_size and history_ttl too");
    }
}

static void verify(const void *target, const char *prefix, config_errors_t *errors) {
    const struct namespace_options *self = target;
    struct span name = span_of_text(self->name);
    if (name.size > 0 && !namespace_name_is_valid(name)) {
        config_error(errors, prefix, "name", "must be %d to %d letters, digits, dashes or underlines", 2,
                     NAMESPACE_NAME_MAX);
    }
    if ((self->history_size > 0) != (self->history_ttl_ms > 0)) {
        config_error(errors, prefix, self->history_size > 0 ? "history_size" : "history_ttl",
                     "history needs both history_size and history_ttl; set the other one too");
    }
    if (self->history_meta_ttl_ms < 2 * self->history_ttl_ms) {
        config_error(errors, prefix, "history_meta_ttl",
                     "must be at least twice history_ttl, else positions are forgotten before publications");
    }
    need_history(self, self->force_positioning, "force_positioning", prefix, errors);
    need_history(self, self->allow_positioning, "allow_positioning", prefix, errors);
    need_history(self, self->force_recovery, "force_recovery", prefix, errors);
    need_history(self, self->allow_recovery, "allow_recovery", prefix, errors);
    need_history(self, self->force_recovery_mode == RECOVERY_CACHE, "force_recovery_mode", prefix, errors);
    if (self->auto_cache_recover && self->force_recovery_mode != RECOVERY_CACHE) {
        config_error(errors, prefix, "auto_cache_recover", "needs force_recovery_mode: cache; set that too");
    }
    for (size_t i = 0; i < self->allowed_delta_types.n; i++) {
        if (strcmp(self->allowed_delta_types.texts[i], "fossil") != 0) {
            config_error(errors, prefix, "allowed_delta_types", "knows fossil only; \"%s\" is no type of delta",
                         self->allowed_delta_types.texts[i]);
        }
    }
    need_history(self, self->allowed_delta_types.n > 0, "allowed_delta_types", prefix, errors);
    need_history(self, self->delta_publish, "delta_publish", prefix, errors);
    if (self->force_push_join_leave && !self->join_leave) {
        config_error(errors, prefix, "force_push_join_leave", "needs join_leave; set that too");
    }
}

const struct config_table namespace_options_table = {
    .title = "Namespace",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .struct_size = sizeof(struct namespace_options),
    .verify = verify,
};

bool namespace_allows_delta(const struct namespace_options *self) {
    return self->allowed_delta_types.n > 0; /* all of them are fossil */
}

/* ---- the set ---- */

static const struct namespace_options *item_of(const struct config_section_list *list, size_t i) {
    return (const struct namespace_options *) list->items + i;
}

static int compare(const void *a, const void *b) {
    const struct namespace_options *const *options_a = a;
    const struct namespace_options *const *options_b = b;
    int order = strcmp((*options_a)->name, (*options_b)->name);
    /* Of the same name: as in the list. */
    return order != 0 ? order : *options_a < *options_b ? -1 : *options_a > *options_b;
}

namespace_set_t *namespace_set_new(const struct config_section_list *list) {
    namespace_set_t *self = memory_alloc(sizeof *self);
    self->n = list->n;
    self->sorted = list->n == 0 ? NULL : memory_alloc_array(list->n, sizeof(const struct namespace_options *));
    for (size_t i = 0; i < list->n; i++) {
        self->sorted[i] = item_of(list, i);
    }
    if (list->n > 1) {
        qsort(self->sorted, self->n, sizeof(const struct namespace_options *), compare);
    }
    return self;
}

void namespace_set_destroy(namespace_set_t **self_p) {
    namespace_set_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    memory_free(self->sorted);
    memory_free(self);
}

/* As strcmp, for bytes that end nowhere. */
static int compare_name(struct span name, const char *other) {
    size_t other_size = strlen(other);
    size_t common = name.size < other_size ? name.size : other_size;
    int order = common == 0 ? 0 : memcmp(name.data, other, common);
    return order != 0 ? order : name.size < other_size ? -1 : name.size > other_size;
}

/* Nobody but gateways publishes and reads there. */
static const struct namespace_options revocations_options = {
    .name = (char[]){""},
    .history_size = REVOCATIONS_HISTORY,
    .history_ttl_ms = INT64_C(366) * 86400000,
    .history_meta_ttl_ms = INT64_C(2) * 366 * 86400000,
};

bool namespace_is_own(const struct namespace_options *self) {
    return self == &revocations_options;
}

const struct namespace_options *namespace_set_find(const namespace_set_t *self, struct span channel) {
    if (channel_name_is_own(channel)) {
        return &revocations_options;
    }
    struct span name = channel_name_namespace(channel);
    size_t low = 0;
    size_t high = self->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_name(name, self->sorted[middle]->name);
        if (order == 0) {
            return self->sorted[middle];
        }
        low = order > 0 ? middle + 1 : low;
        high = order > 0 ? high : middle;
    }
    return NULL;
}

bool namespace_set_lacks(const namespace_set_t *self, const namespace_set_t *other) {
    size_t at = 0; /* both are sorted */
    for (size_t i = 0; i < other->n; i++) {
        while (at < self->n && strcmp(self->sorted[at]->name, other->sorted[i]->name) < 0) {
            at++;
        }
        if (at == self->n || strcmp(self->sorted[at]->name, other->sorted[i]->name) != 0) {
            return true;
        }
    }
    return false;
}

static void tell_twin(const struct config_section_list *list, const struct namespace_options *twin,
                      const struct namespace_options *first, const char *prefix, config_errors_t *errors) {
    struct buffer path = BUFFER_EMPTY;
    buffer_append_format(&path, "namespaces[%zu].name", (size_t) (twin - item_of(list, 0)));
    buffer_append_char(&path, '\0');
    config_error(errors, prefix, (const char *) path.data, "is the same as that of namespaces[%zu]; a name stands once",
                 (size_t) (first - item_of(list, 0)));
    buffer_finish(&path);
}

void namespace_set_verify(const struct config_section_list *list, const char *prefix, config_errors_t *errors) {
    namespace_set_t *set = namespace_set_new(list);
    for (size_t i = 1; i < set->n; i++) {
        if (strcmp(set->sorted[i]->name, set->sorted[i - 1]->name) == 0) {
            tell_twin(list, set->sorted[i], set->sorted[i - 1], prefix, errors);
        }
    }
    namespace_set_destroy(&set);
}

uint64_t namespace_set_hash(const namespace_set_t *self) {
    uint64_t hash = self->n;
    for (size_t i = 0; i < self->n; i++) {
        /* Only read from; the part's pointer is for readers that fill it. */
        struct config_part part = {&namespace_options_table, (void *) (uintptr_t) self->sorted[i]};
        hash = hash * UINT64_C(0x9E3779B97F4A7C15) + config_hash(&part);
    }
    return hash;
}
