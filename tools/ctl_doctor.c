/* callboardctl doctor: examines a running set-up and reports how ready it is.
 *
 *   settings ─▶ keys and files ─▶ this machine ─▶ Redis ─▶ programs ─▶ report
 *
 * Everything is examined in one run, whatever fails; what cannot be reached is a finding like others. Exit codes: 0 no
 * errors (there may be warnings), 1 errors, 2 wrong usage. */
#include "tools/ctl_doctor_parts.h"
#include "tools/ctl_terminal.h"

#include "base/check.h"
#include "base/log.h"

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

enum { CONFIG, REDIS, BROKER, GATEWAY, TOKEN_FILE, ALL, JSON };

static const struct ctl_option known[] = {
    [CONFIG] = {.name = "config",
                .kind = CTL_FILE,
                .value = "FILE",
                .many = true,
                .initial = "CALLBOARD_CONFIG, and what the environment says",
                .help = "settings of a gateway, a broker or the appliance"},
    [REDIS] = {.name = "redis", .kind = CTL_TEXT, .value = "URL", .help = "this Redis, instead of the settings'"},
    [BROKER] = {.name = "broker",
                .kind = CTL_TEXT,
                .value = "URL",
                .many = true,
                .help = "the internal listener of a broker: http://HOST:9001"},
    [GATEWAY] = {.name = "gateway",
                 .kind = CTL_TEXT,
                 .value = "URL",
                 .many = true,
                 .help = "the internal listener of a gateway: http://HOST:9000"},
    [TOKEN_FILE] = {.name = "token-file",
                    .kind = CTL_FILE,
                    .value = "FILE",
                    .help = "the token of the internal listeners, internal.token"},
    [ALL] = {.name = "all", .kind = CTL_FLAG, .help = "print what is fine, too"},
    [JSON] = {.name = "json", .kind = CTL_FLAG, .help = "the same as -o json"},
    {.name = NULL},
};

static bool add_each(const struct ctl_arguments *arguments, int option, size_t limit, struct doctor_list *list) {
    size_t at = 0;
    for (const char *text; (text = ctl_next(arguments, option, &at)) != NULL;) {
        if (list->n == limit) {
            return false;
        }
        list->items[list->n++] = text;
    }
    return true;
}

static int take_arguments(const struct ctl_arguments *arguments, struct doctor *ret) {
    if (!add_each(arguments, CONFIG, DOCTOR_SOURCES_MAX, &ret->configs) ||
        !add_each(arguments, BROKER, DOCTOR_LIST_MAX, &ret->brokers) ||
        !add_each(arguments, GATEWAY, DOCTOR_LIST_MAX, &ret->gateways)) {
        return ctl_usage_error("doctor", "at most %d files of settings, and %d brokers and gateways",
                               DOCTOR_SOURCES_MAX, DOCTOR_LIST_MAX);
    }
    ret->redis = ctl_text(arguments, REDIS);
    ret->token_file = ctl_text(arguments, TOKEN_FILE);
    ret->json = ret->json || ctl_has(arguments, JSON);
    ret->all = ctl_has(arguments, ALL);
    return CTL_DONE;
}

/* The parts of the broker that are borrowed here log what they meet; it is told as findings. */
static void drop_line(void *context, struct span line) {
    (void) context;
    (void) line;
}

static void say(const char *what) {
    ctl_progress_end(); /* however soon after the one before */
    ctl_progress("examining %s", what);
}

static int run(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    struct doctor self = {.options = options, .json = options->json, .findings = FINDINGS_EMPTY};
    int result = take_arguments(arguments, &self);
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
    say("settings, keys, this machine");
    doctor_check_configs(&self);
    doctor_check_keys(&self);
    doctor_check_secret_files(&self);
    doctor_check_host(&self);
    say("Redis");
    doctor_check_redis(&self);
    say("programs");
    doctor_check_programs(&self);
    ctl_progress_end();
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

const struct ctl_command ctl_doctor_command = {
    .name = "doctor",
    .summary = "examine a running set-up: what is wrong, and how to mend it",
    .description =
        "Examines settings, keys and the modes of files, this machine, Redis with all its nodes, and the running "
        "programs, and says of each what is wrong and how to mend it, the worst first. The last line is the verdict. "
        "Everything is examined in one run; what cannot be reached is a finding like others. docs/operations.md has "
        "the "
        "list of checks.\n\n"
        "It changes nothing. Exit codes: 0 no errors, though there may be warnings; 1 errors; 2 wrong usage.",
    .options = known,
    .examples = "callboardctl doctor --config callboard.yaml\n"
                "callboardctl doctor --config callboard.yaml --all -o json\n",
    .run = run,
};
