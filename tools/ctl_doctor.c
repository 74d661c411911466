/* callboardctl doctor: examines a running set-up and reports how ready it is.
 *
 *   settings ─▶ keys and files ─▶ this machine ─▶ Redis ─▶ programs ─▶ report
 *
 * Everything is examined in one run, whatever fails; what cannot be reached is a finding like others. Exit codes: 0 no
 * errors (there may be warnings), 1 errors, 2 wrong usage. */
#include "tools/ctl_doctor_parts.h"

#include "base/check.h"
#include "base/log.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

const char *doctor_check_id(enum doctor_check check) {
    static const char *const ids[DOCTOR_CHECKS_COUNT] = {
#define X(name, id, checks, means) [DOCTOR_##name] = (id),
        DOCTOR_CHECKS(X)
#undef X
    };
    check(check < DOCTOR_CHECKS_COUNT, "no such check");
    return ids[check];
}

static bool add_to(struct doctor_list *list, const char *item) {
    if (list->n == DOCTOR_LIST_MAX) {
        return false;
    }
    list->items[list->n++] = item;
    return true;
}

static int parse_arguments(int argc, char **argv, struct doctor *ret) {
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},
        {"redis", required_argument, NULL, 'r'},
        {"broker", required_argument, NULL, 'b'},
        {"gateway", required_argument, NULL, 'g'},
        {"token-file", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {"all", no_argument, NULL, 'a'},
        {NULL, 0, NULL, 0},
    };
    bool fits = true;
    for (int option; fits && (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'c':
            fits = ret->configs.n < DOCTOR_SOURCES_MAX && add_to(&ret->configs, optarg);
            break;
        case 'r':
            ret->redis = optarg;
            break;
        case 'b':
            fits = add_to(&ret->brokers, optarg);
            break;
        case 'g':
            fits = add_to(&ret->gateways, optarg);
            break;
        case 't':
            ret->token_file = optarg;
            break;
        case 'j':
            ret->json = true;
            break;
        case 'a':
            ret->all = true;
            break;
        default:
            return ctl_usage_error("doctor",
                                   "takes --config, --redis, --broker, --gateway, --token-file, --json, --all");
        }
    }
    if (!fits) {
        return ctl_usage_error("doctor", "at most %d files of settings, and %d brokers and gateways",
                               DOCTOR_SOURCES_MAX, DOCTOR_LIST_MAX);
    }
    return optind == argc ? CTL_DONE : ctl_usage_error("doctor", "takes options only, not '%s'", argv[optind]);
}

/* The parts of the broker that are borrowed here log what they meet; it is told as findings. */
static void drop_line(void *context, struct span line) {
    (void) context;
    (void) line;
}

int ctl_doctor(const struct ctl_options *options, int argc, char **argv) {
    struct doctor self = {.options = options, .json = options->json, .findings = FINDINGS_EMPTY};
    int result = parse_arguments(argc, argv, &self);
    if (result != CTL_DONE) {
        return result;
    }
    log_set_sink(drop_line, NULL);
    doctor_read_configs(&self);
    if (self.n_sources == 0 && self.configs.n == 0 && self.brokers.n == 0 && self.gateways.n == 0) {
        return ctl_usage_error("doctor",
                               "what is to be examined? Name --config FILE (or CALLBOARD_CONFIG), --redis URL, "
                               "--broker http://host:9001 or --gateway http://host:9000");
    }
    doctor_check_configs(&self);
    doctor_check_keys(&self);
    doctor_check_secret_files(&self);
    doctor_check_host(&self);
    doctor_check_redis(&self);
    doctor_check_programs(&self);
    doctor_report(&self);
    result = findings_worst(&self.findings) == FINDING_ERROR ? CTL_REFUSED : CTL_DONE;
    findings_finish(&self.findings);
    doctor_finish_configs(&self);
    if (self.has_left) {
        fflush(NULL);
        _exit(result);
    }
    return result;
}
