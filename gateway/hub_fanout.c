/* One publication to many sessions: encoded and framed once for each form that a member wants, then the same payload
 * for all of them. Costs a call of `deliver` per member, nothing else: their references are taken and given back for
 * all at once.
 *
 * Forms: the encoding, whether the channel goes by its id, whether a publication is compressed (by itself, so that the
 * same bytes are good for all), and for those who negotiated delta whether they get the
 * publication whole or as a patch. A patch is computed once, of the channel's publication before; it is for members
 * that got that one. So the first one a member gets is whole, and after a loss all are.
 *
 * A tags filter is judged once for each publication, whoever shares it; what is withheld leaves no gap, because
 * sessions have no position of their own here.
 *
 * A member may leave at any time, also inside the calls made here: its slot becomes a hole, nobody moves, and the holes
 * are closed when the outermost fan-out ends. Who joins inside stands behind the end and gets the next one. */
#include "gateway/hub_internal.h"

#include "gateway/protocol/delta.h"

#include <stddef.h>

/* Bits of a form; the lowest ones are the encoding. */
enum { FORM_ENCODING = 3, FORM_COMPACTED = 4, FORM_DELTA = 8, FORM_PATCH = 16, FORM_COMPRESSED = 32, FORMS = 64 };
_Static_assert(offsetof(struct hub_member, filter) == 2 * sizeof(void *), "a form's bits fill a gap");
_Static_assert(FORMS <= 64, "a form needs its bit");
_Static_assert(CLIENT_ENCODINGS <= FORM_ENCODING + 1, "an encoding needs its bits");

void hub_compact(struct hub_channel *channel) {
    if (channel->fanning_out > 0 || channel->n_slots == channel->n_members) {
        return;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < channel->n_slots; i++) {
        if (channel->members[i] != NULL) {
            channel->members[n] = channel->members[i];
            channel->members[n]->index = n;
            n++;
        }
    }
    channel->n_slots = n;
    channel->resync_at = 0; /* who moved may not have been told again yet */
}

/* What is to be encoded: a publication, or a join or leave. */
struct message {
    const struct wire_publication *publication;
    bool joined;
    const struct wire_client_info *info;
};

/* A message as it was encoded so far. */
struct forms {
    uint64_t made; /* a bit for each form that is there; where it is not set the others are not initialised */
    payload_t *framed[FORMS];
    size_t n_held[FORMS]; /* references: ours, and those to be handed over, taken for all members at once */
};

/* One message on its way to all members. */
struct fan_out {
    struct hub_channel *channel;
    const struct message *message;
    struct forms *forms;
    bool has_patch; /* in the hub's scratch buffer */
    uint64_t serial;
    uint64_t publisher; /* client_id_hash; 0: nobody, or not asked yet */
    uint64_t n_delivered;
    uint64_t n_patches;
    uint64_t n_filtered;
    uint64_t n_excluded;
};

/* ---- deltas ---- */

void hub_forget_delta_base(struct hub_channel *channel) {
    if (channel->delta_base != NULL) {
        metric_change(channel->hub->metrics, HUB_METRIC_DELTA_BASES, -1);
    }
    payload_unref(&channel->delta_base);
    channel->delta_base_offset = 0;
}

static bool make_patch(struct hub_channel *channel, const struct wire_publication *publication) {
    hub_t *hub = channel->hub;
    if (channel->delta_base == NULL || publication->offset != channel->delta_base_offset + 1 ||
        !delta_is_due(channel->delta_base_flags, publication->flags)) {
        return false;
    }
    bool is_text = (publication->flags & WIRE_PUBLICATION_BINARY) == 0;
    bool is_worth_it =
        delta_encode(payload_span(channel->delta_base), publication->data, is_text, &hub->patching, &hub->patch);
    hub_count(hub, is_worth_it ? HUB_METRIC_PATCHES : HUB_METRIC_PATCHES_NOT_WORTH_IT);
    return is_worth_it;
}

static void keep_as_base(struct hub_channel *channel, const struct wire_publication *publication) {
    hub_forget_delta_base(channel);
    if (publication->offset > 0 && (publication->flags & WIRE_PUBLICATION_DELTA) != 0) {
        channel->delta_base = payload_new(publication->data);
        channel->delta_base_offset = publication->offset;
        channel->delta_base_flags = publication->flags;
        metric_change(channel->hub->metrics, HUB_METRIC_DELTA_BASES, 1);
    }
}

/* Which of the two a member gets, and what it has then. JSON clients cannot be sent patches of what is no text. */
static unsigned choose_delta(const struct fan_out *self, struct hub_member *member) {
    const struct wire_publication *publication = self->message->publication;
    bool can_read_it = member->encoding != CLIENT_ENCODING_JSON || (publication->flags & WIRE_PUBLICATION_BINARY) == 0;
    bool gets_patch = self->has_patch && can_read_it && member->base_offset == self->channel->delta_base_offset;
    member->base_offset = publication->offset;
    return FORM_DELTA | (gets_patch ? FORM_PATCH : 0);
}

/* ---- encoding ---- */

static payload_t *encode(const struct fan_out *self, unsigned form) {
    struct hub_channel *channel = self->channel;
    hub_t *hub = channel->hub;
    const struct message *message = self->message;
    enum client_encoding encoding = (enum client_encoding)(form & FORM_ENCODING);
    const struct client_codec *codec = client_codec_of(encoding);
    const struct client_channel named = {hub_channel_name(channel), (form & FORM_COMPACTED) != 0 ? channel->id : 0};
    buffer_clear(&hub->encoded);
    if (message->publication == NULL) {
        codec->encode_push_presence(&hub->encoded, &named, message->joined, message->info);
    } else {
        const struct subscription *subscription = &channel->subscription;
        bool is_patch = (form & FORM_PATCH) != 0;
        const struct client_delta delta = {is_patch, is_patch ? buffer_span(&hub->patch) : message->publication->data};
        codec->encode_push_publication(&hub->encoded, &named, message->publication,
                                       subscription->has_history ? &subscription->at.epoch : NULL,
                                       (form & FORM_DELTA) != 0 ? &delta : NULL);
    }
    if ((form & FORM_COMPRESSED) != 0) {
        return hub->callbacks.frame_compressed(hub->callbacks.frame_context, encoding, buffer_span(&hub->encoded));
    }
    return hub->callbacks.frame(encoding, buffer_span(&hub->encoded));
}

/* ---- withholding ---- */

static bool is_own(struct fan_out *self, const struct hub_member *member) {
    struct wire_client_info info;
    if (self->publisher == 0) {
        struct span bytes = self->message->publication->info;
        bool has_publisher = bytes.size > 0 && wire_read_client_info(bytes, &info) && info.client.size > 0;
        self->publisher = has_publisher ? client_id_hash(info.client) : UINT64_MAX;
    }
    return self->publisher == member->excluded_client;
}

/* Of a member that may not get all. */
static bool withholds(struct fan_out *self, struct hub_member *member) {
    if (member->filter != NULL &&
        !tag_filter_passes_once(member->filter, self->message->publication->tags, self->serial)) {
        self->n_filtered++;
        return true;
    }
    if (member->excluded_client != 0 && is_own(self, member)) {
        self->n_excluded++;
        return true;
    }
    return false;
}

/* ---- delivering ---- */

static void make(struct fan_out *self, unsigned form) {
    struct forms *forms = self->forms;
    forms->framed[form] = encode(self, form);
    forms->n_held[form] = 1;
    forms->made |= UINT64_C(1) << form;
}

/* A reference for one more member. Ours stays the last. */
static payload_t *hand_over(struct fan_out *self, unsigned form) {
    struct forms *forms = self->forms;
    if (forms->n_held[form] == 1) {
        payload_ref_many(forms->framed[form], self->channel->n_slots);
        forms->n_held[form] += self->channel->n_slots;
    }
    forms->n_held[form]--;
    return forms->framed[form];
}

static void give_back(struct forms *forms) {
    for (unsigned form = 0; form < FORMS && forms->made >> form != 0; form++) {
        if ((forms->made >> form & 1) != 0) {
            payload_unref_many(&forms->framed[form], forms->n_held[form]);
        }
    }
}

static void deliver(struct fan_out *self, struct hub_member *member) {
    const struct message *message = self->message;
    unsigned form = (unsigned) member->encoding | (member->is_compacted ? FORM_COMPACTED : 0U);
    if (message->publication == NULL) {
        if (!member->wants_presence_events) {
            return;
        }
    } else {
        if ((member->filter != NULL || member->excluded_client != 0) && withholds(self, member)) {
            return;
        }
        form |= member->is_compressed ? FORM_COMPRESSED : 0U;
        if (member->wants_delta) {
            form |= choose_delta(self, member);
            self->n_patches += (form & FORM_PATCH) != 0;
        }
    }
    if ((self->forms->made >> form & 1) == 0) {
        make(self, form);
    }
    self->n_delivered++;
    self->channel->hub->callbacks.deliver(member, hand_over(self, form));
}

static void fan_out(struct fan_out *self) {
    struct hub_channel *channel = self->channel;
    uint32_t n_slots = channel->n_slots;
    struct forms forms;
    forms.made = 0;
    self->forms = &forms;
    channel->fanning_out++;
    for (uint32_t i = 0; i < n_slots; i++) {
        if (channel->members[i] != NULL) {
            deliver(self, channel->members[i]);
        }
    }
    channel->fanning_out--;
    hub_compact(channel);
    give_back(&forms);
    metric_add(channel->hub->metrics, HUB_METRIC_DELIVERIES, self->n_delivered);
    if (self->n_filtered + self->n_excluded > 0) {
        metric_add(channel->hub->metrics, HUB_METRIC_FILTERED, self->n_filtered);
        metric_add(channel->hub->metrics, HUB_METRIC_EXCLUDED, self->n_excluded);
    }
}

void hub_fan_out_publication(struct hub_channel *channel, const struct wire_publication *publication) {
    struct message message = {.publication = publication};
    struct fan_out self = {.channel = channel, .message = &message, .serial = ++channel->hub->last_serial};
    if (channel->n_delta_members == 0) {
        fan_out(&self);
        return;
    }
    hub_t *hub = channel->hub;
    self.has_patch = make_patch(channel, publication);
    fan_out(&self);
    if (self.has_patch) {
        metric_add(hub->metrics, HUB_METRIC_PATCH_BYTES_SAVED,
                   self.n_patches * (publication->data.size - hub->patch.size));
    }
    if (channel->n_delta_members > 0) {
        keep_as_base(channel, publication);
    }
}

void hub_fan_out_presence(struct hub_channel *channel, bool joined, const struct wire_client_info *info) {
    struct message message = {.joined = joined, .info = info};
    fan_out(&(struct fan_out){.channel = channel, .message = &message});
}

void hub_fan_out_lost(struct hub_channel *channel, const struct position *position) {
    hub_t *hub = channel->hub;
    uint32_t n_slots = channel->n_slots;
    hub_forget_delta_base(channel);
    channel->fanning_out++;
    for (uint32_t i = 0; i < n_slots; i++) {
        if (channel->members[i] != NULL) {
            hub->callbacks.on_lost(channel->members[i], position);
        }
    }
    channel->fanning_out--;
    hub_compact(channel);
}
