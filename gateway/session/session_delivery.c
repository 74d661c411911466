/* How a subscription gets what is published: the form, the filter, whether its own, and when it is written. Decided
 * once, when it subscribes, from its request and the namespace.
 *
 * Failure modes: a tags filter that the namespace does not allow, or a malformed one: error 107. What is asked for and
 * not granted (delta, channel ids) is no error: the reply does not have it. */
#include "gateway/session/session_commands.h"

#include "gateway/protocol/client_protocol_raw.h"

/* Of a subscribe request. */
enum { FLAG_UNDERSTANDS_IDS = 1 };

static bool compacts(const session_t *self) {
    int which = self->environment->config->channel_compaction;
    return which == CHANNEL_COMPACTION_ALL || (which == CHANNEL_COMPACTION_JSON && !self->codec->is_binary);
}

/* A patch is of the publication before, so it does not go with a filter; in JSON it is text. */
static bool grants_delta(const session_t *self, const struct client_subscribe *request,
                         const struct namespace_options *options) {
    bool can_carry_it = self->codec->is_binary || options->publication_data_format == PUBLICATION_JSON;
    return request->delta.size > 0 && request->tag_filter.type == JSON_NONE && namespace_allows_delta(options) &&
           can_carry_it;
}

enum error_code session_judge_filter(const session_t *self, const struct client_subscribe *request,
                                     const struct namespace_options *options) {
    if (request->tag_filter.type == JSON_NONE) {
        return ERROR_NONE;
    }
    tag_filter_t *filter =
        options->allow_tags_filter ? tag_filter_take(self->environment->tag_filters, request->tag_filter) : NULL;
    enum error_code error = filter == NULL ? ERROR_BAD_REQUEST : ERROR_NONE;
    tag_filter_release(&filter);
    return error;
}

void session_choose_delivery(struct subscription *subscription, const struct client_subscribe *request,
                             const struct namespace_options *options) {
    const session_t *self = subscription->session;
    struct hub_member *member = &subscription->member;
    member->encoding = self->codec->encoding;
    member->is_compacted = (request->flag & FLAG_UNDERSTANDS_IDS) != 0 && compacts(self);
    /* Publications only: a reply has what its client said beside what others did, and its size would tell of that. */
    member->is_compressed = self->transport->methods->compresses && !client_encoding_is_raw(self->codec->encoding);
    member->wants_delta = grants_delta(self, request, options);
    if (request->tag_filter.type != JSON_NONE) {
        member->filter = tag_filter_take(self->environment->tag_filters, request->tag_filter);
    }
    if (options->exclude_publisher) {
        member->excluded_client = client_id_hash(session_client_info(self).client);
    }
    subscription->flush_interval_ms = options->flush_interval_ms;
}

uint32_t session_filter_recovered(const struct subscription *subscription, const struct hub_joined *joined,
                                  struct buffer *ret_publications) {
    const tag_filter_t *filter = subscription->member.filter;
    struct cursor cursor = cursor_of(joined->publications);
    struct wire_publication publication;
    uint32_t n = 0;
    for (uint32_t i = 0; i < joined->n_publications && wire_read_publication(&cursor, &publication); i++) {
        if (filter == NULL || tag_filter_passes(filter, publication.tags)) {
            wire_append_publication(ret_publications, &publication);
            n++;
        }
    }
    return n;
}

void session_deliver(const struct subscription *subscription, payload_t *framed) {
    if (subscription->flush_interval_ms > 0) {
        session_queue_for(subscription->session, framed, subscription->flush_interval_ms);
    } else {
        session_queue(subscription->session, framed);
    }
}
