/* Finds what a publication has in common with the one before it.
 *
 * Happy path: what both begin with and what both end with are two copies; most edits of a document leave only a few
 * bytes between. For the rest, the base's blocks of 16 bytes are indexed by a hash, a hash rolls over the target, and
 * where a block is met the match is extended in both directions. What is matched nowhere is inserted.
 *
 * Failure modes: none that anybody sees: where the patch does not get shorter than the target, it is given up and the
 * target travels whole. Work is bounded: candidates for one place are CANDIDATES_MAX, and what was matched is not
 * looked at again. */
#include "gateway/protocol/delta.h"

enum {
    BLOCK = 16,
    CANDIDATES_MAX = 16,
    COPY_MIN = 8, /* a shorter match costs what it saves: "count@offset," and the header of one insert more */
    DIGITS_MAX = 11,
};
#define HASH_FACTOR   UINT32_C(0x01000193)
#define SIZE_MAX_HERE ((size_t) 1 << 30) /* places in the index are 32 bits wide */

struct encoder {
    struct span base;
    struct span target;
    bool is_text;
    size_t done; /* of the target, written */
    struct buffer *out;
    /* blocks of the base: the last one of each hash, and for each block the one before it of the same hash; numbers + 1
     */
    uint32_t *heads;
    uint32_t *earlier;
    unsigned shift; /* hash → index of heads */
};

struct match {
    size_t at; /* in the target */
    size_t base_at;
    size_t size;
};

/* ---- writing ---- */

static void put_number(struct buffer *out, uint64_t value) {
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
    char text[DIGITS_MAX];
    size_t at = DIGITS_MAX;
    do {
        text[--at] = digits[value & 63];
        value >>= 6;
    } while (value > 0);
    buffer_append(out, text + at, DIGITS_MAX - at);
}

static void put_insert_up_to(struct encoder *self, size_t end) {
    if (end > self->done) {
        put_number(self->out, end - self->done);
        buffer_append_char(self->out, ':');
        buffer_append(self->out, self->target.data + self->done, end - self->done);
        self->done = end;
    }
}

static void put_copy(struct encoder *self, const struct match *match) {
    put_insert_up_to(self, match->at);
    put_number(self->out, match->size);
    buffer_append_char(self->out, '@');
    put_number(self->out, match->base_at);
    buffer_append_char(self->out, ',');
    self->done = match->at + match->size;
}

static uint32_t checksum(struct span bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        sum += (uint32_t) bytes.data[i] << (8 * (3 - (i & 3)));
    }
    return sum;
}

/* ---- characters ---- */

/* Does a character begin there, or the text end? */
static bool is_boundary(const struct encoder *self, size_t at) {
    return !self->is_text || at == self->target.size || (self->target.data[at] & 0xc0) != 0x80;
}

/* Shrinks a match until it covers whole characters; inserts then do so too. */
static void align(const struct encoder *self, struct match *match) {
    while (match->size > 0 && !is_boundary(self, match->at)) {
        match->at++;
        match->base_at++;
        match->size--;
    }
    while (match->size > 0 && !is_boundary(self, match->at + match->size)) {
        match->size--;
    }
}

/* ---- what both begin and end with ---- */

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static struct match find_prefix(const struct encoder *self) {
    size_t most = smaller(self->base.size, self->target.size);
    struct match match = {.size = 0};
    while (match.size < most && self->base.data[match.size] == self->target.data[match.size]) {
        match.size++;
    }
    align(self, &match);
    return match;
}

/* Behind the prefix. */
static struct match find_suffix(const struct encoder *self, size_t prefix) {
    size_t most = smaller(self->base.size, self->target.size) - prefix;
    struct match match = {.size = 0};
    while (match.size < most &&
           self->base.data[self->base.size - 1 - match.size] == self->target.data[self->target.size - 1 - match.size]) {
        match.size++;
    }
    match.at = self->target.size - match.size;
    match.base_at = self->base.size - match.size;
    align(self, &match);
    return match;
}

/* ---- what stands elsewhere ---- */

static uint32_t hash_block(const uint8_t *at) {
    uint32_t hash = 0;
    for (unsigned i = 0; i < BLOCK; i++) {
        hash = hash * HASH_FACTOR + at[i];
    }
    return hash;
}

/* The factor of the byte that leaves. */
static uint32_t leaving_factor(void) {
    uint32_t factor = 1;
    for (unsigned i = 1; i < BLOCK; i++) {
        factor *= HASH_FACTOR;
    }
    return factor;
}

static uint32_t index_of(const struct encoder *self, uint32_t hash) {
    return (hash * UINT32_C(0x9E3779B1)) >> self->shift;
}

/* False: no memory for it. */
static bool index_base(struct encoder *self, struct buffer *scratch) {
    size_t n_blocks = self->base.size / BLOCK;
    size_t n_heads = 64;
    self->shift = 32 - 6;
    while (n_heads < n_blocks) {
        n_heads *= 2;
        self->shift--;
    }
    buffer_clear(scratch);
    if (!buffer_reserve(scratch, (n_heads + n_blocks) * sizeof(uint32_t))) {
        return false;
    }
    self->heads = (uint32_t *) (void *) scratch->data;
    self->earlier = self->heads + n_heads;
    memset(self->heads, 0, n_heads * sizeof(uint32_t));
    for (uint32_t block = 0; block < n_blocks; block++) {
        uint32_t *head = &self->heads[index_of(self, hash_block(self->base.data + (size_t) block * BLOCK))];
        self->earlier[block] = *head;
        *head = block + 1;
    }
    return true;
}

/* Around equal blocks, as far as both go and nothing is written twice. */
static struct match extend(const struct encoder *self, size_t at, size_t base_at, size_t end) {
    size_t size = BLOCK;
    while (at + size < end && base_at + size < self->base.size &&
           self->target.data[at + size] == self->base.data[base_at + size]) {
        size++;
    }
    while (at > self->done && base_at > 0 && self->target.data[at - 1] == self->base.data[base_at - 1]) {
        at--;
        base_at--;
        size++;
    }
    struct match match = {at, base_at, size};
    align(self, &match);
    return match;
}

static struct match find_match(const struct encoder *self, size_t at, uint32_t hash, size_t end) {
    struct match best = {.size = 0};
    uint32_t next = self->heads[index_of(self, hash)];
    for (unsigned i = 0; next != 0 && i < CANDIDATES_MAX; i++) {
        size_t base_at = (size_t) (next - 1) * BLOCK;
        if (memcmp(self->target.data + at, self->base.data + base_at, BLOCK) == 0) {
            struct match match = extend(self, at, base_at, end);
            best = match.size > best.size ? match : best;
        }
        next = self->earlier[next - 1];
    }
    return best;
}

/* Copies what of the target up to `end` stands anywhere in the base. Leaves when the patch has become too long. */
static void encode_middle(struct encoder *self, size_t end, struct buffer *scratch) {
    if (self->base.size < BLOCK || end - self->done < BLOCK || !index_base(self, scratch)) {
        return;
    }
    const uint32_t leaving = leaving_factor();
    size_t at = self->done;
    uint32_t hash = hash_block(self->target.data + at);
    while (self->out->size < self->target.size) {
        struct match match = find_match(self, at, hash, end);
        bool is_worth_it = match.size >= COPY_MIN;
        if (is_worth_it) {
            put_copy(self, &match);
            at = self->done;
        }
        if (end - at < BLOCK + (is_worth_it ? 0 : 1)) {
            return;
        }
        if (is_worth_it) {
            hash = hash_block(self->target.data + at);
        } else {
            hash = (hash - self->target.data[at] * leaving) * HASH_FACTOR + self->target.data[at + BLOCK];
            at++;
        }
    }
}

bool delta_encode(struct span base, struct span target, bool is_text, struct buffer *scratch,
                  struct buffer *ret_patch) {
    struct encoder self = {.base = base, .target = target, .is_text = is_text, .out = ret_patch};
    buffer_clear(ret_patch);
    if (base.size == 0 || base.size > SIZE_MAX_HERE || target.size > SIZE_MAX_HERE) {
        return false;
    }
    put_number(ret_patch, target.size);
    buffer_append_char(ret_patch, '\n');
    struct match prefix = find_prefix(&self);
    struct match suffix = find_suffix(&self, prefix.size);
    if (prefix.size >= COPY_MIN) {
        put_copy(&self, &prefix);
    }
    bool has_suffix = suffix.size >= COPY_MIN;
    encode_middle(&self, has_suffix ? suffix.at : target.size, scratch);
    if (has_suffix) {
        put_copy(&self, &suffix);
    }
    put_insert_up_to(&self, target.size);
    put_number(ret_patch, checksum(target));
    buffer_append_char(ret_patch, ';');
    return !ret_patch->overflow && ret_patch->size < target.size;
}
