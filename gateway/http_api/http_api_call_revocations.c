/* The methods that lock tokens out: revoke_token, invalidate_user_tokens. The brokers keep it, every gateway reads it
 * (gateway/revocation_feed.h); ok means that it is kept.
 *
 * Failure modes: an end that has passed 107; switched off 108; at token.revocations_max 106; no broker 100 or 120, as
 * of a publication. */
#include "base/clock.h"
#include "gateway/http_api/http_api_call_parts.h"

static bool refuse(enum error_code code, struct http_api_refusal *refusal) {
    if (code == ERROR_NOT_AVAILABLE) {
        http_api_refuse(refusal, code, "revocation is off (token.revocations_max: 0)");
    } else {
        http_api_refuse(refusal, code,
                        "so many are revoked as may be (token.revocations_max); a nearer expire_at makes room sooner");
    }
    return false;
}

/* `issued_s`: the tokens it is about are not younger. */
static bool tell(struct http_api_command *command, const struct http_api_params *params, int64_t issued_s,
                 struct revocation *revocation, struct http_api_refusal *refusal) {
    revocation_feed_t *feed = command->call->service->revocations;
    int64_t now_s = clock_wall_ms() / 1000;
    revocation->until_s = params->has_expiry ? params->expire_at_s : revocation_feed_end_of(feed, issued_s);
    if (revocation->until_s <= now_s) {
        http_api_refuse(refusal, ERROR_BAD_REQUEST, "%s",
                        params->has_expiry ? "expire_at has passed: such tokens open nothing any more"
                                           : "issued_before: tokens of that time have expired (token.max_life)");
        return false;
    }
    enum error_code code = revocation_feed_judge(feed);
    if (code != ERROR_NONE) {
        return refuse(code, refusal);
    }
    if (!http_api_command_make_parts(command, 1, refusal)) {
        return false;
    }
    revocation_append(&command->line, revocation);
    revocation_feed_tell(feed, &command->parts[0].request, buffer_span(&command->line));
    return true;
}

bool http_api_start_revoke_token(struct http_api_command *command, const struct http_api_params *params,
                                 struct http_api_refusal *refusal) {
    struct revocation revocation = {.name = params->uid};
    return tell(command, params, clock_wall_ms() / 1000, &revocation, refusal);
}

bool http_api_start_invalidate_user_tokens(struct http_api_command *command, const struct http_api_params *params,
                                           struct http_api_refusal *refusal) {
    struct revocation revocation = {
        .is_user = true,
        .name = params->user,
        .not_before_s = params->has_issued_before ? params->issued_before_s : clock_wall_ms() / 1000,
    };
    return tell(command, params, revocation.not_before_s, &revocation, refusal);
}

void http_api_append_revoked(const struct http_api_command *command, const struct broker_answer *answer,
                             struct buffer *out) {
    revocation_feed_take(command->call->service->revocations, buffer_span(&command->line), &answer->position);
    buffer_append_text(out, "{}");
}
