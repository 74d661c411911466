/* Texts in manifests: whatever a text is, YAML's reader gets it back as it was, and so does JSON's. */
#include "base/check.h"
#include "base/utf8.h"
#include "operator/manifest/manifest.h"
#include "operator/manifest/manifest_emit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(void *context, const struct config_yaml_error *error) {
    (void) context;
    check(error->problem == CONFIG_YAML_TOO_LARGE || error->problem == CONFIG_YAML_SYNTAX, "%s", error->text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bool is_text = size < 4096 && utf8_is_valid(span_of(data, size)) && (size == 0 || memchr(data, 0, size) == NULL);
    if (!is_text) {
        return 0;
    }
    arena_t *arena = arena_new();
    manifest_t *map = manifest_map(arena);
    manifest_set_text(map, "text", arena_text_of(arena, span_of(data, size)));
    struct buffer yaml = BUFFER_EMPTY;
    manifest_append_yaml(map, &yaml);
    struct config_yaml_errors errors = {fail, NULL};
    config_node_t *root = config_yaml_read(buffer_span(&yaml), &errors);
    check(root != NULL && manifest_equal(map, manifest_of_yaml(arena, root)), "not read as it was");
    config_node_destroy(&root);
    buffer_finish(&yaml);
    arena_destroy(&arena);
    return 0;
}
