/* See transcript.h. */
#include "tests/simulation/transcript.h"

#include "base/check.h"
#include "tests/simulation/world.h"

#include <stdio.h>

static FILE *transcript;

static void put_number(size_t value) {
    uint32_t number = (uint32_t) value;
    fwrite(&number, sizeof number, 1, transcript);
}

static void put(struct span bytes) {
    put_number(bytes.size);
    if (bytes.size > 0) {
        fwrite(bytes.data, 1, bytes.size, transcript);
    }
}

static void on_command(size_t n, const struct span *arguments, struct span reply) {
    fputc('C', transcript);
    put_number(n);
    for (size_t i = 0; i < n; i++) {
        put(arguments[i]);
    }
    put(reply);
}

static void on_message(struct span topic, struct span message) {
    fputc('M', transcript);
    put(topic);
    put(message);
}

void transcript_begin(const char *file, const char *replid) {
    transcript = fopen(file, "wb");
    check(transcript != NULL, "%s cannot be written", file);
    if (replid != NULL) {
        snprintf(model_world.servers[0].replid, sizeof model_world.servers[0].replid, "%s", replid);
    }
    model_world.on_command = on_command;
    model_world.on_message = on_message;
}

static void put_key(const struct model_key *key) {
    static const char letters[] = {[MODEL_STRING] = 'T', [MODEL_HASH] = 'H', [MODEL_SET] = 'E', [MODEL_STREAM] = 'S'};
    fputc(letters[key->type], transcript);
    put(span_of(key->name, key->name_size));
    if (key->type == MODEL_STRING) {
        put(key->text);
        return;
    }
    put_number(key->n);
    for (size_t i = 0; i < key->n; i++) {
        if (key->type == MODEL_STREAM) {
            char id[48];
            int size = snprintf(id, sizeof id, "%llu-%llu", (unsigned long long) key->entries[i].ms,
                                (unsigned long long) key->entries[i].seq);
            put(span_of(id, (size_t) size));
            put(key->entries[i].fields[0].value);
        } else {
            put(key->fields[i].name);
            if (key->type == MODEL_HASH) {
                put(key->fields[i].value);
            }
        }
    }
}

void transcript_end(void) {
    if (transcript == NULL) {
        return;
    }
    for (const struct model_key *key = model_world.servers[0].store.keys; key != NULL; key = key->by_name.next) {
        put_key(key);
    }
    fclose(transcript);
    transcript = NULL;
}
