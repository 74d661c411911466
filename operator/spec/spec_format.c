/* The patterns. Texts are cut to their greatest length before they are matched, so that no text takes long. */
#include "operator/spec/spec_format.h"

#include "base/check.h"

#include <regex.h>
#include <string.h>

#define LABEL  "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define NAME   LABEL "([.]" LABEL ")*"
#define HOST   "[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?"
#define PORT   "[1-9][0-9]{0,4}"
#define DIGEST "sha256:[0-9a-f]{64}"
#define TAG    "[A-Za-z0-9_][-A-Za-z0-9_.]*"
#define REPO   "[a-z0-9]([-a-z0-9._/:]*[a-z0-9])?"
#define PART   "[-0-9*/,A-Za-z]+"

static const struct format {
    const char *pattern;
    const char *description;
    size_t bytes_max;
} formats[SPEC_FORMATS] = {
    [SPEC_FORMAT_ANY] = {NULL, NULL, 64 * 1024},
    [SPEC_FORMAT_LABEL] = {"^" LABEL "$", "small letters, digits and dashes, a letter or digit at both ends", 63},
    [SPEC_FORMAT_NAME] = {"^" NAME "$", "small letters, digits, dashes and dots, a letter or digit at both ends", 253},
    [SPEC_FORMAT_SECRET_KEY] = {"^[-._a-zA-Z0-9]+$", "letters, digits, dashes, dots and underlines", 253},
    [SPEC_FORMAT_REPOSITORY] =
        {"^" REPO "$", "a repository in small letters without tag and digest, like registry.example.com/callboard",
         255},
    [SPEC_FORMAT_TAG] = {"^" TAG "$", "letters, digits, dots, dashes and underlines", 128},
    [SPEC_FORMAT_DIGEST] = {"^" DIGEST "$", "sha256: and 64 digits of a small hexadecimal number", 71},
    [SPEC_FORMAT_IMAGE] = {"^" REPO "(:" TAG ")?(@" DIGEST ")?$",
                           "a repository with its tag or digest, like redis:7.2.5", 512},
    [SPEC_FORMAT_VERSION] = {"^[0-9]+[.][0-9]+([.][0-9]+)?$", "two or three numbers with dots between, like 7.2", 32},
    [SPEC_FORMAT_HOST] = {"^([*][.])?" NAME "$", "a host name in small letters, like push.example.com", 253},
    [SPEC_FORMAT_HOST_PORT] = {"^" HOST ":" PORT "$", "host:port, like redis.example.com:6379", 255},
    [SPEC_FORMAT_REDIS_URL] = {"^rediss?([+](sentinel|cluster))?://[^ ]+$",
                               "an address like redis://redis.example.com:6379", 2048},
    [SPEC_FORMAT_ORIGIN] = {"^([a-z]+://[^ /]+|[*])$", "scheme://host[:port], like https://app.example.com", 255},
    [SPEC_FORMAT_CIDR] = {"^[0-9a-fA-F.:]+/[0-9]{1,3}$", "a network like 10.0.0.0/8", 64},
    [SPEC_FORMAT_CRON] = {"^" PART "( " PART "){4}$", "five parts as cron writes them, like 0 3 * * *", 128},
    [SPEC_FORMAT_API] = {"^([a-z0-9.-]+/)?v[0-9]+[a-z0-9]*$", "group/version, like monitoring.coreos.com/v1", 128},
    [SPEC_FORMAT_CLASS] = {"^(" NAME "/)?" NAME "$",
                           "small letters, digits, dashes and dots, maybe behind a prefix: example.com/balancer", 253},
    [SPEC_FORMAT_WORD] = {"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
                          "letters, digits, dashes, dots and underlines, a letter or digit at both ends", 253},
};

const char *spec_format_pattern(enum spec_format format) {
    return formats[format].pattern;
}

const char *spec_format_description(enum spec_format format) {
    return formats[format].description;
}

size_t spec_format_bytes_max(enum spec_format format) {
    return formats[format].bytes_max;
}

bool spec_format_accepts(enum spec_format format, const char *text) {
    const struct format *own = &formats[format];
    if (strlen(text) > own->bytes_max) {
        return false;
    }
    if (own->pattern == NULL) {
        return true;
    }
    regex_t expression;
    int status = regcomp(&expression, own->pattern, REG_EXTENDED | REG_NOSUB);
    check(status == 0, "the pattern %s", own->pattern);
    bool accepts = regexec(&expression, text, 0, NULL, 0) == 0;
    regfree(&expression);
    return accepts;
}
