/* Commands of the HTTP API: whatever the JSON, it is refused with a reason, or what was read lies inside what came and
 * what was decoded. Read once for each method's parameters. */
#include "base/channel_name.h"
#include "base/wire.h"
#include "gateway/http_api/http_api_params.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static bool is_in(struct span part, struct span whole) {
    return part.size == 0 || (part.data >= whole.data && part.data + part.size <= whole.data + whole.size);
}

static void check_tags(struct span tags) {
    struct cursor cursor = cursor_of(tags);
    struct wire_tag tag;
    while (wire_next_tag(&cursor, &tag)) {
        require(tag.key.size <= HTTP_API_KEY_MAX && tag.value.size <= HTTP_API_TAG_MAX);
    }
    require(!cursor.failed);
}

static void check_params(const struct http_api_params *params, unsigned wanted, struct span input, struct span text) {
    require(is_in(params->channel, text) && is_in(params->key, text) && is_in(params->version_epoch, text));
    require(is_in(params->data, params->is_binary ? text : input));
    require((wanted & HTTP_API_CHANNEL) == 0 || channel_name_check(params->channel) == CHANNEL_NAME_OK);
    require((wanted & HTTP_API_CHANNELS) == 0 || params->channels.type == JSON_ARRAY);
    require((wanted & HTTP_API_DATA) == 0 || params->is_binary || params->data.size > 0);
    require(params->key.size <= HTTP_API_KEY_MAX && params->version_epoch.size <= WIRE_VERSION_EPOCH_MAX);
    require(params->version <= OFFSET_MAX && params->since.offset <= OFFSET_MAX);
    check_tags(params->tags);
}

static void read_channels(struct json_value channels, struct buffer *text) {
    struct http_api_refusal refusal;
    struct json_iterator iterator = json_iterate(channels);
    struct json_value name;
    struct json_value value;
    while (json_next(&iterator, &name, &value)) {
        struct span channel;
        refusal.message[0] = '\0';
        if (http_api_channel_read(value, "channels", text, &channel, &refusal)) {
            require(channel_name_check(channel) == CHANNEL_NAME_OK);
        } else {
            require(refusal.message[0] != '\0');
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const unsigned methods[] = {
        HTTP_API_CHANNEL | HTTP_API_DATA | HTTP_API_PUBLISHING,
        HTTP_API_CHANNELS | HTTP_API_DATA | HTTP_API_PUBLISHING,
        HTTP_API_CHANNEL | HTTP_API_SINCE | HTTP_API_PAGE,
        HTTP_API_CHANNEL,
        0,
    };
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value object;
    struct span input = span_of(data, size);
    if (json_scan(input, &limits, &object, NULL) != JSON_OK) {
        return 0;
    }
    struct buffer text = BUFFER_EMPTY;
    struct buffer tags = BUFFER_EMPTY;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        struct http_api_params params;
        struct http_api_refusal refusal = {.code = ERROR_NONE};
        if (http_api_params_read(object, methods[i], &text, &tags, &params, &refusal)) {
            check_params(&params, methods[i], input, buffer_span(&text));
            if ((methods[i] & HTTP_API_CHANNELS) != 0) {
                read_channels(params.channels, &text);
            }
        } else {
            require(refusal.code != ERROR_NONE && refusal.message[0] != '\0');
        }
    }
    buffer_finish(&text);
    buffer_finish(&tags);
    return 0;
}
