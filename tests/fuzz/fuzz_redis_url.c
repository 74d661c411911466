/* Any bytes as a Redis URL: refused with words, or taken with every part inside its bounds. */
#include "base/check.h"
#include "broker/redis/link/redis_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct redis_url url;
    char text[600] = "";
    if (!redis_url_parse(span_of(data, size), &url, text, sizeof text)) {
        check(text[0] != '\0', "refused without a word");
        return 0;
    }
    check(strlen(url.host) <= REDIS_URL_HOST_MAX && strlen(url.user) <= REDIS_URL_USER_MAX &&
              strlen(url.password) <= REDIS_URL_PASSWORD_MAX && strlen(url.path) <= REDIS_URL_PATH_MAX,
          "a part is too long");
    check((url.host[0] != '\0') != (url.path[0] != '\0'), "a host or a path");
    check(url.n_seeds >= 1 && url.n_seeds <= REDIS_URL_SEEDS_MAX, "seeds");
    check(url.kind != REDIS_URL_STANDALONE || url.n_seeds == 1, "one server");
    check((url.kind == REDIS_URL_SENTINEL) == (url.master[0] != '\0'), "a master where there are Sentinels");
    for (size_t i = 0; i < url.n_seeds; i++) {
        check((url.seeds[i].host[0] != '\0') != (url.seeds[i].path[0] != '\0'), "a host or a path");
        check(url.seeds[i].path[0] != '\0' || url.seeds[i].port != 0, "no port");
    }
    redis_url_describe(&url, text, sizeof text);
    return 0;
}
