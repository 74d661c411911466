/* See http_api_keys.h. The rate is a theoretical arrival time: each request moves it on by 1/rate, and it may lie
 * BURST_SECONDS in the future at most. */
#include "gateway/http_api/http_api_keys.h"

#include "base/channel_name.h"
#include "base/check.h"
#include "base/memory.h"
#include "gateway/http_api/http_api_key_options.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

enum { HASH_BYTES = 32, US_PER_SECOND = 1000000, BURST_SECONDS = 2 };

struct http_api_key {
    http_api_keys_t *keys;
    char *name;
    uint8_t hashes[HTTP_API_HASHES_MAX][HASH_BYTES];
    size_t n_hashes;
    char **methods;
    size_t n_methods;
    char **channels;
    size_t n_channels;
    uint64_t per_second;
    uint64_t next_us;
};

struct http_api_keys {
    uint32_t n_references;
    size_t n;
    struct http_api_key keys[];
};

static uint8_t hex_value(char digit) {
    return (uint8_t) (digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* The settings were verified: 64 digits. */
static void read_hash(const char *text, uint8_t *ret_hash) {
    for (size_t i = 0; i < HASH_BYTES; i++) {
        ret_hash[i] = (uint8_t) (hex_value(text[2 * i]) * 16 + hex_value(text[2 * i + 1]));
    }
}

static char **copy_texts(const struct config_text_list *list) {
    char **texts = memory_alloc_array(list->n + 1, sizeof(char *));
    for (size_t i = 0; i < list->n; i++) {
        texts[i] = memory_strdup(list->texts[i]);
    }
    return texts;
}

static void free_texts(char **texts, size_t n) {
    for (size_t i = 0; i < n; i++) {
        memory_free(texts[i]);
    }
    memory_free(texts);
}

http_api_keys_t *http_api_keys_new(const struct config_section_list *list) {
    http_api_keys_t *self = memory_alloc_zero(sizeof *self + list->n * sizeof self->keys[0]);
    const struct http_api_key_options *items = list->items;
    self->n_references = 1;
    self->n = list->n;
    for (size_t i = 0; i < list->n; i++) {
        struct http_api_key *key = &self->keys[i];
        key->keys = self;
        key->name = memory_strdup(items[i].name);
        key->n_hashes = items[i].hashes.n;
        check(key->n_hashes <= HTTP_API_HASHES_MAX, "a key with %zu hashes", key->n_hashes);
        for (size_t j = 0; j < key->n_hashes; j++) {
            read_hash(items[i].hashes.texts[j], key->hashes[j]);
        }
        key->n_methods = items[i].methods.n;
        key->methods = copy_texts(&items[i].methods);
        key->n_channels = items[i].channels.n;
        key->channels = copy_texts(&items[i].channels);
        key->per_second = (uint64_t) items[i].rate;
    }
    return self;
}

static void release(http_api_keys_t *self) {
    self->n_references--;
    if (self->n_references > 0) {
        return;
    }
    for (size_t i = 0; i < self->n; i++) {
        memory_free(self->keys[i].name);
        free_texts(self->keys[i].methods, self->keys[i].n_methods);
        free_texts(self->keys[i].channels, self->keys[i].n_channels);
    }
    memory_free(self);
}

void http_api_keys_destroy(http_api_keys_t **self_p) {
    if (*self_p != NULL) {
        release(*self_p);
    }
    *self_p = NULL;
}

void http_api_key_release(http_api_key_t **self_p) {
    if (*self_p != NULL) {
        release((*self_p)->keys);
    }
    *self_p = NULL;
}

http_api_key_t *http_api_keys_find(http_api_keys_t *self, struct span presented) {
    uint8_t hash[HASH_BYTES];
    http_api_key_t *found = NULL;
    if (presented.size < HTTP_API_KEY_TEXT_MIN || presented.size > HTTP_API_KEY_TEXT_MAX) {
        return NULL;
    }
    check(EVP_Digest(presented.data, presented.size, hash, NULL, EVP_sha256(), NULL) == 1, "SHA-256");
    for (size_t i = 0; i < self->n; i++) {
        for (size_t j = 0; j < self->keys[i].n_hashes; j++) {
            if (CRYPTO_memcmp(hash, self->keys[i].hashes[j], HASH_BYTES) == 0) {
                found = &self->keys[i];
            }
        }
    }
    if (found != NULL) {
        self->n_references++;
    }
    return found;
}

/* Of a list of its own, which goes with it. No hash: nobody can present it. */
http_api_key_t *http_api_key_of_everything(void) {
    char *everything[] = {(char[]){"*"}};
    struct http_api_key_options options = {.name = (char[]){"by hand"},
                                           .methods = {.texts = everything, .n = 1},
                                           .channels = {.texts = everything, .n = 1}};
    const struct config_section_list list = {.items = &options, .n = 1};
    return &http_api_keys_new(&list)->keys[0];
}

bool http_api_key_allows_method(const http_api_key_t *self, const char *method) {
    for (size_t i = 0; i < self->n_methods; i++) {
        if (strcmp(self->methods[i], "*") == 0 || strcmp(self->methods[i], method) == 0) {
            return true;
        }
    }
    return false;
}

bool http_api_key_allows_channel(const http_api_key_t *self, struct span channel) {
    for (size_t i = 0; i < self->n_channels; i++) {
        if (channel_name_matches(span_of_text(self->channels[i]), channel)) {
            return true;
        }
    }
    return false;
}

bool http_api_key_allows_all_channels(const http_api_key_t *self) {
    for (size_t i = 0; i < self->n_channels; i++) {
        if (strcmp(self->channels[i], "*") == 0) {
            return true;
        }
    }
    return false;
}

bool http_api_key_take(http_api_key_t *self, uint32_t n, uint64_t now_us) {
    if (self->per_second == 0) {
        return true;
    }
    uint64_t from_us = self->next_us > now_us ? self->next_us : now_us;
    uint64_t next_us = from_us + (uint64_t) n * US_PER_SECOND / self->per_second;
    if (next_us > now_us + (uint64_t) BURST_SECONDS * US_PER_SECOND) {
        return false;
    }
    self->next_us = next_us;
    return true;
}

const char *http_api_key_name(const http_api_key_t *self) {
    return self->name;
}
