/* See engine.h. */
#include "broker/engine.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"

const char *engine_outcome_text(enum engine_outcome outcome) {
    switch (outcome) {
    case ENGINE_OK:
        return "ok";
    case ENGINE_TEMPORARY:
        return "temporary";
    case ENGINE_FULL:
        return "full";
    case ENGINE_UNKNOWN:
        return "unknown";
    case ENGINE_KEY_REUSED:
        return "key reused";
    case ENGINE_TOO_LARGE:
        return "too large";
    case ENGINE_CORRUPT:
        return "corrupt";
    case ENGINE_DENIED:
        return "denied";
    case ENGINE_CANCELLED:
        return "cancelled";
    }
    unreachable("engine outcome %d", (int) outcome);
}

uint64_t engine_lease_number(void) {
    return (uint64_t) clock_wall_ms() * 1000 + random_u64() % 1000;
}

enum engine_outcome engine_not_encoded(const struct engine_append *request, size_t limit) {
    size_t size = WIRE_PUBLICATION_OVERHEAD + request->data.size + request->info.size + request->tags.size;
    return size > limit ? ENGINE_TOO_LARGE : ENGINE_FULL;
}
