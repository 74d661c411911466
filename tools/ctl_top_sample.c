/* See ctl_top_parts.h: what top asks. Programs are asked for /health, /info and /metrics of their internal listeners,
 * the backend API for channels. Whatever does not answer is a line of the view. */
#include "tools/ctl_top_parts.h"

#include "base/clock.h"
#include "base/json_scan.h"
#include "tools/ctl_http.h"

#include <stdio.h>

enum { CHANNELS_EVERY = 5, CHANNELS_LIMIT = 10000, WAIT_MS = 1000, PROBE_MS = 1000 };

static struct json_value scan(struct span text) {
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value value;
    return json_scan(text, &limits, &value, NULL) == JSON_OK ? value : JSON_ABSENT;
}

/* ---- programs ---- */

static void take_text(struct json_value object, const char *name, char *ret_text, size_t size) {
    struct span text = SPAN_EMPTY;
    json_plain_string(json_member(object, name), &text);
    snprintf(ret_text, size, "%.*s", (int) text.size, (const char *) text.data);
}

/* False: why stands in the program's error. */
static bool get(const struct top *self, struct top_program *program, const char *path, struct ctl_page *page) {
    ctl_page_get(page, program->url, path, self->token);
    if (page->status == 401 || page->status == 403 || page->status == 429) {
        snprintf(program->error, sizeof program->error, "%u: it asks for its internal.token (--token-file)",
                 page->status);
        return false;
    }
    if (page->status == 0) {
        snprintf(program->error, sizeof program->error, "%s", page->error);
    }
    return page->status != 0;
}

static void take_info(struct top_program *program, struct span body) {
    struct json_value info = scan(body);
    struct json_value name;
    struct json_value finding;
    bool is_gateway = json_member(info, "gateway").type != JSON_NONE;
    take_text(info, is_gateway ? "gateway" : "broker", program->name, sizeof program->name);
    take_text(info, "version", program->version, sizeof program->version);
    snprintf(program->kind, sizeof program->kind, "%s", is_gateway ? "gateway" : "broker");
    program->n_findings = 0;
    struct json_iterator findings = json_iterate(json_member(info, "findings"));
    while (json_next(&findings, &name, &finding)) {
        program->n_findings++;
    }
}

static void take_metrics(struct top_program *program, struct span body) {
    double ignored;
    struct top_reading older = program->before;
    program->before = program->now;
    program->now = older;
    top_reading_take(&program->now, body, clock_monotonic_us());
    if (strcmp(program->kind, "gateway") == 0 &&
        top_reading_sum(&program->now, "callboard_broker_channels", NULL, &ignored)) {
        snprintf(program->kind, sizeof program->kind, "appliance");
    }
}

static void sample_program(struct top *self, struct top_program *program) {
    static const struct { const char *path; } pages[] = {{"/health"}, {"/info"}, {"/metrics"}};
    program->is_there = true;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0] && program->is_there; i++) {
        struct ctl_page page;
        program->is_there = get(self, program, pages[i].path, &page);
        if (program->is_there && i == 0) {
            take_text(scan(page.body), "status", program->status, sizeof program->status);
        } else if (program->is_there && i == 1) {
            take_info(program, page.body);
        } else if (program->is_there) {
            take_metrics(program, page.body);
        }
        ctl_page_finish(&page);
    }
    if (!program->is_there) {
        program->now.at_us = program->before.at_us = 0; /* rates begin anew when it is back */
    }
}

void top_sample_programs(struct top *self, bool (*is_over)(void)) {
    for (size_t i = 0; i < self->n_programs && !is_over(); i++) {
        sample_program(self, &self->programs[i]);
    }
    self->n_samples++;
}

/* ---- channels ---- */

/* Why stands in channels_error. */
static bool ask(struct top *self, const char *method, struct span params, struct backend_reply *ret_reply) {
    int wait_ms = self->options->timeout_ms < WAIT_MS ? self->options->timeout_ms : WAIT_MS;
    switch (backend_client_request(self->client, method, params, NULL, wait_ms, ret_reply)) {
    case BACKEND_OK:
        return true;
    case BACKEND_ERROR: {
        char text[128];
        take_text(scan(ret_reply->body), "message", text, sizeof text);
        snprintf(self->channels_error, sizeof self->channels_error, "%s: %s", method, text);
        return false;
    }
    case BACKEND_EVENT:
    case BACKEND_TIMEOUT:
    case BACKEND_PROTOCOL:
        break;
    }
    snprintf(self->channels_error, sizeof self->channels_error, "no answer from the backend API at %s",
             self->options->client.endpoint);
    return false;
}

/* Where it belongs among those with the most subscribers; what is known of it stays. */
static void place_channel(struct top_channel *channels, size_t *n, const struct top_channel *channel) {
    size_t at = *n;
    while (at > 0 && channels[at - 1].n_subscribers < channel->n_subscribers) {
        at--;
    }
    if (at == TOP_CHANNELS_MAX) {
        return;
    }
    size_t moved = *n - at - (*n == TOP_CHANNELS_MAX ? 1 : 0);
    memmove(&channels[at + 1], &channels[at], moved * sizeof *channels);
    channels[at] = *channel;
    *n += *n == TOP_CHANNELS_MAX ? 0 : 1;
}

static void keep_what_is_known(const struct top *self, struct top_channel *channel) {
    for (size_t i = 0; i < self->n_channels; i++) {
        if (strcmp(self->channels[i].name, channel->name) == 0) {
            uint64_t n_subscribers = channel->n_subscribers;
            *channel = self->channels[i];
            channel->n_subscribers = n_subscribers;
            return;
        }
    }
}

static bool take_channel(struct json_value name, struct json_value element, struct top_channel *ret_channel) {
    struct buffer text = BUFFER_EMPTY;
    *ret_channel = (struct top_channel){.name = ""};
    bool is_whole = json_decode_string(name, &text) && text.size > 0 && text.size <= TOP_NAME_MAX &&
                    json_to_u64(json_member(element, "num_clients"), &ret_channel->n_subscribers);
    if (is_whole) {
        memcpy(ret_channel->name, text.data, text.size);
    }
    buffer_finish(&text);
    return is_whole;
}

static bool list_channels(struct top *self) {
    struct top_channel found[TOP_CHANNELS_MAX];
    struct backend_reply reply;
    struct json_value name;
    struct json_value element;
    struct buffer params = BUFFER_EMPTY;
    size_t n = 0;
    buffer_append_format(&params, "{\"limit\":%d}", CHANNELS_LIMIT);
    bool is_there = ask(self, "channels", buffer_span(&params), &reply);
    buffer_finish(&params);
    if (!is_there) {
        return false;
    }
    self->n_channels_in_all = 0;
    struct json_iterator channels = json_iterate(json_member(scan(reply.body), "channels"));
    while (json_next(&channels, &name, &element)) {
        struct top_channel channel;
        self->n_channels_in_all++;
        if (take_channel(name, element, &channel)) {
            keep_what_is_known(self, &channel);
            place_channel(found, &n, &channel);
        }
    }
    memcpy(self->channels, found, n * sizeof *found);
    self->n_channels = n;
    return true;
}

/* Its position: how long that takes, and how far it went on since the last time. */
static void probe(struct top *self, struct top_channel *channel, struct buffer *params) {
    struct backend_reply reply;
    uint64_t offset;
    buffer_clear(params);
    buffer_append_char(params, '{');
    ctl_append_member(params, "channel", channel->name);
    buffer_append_text(params, ",\"limit\":0}");
    uint64_t begin_us = clock_monotonic_us();
    enum backend_outcome outcome =
        backend_client_request(self->client, "history", buffer_span(params), NULL, WAIT_MS, &reply);
    uint64_t end_us = clock_monotonic_us();
    bool has_position = outcome == BACKEND_OK && json_to_u64(json_member(scan(reply.body), "offset"), &offset);
    channel->has_answer = outcome == BACKEND_OK || outcome == BACKEND_TIMEOUT;
    channel->answer_us = end_us - begin_us;
    channel->has_rate = has_position && channel->has_position && offset >= channel->offset && end_us > channel->at_us;
    if (channel->has_rate) {
        channel->rate = (double) (offset - channel->offset) * 1e6 / (double) (end_us - channel->at_us);
    }
    channel->has_position = has_position;
    if (has_position) {
        channel->offset = offset;
        channel->at_us = end_us;
    }
}

void top_sample_channels(struct top *self, bool (*is_over)(void)) {
    struct buffer params = BUFFER_EMPTY;
    bool is_due = self->n_samples % CHANNELS_EVERY == 1 || self->channels_error[0] != '\0' || self->n_channels == 0;
    if (is_due) {
        self->channels_error[0] = '\0';
        if (!list_channels(self)) {
            self->n_channels = 0;
        }
    }
    uint64_t until_ms = clock_monotonic_ms() + PROBE_MS;
    for (size_t i = 0; i < self->n_channels && !is_over(); i++) {
        struct top_channel *channel = &self->channels[i];
        if (clock_monotonic_ms() < until_ms) {
            probe(self, channel, &params);
        } else {
            channel->has_answer = channel->has_rate = channel->has_position = false;
        }
    }
    buffer_finish(&params);
}
