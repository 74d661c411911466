/* See ctl_pages.h. */
#include "tools/ctl_pages.h"

#include "base/json_scan.h"

#include <stdio.h>

int ctl_pages_option(struct ctl_pages *self, const char *command, int option, const char *value) {
    if (option == 'a') {
        self->all = true;
    } else if (option == 'c') {
        self->cursor = value;
    } else if (!ctl_parse_number(value, 1, CTL_PAGE_MAX, &self->limit)) {
        return ctl_usage_error(command, "--limit takes a number from 1 to %d, not '%s'", CTL_PAGE_MAX, value);
    }
    return CTL_DONE;
}

static void append_comma(struct buffer *params) {
    if (params->size > 1) {
        buffer_append_char(params, ',');
    }
}

static void append_text(struct buffer *params, const char *name, struct span value) {
    append_comma(params);
    buffer_append_json_string(params, span_of_text(name));
    buffer_append_char(params, ':');
    buffer_append_json_string(params, value);
}

static void append_params(const struct ctl_pages *self, struct span cursor, struct buffer *params) {
    uint64_t limit = self->all && self->limit == 0 ? 1000 : self->limit;
    buffer_clear(params);
    buffer_append_char(params, '{');
    if (self->param[0] != '\0') {
        append_text(params, self->param, span_of_text(self->value));
    }
    if (limit > 0) {
        append_comma(params);
        buffer_append_format(params, "\"limit\":%llu", (unsigned long long) limit);
    }
    if (cursor.size > 0) {
        append_text(params, "cursor", cursor);
    }
    buffer_append_char(params, '}');
}

static void print_counts(const struct ctl_pages *self, struct span body) {
    struct json_value object;
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value name;
    struct json_value element;
    struct buffer line = BUFFER_EMPTY;
    if (json_scan(body, &limits, &object, NULL) == JSON_OK) {
        struct json_iterator elements = json_iterate(json_member(object, self->member));
        while (json_next(&elements, &name, &element)) {
            buffer_clear(&line);
            json_decode_string(name, &line);
            buffer_append_char(&line, '\t');
            buffer_append_span(&line, json_member(element, self->counts).text);
            ctl_print_line(buffer_span(&line));
        }
    }
    buffer_finish(&line);
}

static void print_page(const struct ctl_pages *self, const struct ctl_options *options, struct span body) {
    if (options->json) {
        ctl_print_line(body);
    } else if (self->counts != NULL) {
        print_counts(self, body);
    } else {
        ctl_print_elements(body, self->member);
    }
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
    for (;;) {
        struct backend_reply reply;
        append_params(self, buffer_span(cursor), params);
        int result = ctl_request(client, options, self->method, params, NULL, &reply);
        if (result != CTL_DONE) {
            return result;
        }
        print_page(self, options, reply.body);
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

int ctl_pages_print(const struct ctl_pages *self, const struct ctl_options *options, backend_client_t *client) {
    struct buffer cursor = BUFFER_EMPTY;
    struct buffer params = BUFFER_EMPTY;
    buffer_append_text(&cursor, self->cursor == NULL ? "" : self->cursor);
    int result = print_each(self, options, client, &cursor, &params);
    buffer_finish(&params);
    buffer_finish(&cursor);
    return result;
}
