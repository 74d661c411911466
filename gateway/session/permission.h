/* May this user do that in this channel? The decision lists of client-protocol.md section 13, as pure functions.
 * Everything is denied unless an option allows it. Thread: any (no state). */
#ifndef CALLBOARD_GATEWAY_PERMISSION_H
#define CALLBOARD_GATEWAY_PERMISSION_H

#include "base/error_code.h"
#include "base/json_scan.h"
#include "base/namespace_options.h"

/* Who asks. `subscribed`: to the channel in question, or about to be. */
struct permission_subject {
    struct span user; /* empty: anonymous */
    bool subscribed;
};

/* ERROR_NONE and the options, 102 (no such namespace) or 107 (a name that is none). */
enum error_code permission_find_options(const namespace_set_t *namespaces, struct span channel,
                                        const struct namespace_options **ret_options);

/* Without a subscription token, which would decide alone: ERROR_NONE or 103. */
enum error_code permission_subscribe(const struct namespace_options *options, struct span channel, struct span user);
/* ERROR_NONE or 103. */
enum error_code permission_publish(const struct namespace_options *options, const struct permission_subject *subject);
/* ERROR_NONE, 108 (feature off, judged first) or 103. */
enum error_code permission_history(const struct namespace_options *options, const struct permission_subject *subject);
enum error_code permission_presence(const struct namespace_options *options, const struct permission_subject *subject);

/* What a subscription gets of what it asked for. */
struct subscription_features {
    bool positioned;
    bool recoverable;
    bool pushes_join_leave; /* it receives join and leave */
    bool has_presence;      /* it stands in the channel's presence */
    bool tells_join_leave;  /* its own coming and going is told */
};
struct subscription_wishes {
    bool positioned;
    bool recoverable;
    bool join_leave;
};
/* `override`: the token's claim or JSON_ABSENT; of wrong shape it counts as absent. */
struct subscription_features permission_features(const struct namespace_options *options, struct span user,
                                                 const struct subscription_wishes *wishes, struct json_value override);

#endif
