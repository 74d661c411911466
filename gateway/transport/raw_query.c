/* The channel's name is judged with all others, by its namespace. Parameters that are not ours are passed over; one of
 * ours that stands twice, or says nothing we know, is refused, for a mistake there would else be a gap nobody sees. */
#include "gateway/transport/raw_query.h"

enum { PARAMETER_MAX = 4096 };

static const char path_begin[] = "/ws/";

struct parameters {
    struct span channel, token, since, epoch, last, mode, envelope;
};

bool raw_path_is(struct span path) {
    size_t begin = sizeof path_begin - 1;
    return path.size > begin && memcmp(path.data, path_begin, begin) == 0;
}

static struct span *find(struct parameters *self, struct span name) {
    const struct {
        const char *name;
        struct span *place;
    } known[] = {{"token", &self->token}, {"since", &self->since}, {"epoch", &self->epoch},
                 {"last", &self->last},   {"mode", &self->mode},   {"envelope", &self->envelope}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (span_equal_text(name, known[i].name)) {
            return known[i].place;
        }
    }
    return NULL;
}

/* The texts are copied one behind another into storage, which does not move: it has room for all of the headers. */
static struct span keep(struct buffer *storage, struct span text) {
    size_t at = storage->size;
    buffer_append_span(storage, text);
    return span_of(storage->data + at, text.size);
}

static bool take(struct parameters *self, struct buffer *storage, struct span parameter) {
    const uint8_t *sign = parameter.size == 0 ? NULL : memchr(parameter.data, '=', parameter.size);
    size_t size = sign == NULL ? parameter.size : (size_t) (sign - parameter.data);
    struct span *place = find(self, span_of(parameter.data, size));
    if (place == NULL) {
        return true;
    }
    if (sign == NULL || place->data != NULL) {
        return false;
    }
    *place = keep(storage, span_of(sign + 1, parameter.size - size - 1));
    return !storage->overflow;
}

static bool read_number(struct span text, uint64_t most, uint64_t *ret_number) {
    *ret_number = 0;
    return text.data == NULL || (span_parse_u64(text, ret_number) && *ret_number <= most);
}

static bool judge(struct raw_query *self, const struct parameters *given) {
    struct session_raw_options *options = &self->options;
    uint64_t last;
    bool only_reads = span_equal_text(given->mode, "read");
    bool only_writes = span_equal_text(given->mode, "write");
    *options = (struct session_raw_options){.channel = given->channel,
                                            .token = given->token,
                                            .reads = !only_writes,
                                            .writes = !only_reads,
                                            .has_since = given->since.data != NULL,
                                            .since.epoch = epoch_from(given->epoch)};
    if (!read_number(given->since, OFFSET_MAX, &options->since.offset) ||
        !read_number(given->last, UINT32_MAX, &last)) {
        return false;
    }
    options->last = (uint32_t) last;
    self->envelope = span_equal_text(given->envelope, "1");
    bool is_known_mode = given->mode.data == NULL || only_reads || only_writes;
    bool is_known_envelope = given->envelope.data == NULL || self->envelope || span_equal_text(given->envelope, "0");
    return is_known_mode && is_known_envelope && !(options->has_since && last > 0);
}

bool raw_query_read(struct raw_query *self, struct span path, int (*next)(void *context, int i, char *text, int size),
                    void *context) {
    static const size_t begin = sizeof path_begin - 1;
    char text[PARAMETER_MAX];
    struct parameters given = {.token = SPAN_EMPTY};
    *self = (struct raw_query){.envelope = false};
    buffer_init(&self->storage, PARAMETER_MAX);
    bool is_sound = buffer_reserve(&self->storage, PARAMETER_MAX);
    given.channel = keep(&self->storage, span_of(path.data + begin, path.size - begin));
    int size = 0;
    for (int i = 0; is_sound && (size = next(context, i, text, sizeof text)) > 0; i++) {
        is_sound = take(&given, &self->storage, span_of(text, (size_t) size));
    }
    if (!is_sound || size < 0 || !judge(self, &given)) {
        raw_query_finish(self);
        return false;
    }
    return true;
}

void raw_query_finish(struct raw_query *self) {
    buffer_finish(&self->storage);
}
