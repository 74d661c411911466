/* A kubeconfig, or two split at a NUL byte: it is read or told why not, and nothing of a token is in what is told.
 * Files that it names are looked for below a folder that is not there. */
#include "base/check.h"
#include "operator/kube/kube_config.h"
#include "operator/kube/kube_exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *end = size == 0 ? NULL : memchr(data, '\0', size);
    size_t first = end == NULL ? size : (size_t) (end - data);
    const struct kube_config_file files[] = {
        {.name = "/nowhere/one", .text = span_of(data, first)},
        {.name = "/nowhere/two", .text = end == NULL ? SPAN_EMPTY : span_of(end + 1, size - first - 1)},
    };
    arena_t *arena = arena_new();
    struct kube_access access;
    const char *error = NULL;
    if (kube_config_read_texts(arena, files, end == NULL ? 1 : 2, NULL, &access, &error)) {
        check(error == NULL && access.server != NULL && access.namespace != NULL && access.context != NULL,
              "an access");
        check((access.client_certificate_pem == NULL) == (access.client_key_pem == NULL), "a pair");
        if (access.exec != NULL) {
            check(kube_exec_info(arena, &access, false) != NULL, "what a plugin is told");
        }
    } else {
        check(error != NULL && error[0] != '\0', "says what is wrong");
    }
    arena_destroy(&arena);
    return 0;
}
