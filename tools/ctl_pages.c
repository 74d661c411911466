/* See ctl_pages.h. */
#include "tools/ctl_pages.h"
#include "tools/ctl_terminal.h"

#include "base/json_scan.h"

#include <stdio.h>

static void append_params(const struct ctl_pages *self, struct span cursor, struct buffer *params) {
    uint64_t limit = self->all && self->limit == 0 ? 1000 : self->limit;
    buffer_clear(params);
    buffer_append_char(params, '{');
    ctl_append_member(params, self->param, self->value);
    if (limit > 0) {
        buffer_append_format(params, "%s\"limit\":%llu", params->size > 1 ? "," : "", (unsigned long long) limit);
    }
    if (cursor.size > 0) {
        buffer_append_text(params, params->size > 1 ? ",\"cursor\":" : "\"cursor\":");
        buffer_append_json_string(params, cursor);
    }
    buffer_append_char(params, '}');
}

static size_t print_counts(const struct ctl_pages *self, struct span body) {
    size_t n = 0;
    struct json_value object;
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value name;
    struct json_value element;
    struct buffer line = BUFFER_EMPTY;
    if (json_scan(body, &limits, &object, NULL) == JSON_OK) {
        struct json_iterator elements = json_iterate(json_member(object, self->member));
        for (; json_next(&elements, &name, &element); n++) {
            buffer_clear(&line);
            json_decode_string(name, &line);
            buffer_append_char(&line, '\t');
            buffer_append_span(&line, json_member(element, self->counts).text);
            ctl_print_line(buffer_span(&line));
        }
    }
    buffer_finish(&line);
    return n;
}

/* How many were printed. */
static size_t print_page(const struct ctl_pages *self, const struct ctl_options *options, struct span body) {
    if (options->json) {
        ctl_print_line(body);
        return 1;
    }
    return self->counts != NULL ? print_counts(self, body) : ctl_print_elements(body, self->member);
}

/* The cursor of the next page; empty: that was the last. */
static void take_cursor(struct span body, struct buffer *cursor) {
    struct json_value object;
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    buffer_clear(cursor);
    if (json_scan(body, &limits, &object, NULL) == JSON_OK) {
        json_decode_string(json_member(object, "cursor"), cursor);
    }
}

static int print_each(const struct ctl_pages *self, const struct ctl_options *options, backend_client_t *client,
                      struct buffer *cursor, struct buffer *params) {
    bool shows_progress = self->all && !ctl_is_terminal(stdout); /* else the lines themselves do */
    for (size_t n = 0;;) {
        struct backend_reply reply;
        append_params(self, buffer_span(cursor), params);
        int result = ctl_request(client, options, self->method, params, NULL, &reply);
        if (result != CTL_DONE) {
            return result;
        }
        n += print_page(self, options, reply.body);
        if (shows_progress) {
            ctl_progress("%zu %s printed", n, options->json ? "pages" : "lines");
        }
        take_cursor(reply.body, cursor);
        if (cursor->size == 0) {
            return CTL_DONE;
        }
        if (!self->all) {
            fprintf(stderr, "there are more: --cursor %.*s\n", (int) cursor->size, (const char *) cursor->data);
            return CTL_DONE;
        }
    }
}

int ctl_pages_print(const struct ctl_pages *self, const struct ctl_options *options) {
    struct buffer cursor = BUFFER_EMPTY;
    struct buffer params = BUFFER_EMPTY;
    backend_client_t *client = ctl_connect(options);
    int result = CTL_USAGE;
    buffer_append_text(&cursor, self->cursor == NULL ? "" : self->cursor);
    if (client != NULL) {
        result = print_each(self, options, client, &cursor, &params);
        ctl_progress_end();
    }
    backend_client_destroy(&client);
    buffer_finish(&params);
    buffer_finish(&cursor);
    return result;
}
