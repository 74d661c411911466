/* Options of a namespace, names as upstream's (client-protocol.md section 13), as a settings table. Default: everything
 * denied. `namespaces` is a list of these in both the gateway's and the broker's configuration; `without_namespace`
 * stands for channels that have none. Thread: any (immutable after reading). */
#ifndef CALLBOARD_BASE_NAMESPACE_OPTIONS_H
#define CALLBOARD_BASE_NAMESPACE_OPTIONS_H

#include "base/bytes.h"
#include "base/config_reader.h"

#include <stdint.h>

enum durability { DURABILITY_DEFAULT, DURABILITY_FAST, DURABILITY_SAFE };
enum engine_down { ENGINE_DOWN_FAIL, ENGINE_DOWN_MEMORY };
enum publication_format { PUBLICATION_JSON, PUBLICATION_BINARY };
enum recovery_mode { RECOVERY_STREAM, RECOVERY_CACHE };

struct namespace_options {
    char *name; /* "" for channels without a namespace */
    bool presence;
    bool join_leave;
    bool force_push_join_leave;
    int64_t history_size;        /* publications; 0 = no history */
    int64_t history_ttl_ms;      /* 0 = no history */
    int64_t history_meta_ttl_ms; /* ≥ 2 × history_ttl; default 720h */
    bool force_positioning;
    bool allow_positioning;
    bool force_recovery;
    bool allow_recovery;
    int force_recovery_mode; /* enum recovery_mode */
    bool auto_cache_recover;
    bool allow_subscribe_for_client;
    bool allow_subscribe_for_anonymous;
    bool allow_publish_for_client;
    bool allow_publish_for_subscriber;
    bool allow_publish_for_anonymous;
    bool allow_presence_for_client;
    bool allow_presence_for_subscriber;
    bool allow_presence_for_anonymous;
    bool allow_history_for_client;
    bool allow_history_for_subscriber;
    bool allow_history_for_anonymous;
    bool allow_user_limited_channels;
    bool subscribe_proxy_enabled;
    bool publish_proxy_enabled;
    bool sub_refresh_proxy_enabled;
    bool subscription_events;
    bool occupancy_events;
    struct config_text_list allowed_delta_types; /* each "fossil" */
    bool delta_publish;
    bool allow_tags_filter;
    bool exclude_publisher;
    int64_t flush_interval_ms;   /* 0: at the end of the turn */
    int publication_data_format; /* enum publication_format */
    int durability;              /* enum durability */
    int on_engine_down;          /* enum engine_down */
};

extern const struct config_table namespace_options_table;

/* May subscribers ask for Fossil deltas? */
bool namespace_allows_delta(const struct namespace_options *self);

static inline bool namespace_has_history(const struct namespace_options *self) {
    return self->history_size > 0 && self->history_ttl_ms > 0;
}

/* What a program reads: a list, indexed by name. */
typedef struct namespace_set namespace_set_t;

/* Borrows the items (a config_section_list of struct namespace_options), which must live as long. Duplicate names are a
 * config error before this is called (namespace_set_verify). */
namespace_set_t *namespace_set_new(const struct config_section_list *list);
void namespace_set_destroy(namespace_set_t **self_p);
/* Of REVOCATIONS_CHANNEL: more publications than any gateway may hold (token.revocations_max), for as long as any token
 * may live. */
enum { REVOCATIONS_HISTORY = 32768 };
/* The options for a channel; NULL: no such namespace (error 102), or no entry with an empty name for a channel without
 * one. */
const struct namespace_options *namespace_set_find(const namespace_set_t *self, struct span channel);
/* Those of REVOCATIONS_CHANNEL, which stand in no settings. */
bool namespace_is_own(const struct namespace_options *self);
/* Has `other` a name that this one has not? */
bool namespace_set_lacks(const namespace_set_t *self, const namespace_set_t *other);
/* Reports duplicate and invalid names. */
void namespace_set_verify(const struct config_section_list *list, const char *prefix, config_errors_t *errors);
/* The same for two processes whose namespaces behave alike. */
uint64_t namespace_set_hash(const namespace_set_t *self);

#endif
