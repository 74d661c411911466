/* See gateway_parts.h. Presence of the sessions of a gateway, as gateway/hub_presence.c keeps it: set over the
 * channel's handle, told again where the handle is new or a broker asks (RESYNC), cleared when its session leaves, or
 * as soon as there is a handle again, and once more where the broker that was told may have forgotten
 * (gateway/hub_departures.c). What brokers tell of members, JOIN and LEAVE, is counted a gateway; a question
 * asks a broker who is there. */
#include "tests/simulation/gateway_parts.h"

#include "base/check.h"
#include "base/partition.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- setting ---- */

struct name {
    char text[32];
};

/* A user is named by his session, a client by that and by when it came: it is another one each time. */
static struct name user_of(int session) {
    struct name name;
    snprintf(name.text, sizeof name.text, "u%d", session);
    return name;
}

static struct name client_name(int session, uint32_t client) {
    struct name name;
    snprintf(name.text, sizeof name.text, "s%d.%u", session, client);
    return name;
}

static int session_of(struct span info_bytes) {
    struct wire_client_info info;
    char text[32];
    check(wire_read_client_info(info_bytes, &info) && info.client.size > 1, "a member's info");
    snprintf(text, sizeof text, "%.*s", (int) info.client.size - 1, (const char *) info.client.data + 1);
    return atoi(text);
}

static bool has_live_handle(const struct feed *feed) {
    return feed->handle != 0 && feed->lane->is_up &&
           (feed->machine.state == SUBSCRIPTION_LIVE || feed->machine.state == SUBSCRIPTION_LAGGING);
}

static void send_set(struct feed *feed, int session, bool is_silent) {
    struct name client = client_name(session, feed->members[session].client);
    struct name user = user_of(session);
    struct buffer info = BUFFER_EMPTY;
    struct wire_client_info parts = {.user = span_of_text(user.text), .client = span_of_text(client.text)};
    check(wire_append_client_info(&info, &parts), "a member's info");
    struct wire_presence_set frame = {.handle = feed->handle, .info = buffer_span(&info)};
    frame.flags = (uint8_t) (WIRE_PRESENCE_JOIN_LEAVE | (is_silent ? WIRE_PRESENCE_RESYNC : 0));
    lane_frame_added(feed->lane, wire_encode_presence_set(lane_batch(feed->lane), &frame));
    buffer_finish(&info);
}

static void send_clear(struct feed *feed, const struct departure *departure) {
    struct name client = client_name(departure->session, departure->client);
    struct name user = user_of(departure->session);
    struct wire_presence_clear frame = {
        .handle = feed->handle, .client = span_of_text(client.text), .user = span_of_text(user.text)};
    lane_frame_added(feed->lane, wire_encode_presence_clear(lane_batch(feed->lane), &frame));
}

void member_show(struct feed *feed, int session) {
    struct member *member = &feed->members[session];
    if (!member->shows || member->is_shown || !member->is_here || member->waits) {
        return;
    }
    member->is_shown = true;
    member->client = ++gateway_world.last_client;
    if (has_live_handle(feed)) {
        send_set(feed, session, false);
    }
}

static void forget_departures(struct feed *feed) {
    unsigned n = 0;
    for (unsigned i = 0; i < feed->n_departures; i++) {
        if (feed->departures[i].is_owed || feed->departures[i].at_us + GRACE_US > sim_now_us()) {
            feed->departures[n++] = feed->departures[i];
        }
    }
    feed->n_departures = n;
}

void member_hide(struct feed *feed, int session) {
    struct member *member = &feed->members[session];
    if (!member->is_shown) {
        return;
    }
    member->is_shown = false;
    forget_departures(feed);
    check(feed->n_departures < DEPARTURES_MAX, "departures");
    struct departure *departure = &feed->departures[feed->n_departures++];
    *departure = (struct departure){session, member->client, !has_live_handle(feed), sim_now_us()};
    if (!departure->is_owed) {
        send_clear(feed, departure);
    }
}

bool members_owe_clears(const struct feed *feed) {
    for (unsigned i = 0; i < feed->n_departures; i++) {
        if (feed->departures[i].is_owed) {
            return true;
        }
    }
    return false;
}

static void owe_again(struct feed *feed) {
    forget_departures(feed);
    for (unsigned i = 0; i < feed->n_departures; i++) {
        feed->departures[i].is_owed = true;
    }
}

static void tell_again(struct feed *feed) {
    for (int i = 0; i < SESSIONS_MAX; i++) {
        if (feed->members[i].is_shown) {
            send_set(feed, i, true);
        }
    }
}

void members_renew(struct feed *feed, bool is_anew) {
    if (!has_live_handle(feed)) {
        return;
    }
    if (is_anew) {
        owe_again(feed);
    }
    for (unsigned i = 0; i < feed->n_departures; i++) {
        struct departure *departure = &feed->departures[i];
        if (departure->is_owed) {
            departure->is_owed = false;
            departure->at_us = sim_now_us();
            send_clear(feed, departure);
        }
    }
    if (is_anew) {
        tell_again(feed);
    }
}

static void clear_again(struct feed *feed) {
    owe_again(feed);
    members_renew(feed, false);
    if (members_owe_clears(feed) && feed->machine.state == SUBSCRIPTION_NONE) {
        feed_occur_plainly(feed, SUBSCRIPTION_WANTED);
    }
}

void members_on_cut(struct lane *lane) {
    struct gateway *gateway = gateway_of(lane);
    for (int i = 0; !gateway->is_dead && i < checker_channels(); i++) {
        clear_again(&gateway->feeds[i]);
    }
}

void gateway_show(int gateway, int session, const char *channel) {
    int number = checker_find_channel(span_of_text(channel));
    for (int i = 0; i < gateway_world.n; i++) {
        gateway_world.gateways[i].feeds[number].members[session].shows = true;
    }
    member_show(&gateway_world.gateways[gateway].feeds[number], session);
}

uint64_t gateways_shown(const char *channel) {
    int number = checker_find_channel(span_of_text(channel));
    uint64_t shown = 0;
    for (int i = 0; i < gateway_world.n; i++) {
        for (int j = 0; j < checker_sessions(); j++) {
            shown |= (uint64_t) gateway_world.gateways[i].feeds[number].members[j].is_shown << j;
        }
    }
    return shown;
}

/* ---- what brokers say ---- */

static bool is_asked(const struct wire_resync *resync, uint32_t partition, bool is_elsewhere) {
    struct cursor cursor = cursor_of(resync->partitions);
    for (uint32_t i = 0; i < resync->n; i++) {
        uint32_t named = cursor_u32(&cursor);
        if ((named & ~WIRE_RESYNC_EVERYWHERE) == partition && (named != partition || !is_elsewhere)) {
            return true;
        }
    }
    return resync->n == 0 && !is_elsewhere;
}

void members_on_resync(struct lane *lane, struct span body) {
    struct wire_resync resync;
    check(wire_decode_resync(body, &resync), "a malformed RESYNC");
    struct gateway *gateway = gateway_of(lane);
    for (int i = 0; i < checker_channels(); i++) {
        struct feed *feed = &gateway->feeds[i];
        uint32_t partition = partition_of(span_of_text(checker_channel_name(i)), BROKER_PARTITIONS);
        if (!is_asked(&resync, partition, feed->handle != 0 && feed->lane != lane)) {
            continue;
        }
        clear_again(feed);
        if (feed->handle != 0 && has_live_handle(feed)) {
            tell_again(feed);
        }
    }
}

void members_on_told(struct feed *feed, bool has_joined, struct span info) {
    int session = session_of(info);
    struct member_news *news = &gateway_world.gateways[feed->gateway].news[session];
    sim_trace(gateway_world.gateways[feed->gateway].id, "is told by broker-%c: %s of session %d in %s",
              'a' + feed->lane->broker, has_joined ? "JOIN" : "LEAVE", session, checker_channel_name(feed->channel));
    news->joins += has_joined;
    news->leaves += !has_joined;
}

struct member_news gateway_news(int gateway, int session) {
    return gateway_world.gateways[gateway].news[session];
}

/* ---- questions ---- */

bool gateway_ask_members(int number, int broker, const char *channel) {
    struct gateway *gateway = &gateway_world.gateways[number];
    struct lane *lane = &gateway->lanes[broker];
    gateway->question = (struct question){.request = 0};
    if (!lane->is_up) {
        return false;
    }
    gateway->question.request = ++gateway->last_request;
    struct wire_presence frame = {.request = gateway->question.request, .channel = span_of_text(channel)};
    lane_frame_added(lane, wire_encode_presence(lane_batch(lane), &frame));
    return true;
}

void members_on_result(struct lane *lane, struct span body) {
    struct wire_result result;
    check(wire_decode_result(body, &result), "a malformed RESULT");
    struct question *question = &gateway_of(lane)->question;
    if (question->request == 0 || result.request != question->request) {
        return;
    }
    struct cursor cursor = cursor_of(result.bytes);
    for (uint32_t i = 0; i < result.n; i++) {
        uint64_t session = (uint64_t) 1 << session_of(cursor_sized(&cursor));
        question->has_ghost = question->has_ghost || (question->sessions & session) != 0;
        question->sessions |= session;
    }
    check(cursor_is_done(&cursor), "members of a RESULT");
    question->request = 0;
    question->is_answered = true;
}

bool gateway_members(int gateway, uint64_t *ret_sessions) {
    *ret_sessions = gateway_world.gateways[gateway].question.sessions;
    return gateway_world.gateways[gateway].question.is_answered && !gateway_world.gateways[gateway].question.has_ghost;
}
