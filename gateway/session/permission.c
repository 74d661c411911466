/* The decision lists, first match decides. Each feature has the same three options: for clients, for subscribers, and
 * whether anonymous users count as either. */
#include "gateway/session/permission.h"

#include "base/channel_name.h"

enum error_code permission_find_options(const namespace_set_t *namespaces, struct span channel,
                                        const struct namespace_options **ret_options) {
    if (channel.size > CHANNEL_NAME_MAX) {
        return ERROR_BAD_REQUEST;
    }
    const struct namespace_options *options = namespace_set_find(namespaces, channel);
    if (options == NULL) {
        return ERROR_UNKNOWN_CHANNEL;
    }
    if (channel_name_check(channel) != CHANNEL_NAME_OK) {
        return ERROR_BAD_REQUEST;
    }
    *ret_options = options;
    return ERROR_NONE;
}

enum error_code permission_subscribe(const struct namespace_options *options, struct span channel, struct span user) {
    if (channel_name_is_private(channel)) {
        return ERROR_PERMISSION_DENIED;
    }
    if (options->allow_user_limited_channels && channel_name_is_user_limited(channel)) {
        return channel_name_allows_user(channel, user) ? ERROR_NONE : ERROR_PERMISSION_DENIED;
    }
    if (options->subscribe_proxy_enabled) {
        return ERROR_PERMISSION_DENIED; /* nobody but its worker admits */
    }
    bool known = user.size > 0 || options->allow_subscribe_for_anonymous;
    return options->allow_subscribe_for_client && known ? ERROR_NONE : ERROR_PERMISSION_DENIED;
}

static bool is_allowed(const struct permission_subject *subject, bool for_client, bool for_subscriber,
                       bool for_anonymous) {
    if (subject->user.size == 0 && !for_anonymous) {
        return false;
    }
    return for_client || (for_subscriber && subject->subscribed);
}

static bool may_read_history(const struct namespace_options *options, const struct permission_subject *subject) {
    return is_allowed(subject, options->allow_history_for_client, options->allow_history_for_subscriber,
                      options->allow_history_for_anonymous);
}

static bool may_read_presence(const struct namespace_options *options, const struct permission_subject *subject) {
    return is_allowed(subject, options->allow_presence_for_client, options->allow_presence_for_subscriber,
                      options->allow_presence_for_anonymous);
}

enum error_code permission_publish(const struct namespace_options *options, const struct permission_subject *subject) {
    bool allowed = is_allowed(subject, options->allow_publish_for_client, options->allow_publish_for_subscriber,
                              options->allow_publish_for_anonymous);
    return allowed ? ERROR_NONE : ERROR_PERMISSION_DENIED;
}

enum error_code permission_history(const struct namespace_options *options, const struct permission_subject *subject) {
    if (!namespace_has_history(options)) {
        return ERROR_NOT_AVAILABLE;
    }
    return may_read_history(options, subject) ? ERROR_NONE : ERROR_PERMISSION_DENIED;
}

enum error_code permission_presence(const struct namespace_options *options, const struct permission_subject *subject) {
    if (!options->presence) {
        return ERROR_NOT_AVAILABLE;
    }
    return may_read_presence(options, subject) ? ERROR_NONE : ERROR_PERMISSION_DENIED;
}

/* {"name": {"value": bool}}; without it the namespace's option stands. */
static bool overridden(struct json_value override, const char *name, bool option) {
    bool value = option;
    json_to_bool(json_member(json_member(override, name), "value"), &value);
    return value;
}

struct subscription_features permission_features(const struct namespace_options *options, struct span user,
                                                 const struct subscription_wishes *wishes, struct json_value override) {
    struct permission_subject subscriber = {.user = user, .subscribed = true};
    bool reads_history = may_read_history(options, &subscriber);
    bool has_positions = namespace_has_history(options);
    bool join_leave = overridden(override, "join_leave", options->join_leave);
    bool force_push = overridden(override, "force_push_join_leave", options->force_push_join_leave);

    struct subscription_features features = {
        .recoverable = overridden(override, "force_recovery", options->force_recovery) ||
                       (wishes->recoverable && (options->allow_recovery || reads_history)),
        .positioned = overridden(override, "force_positioning", options->force_positioning) ||
                      (wishes->positioned && (options->allow_positioning || reads_history)),
        .pushes_join_leave =
            join_leave && (force_push || (wishes->join_leave && may_read_presence(options, &subscriber))),
        .has_presence = overridden(override, "presence", options->presence),
        .tells_join_leave = join_leave,
    };
    /* Without a stream there is nothing to be at. What can be recovered has a position anyway. */
    features.recoverable = features.recoverable && has_positions;
    features.positioned = has_positions && (features.positioned || features.recoverable);
    return features;
}
