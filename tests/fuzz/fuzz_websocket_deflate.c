/* A compressed message of a client, and a list of offers: inflating ends within the limit, says the same again, and
 * what it made comes back when it is compressed; a list that is agreed on has an offer. */
#include "base/check.h"
#include "gateway/transport/websocket_deflate.h"
#include "gateway/transport/websocket_offers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 16384 };

static enum websocket_inflated inflate_one(websocket_deflate_t *deflate, struct span bytes,
                                           struct buffer *ret_message) {
    buffer_init(ret_message, LIMIT);
    enum websocket_inflated outcome = websocket_inflate_message(deflate, bytes, ret_message);
    check(ret_message->size <= LIMIT, "%zu bytes", ret_message->size);
    return outcome;
}

static void check_round_trip(websocket_deflate_t *deflate, struct span message) {
    struct buffer compressed = BUFFER_EMPTY;
    struct buffer again;
    if (websocket_deflate_message(deflate, message, &compressed)) {
        check(compressed.size < message.size, "%zu bytes of %zu", compressed.size, message.size);
        check(inflate_one(deflate, buffer_span(&compressed), &again) == WEBSOCKET_INFLATED &&
                  span_equal(buffer_span(&again), message),
              "it does not come back");
        buffer_finish(&again);
    }
    buffer_finish(&compressed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span bytes = span_of(data, size);
    struct websocket_agreement agreement;
    struct buffer first;
    struct buffer second;
    check(!websocket_offers_choose(bytes, &agreement) || agreement.n_offers > 0, "agreed on nothing");
    websocket_deflate_t *deflate = websocket_deflate_new();
    enum websocket_inflated outcome = inflate_one(deflate, bytes, &first);
    check(inflate_one(deflate, bytes, &second) == outcome, "another outcome the second time");
    check(outcome != WEBSOCKET_INFLATED || span_equal(buffer_span(&first), buffer_span(&second)), "another message");
    if (outcome == WEBSOCKET_INFLATED) {
        check_round_trip(deflate, buffer_span(&first));
    }
    check_round_trip(deflate, bytes);
    buffer_finish(&first);
    buffer_finish(&second);
    websocket_deflate_destroy(&deflate);
    return 0;
}
