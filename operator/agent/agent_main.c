/* callboard-agent: the helper in Redis and Sentinel pods. Static, so that it runs in any image.
 *
 *   install DIR        an init container of our image copies it into a volume that the server's container shares
 *   prepare            an init container in the server's image writes its configuration
 *   run [-- COMMAND…]  beside the server (a sidecar), or around it
 *   leave              a preStop hook
 *
 * Exit codes: 0 done, 2 wrong usage, 3 something given to it is wrong (an option, a template, a directory), 4 refused
 * as unsafe, 5 something outside does not answer, 6 out of time; run ends as its command did. */
#include "base/log.h"
#include "operator/agent/agent_config.h"
#include "operator/agent/agent_install.h"
#include "operator/agent/agent_leave.h"
#include "operator/agent/agent_prepare.h"
#include "operator/agent/agent_run.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static void print_help(void) {
    printf("callboard-agent %s: the helper in Redis and Sentinel pods\n\n"
           "  callboard-agent install DIR             copy this program into DIR\n"
           "  callboard-agent prepare [flags]         fill the templates into the server's configuration\n"
           "  callboard-agent run [flags] [-- COMMAND…]\n"
           "                                          answer the probes; form, heal, mend; with a COMMAND: prepare,\n"
           "                                          start it, hand over and stop it on SIGTERM\n"
           "  callboard-agent leave [flags]           hand over before the server is stopped (preStop)\n"
           "  callboard-agent --help | --version\n\n"
           "Exit codes: 0 done, 2 wrong usage, 3 something given is wrong, 4 refused as unsafe, 5 something outside\n"
           "does not answer, 6 out of time; run with a COMMAND ends as that did.\n\n"
           "Flags, each with its variable of the environment:\n",
           CALLBOARD_VERSION);
    redis_options_print(stdout, REDIS_OPTIONS_AGENT, "CALLBOARD_AGENT");
}

static int fail(enum agent_exit code, const char *error) {
    log_error("failed", log_text("reason", error), log_i64("exit_code", code));
    return (int) code;
}

/* A pod's soft limit is 1024 on current container runtimes; the server that we start inherits ours. */
static void raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        rlim_t soft = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        bool is_raised = setrlimit(RLIMIT_NOFILE, &limit) == 0;
        log_debug("descriptors", log_u64("was", soft), log_u64("limit", limit.rlim_max), log_bool("raised", is_raised));
    }
}

static int run(const struct agent_config *config, char **command) {
    char error[AGENT_ERROR_MAX] = "";
    raise_descriptors();
    if (command[0] == NULL) {
        return agent_run(config, NULL);
    }
    enum agent_exit prepared = agent_prepare(config, error);
    return prepared == AGENT_DONE ? agent_run(config, command) : fail(prepared, error);
}

static int run_command(const char *name, int argc, char **argv) {
    struct agent_config config;
    char error[AGENT_ERROR_MAX] = "";
    int rest;
    if (!agent_config_read(&config, argc, argv, 2, &rest, error)) {
        return fail(AGENT_USAGE, error);
    }
    bool is_run = strcmp(name, "run") == 0;
    int code = AGENT_USAGE;
    if (rest < argc && !(is_run && strcmp(argv[rest - 1], "--") == 0)) {
        snprintf(error, sizeof error, "%s: not a flag%s", argv[rest], is_run ? "; a command stands behind --" : "");
        code = fail(AGENT_USAGE, error);
    } else if (is_run) {
        code = run(&config, argv + rest);
    } else {
        enum agent_exit result =
            strcmp(name, "prepare") == 0 ? agent_prepare(&config, error) : agent_leave(&config, error);
        code = result == AGENT_DONE ? AGENT_DONE : fail(result, error);
    }
    agent_config_finish(&config);
    return code;
}

int main(int argc, char **argv) {
    const char *name = argc < 2 ? "" : argv[1];
    char error[AGENT_ERROR_MAX] = "";
    log_set_context("program", "callboard-agent");
    (void) signal(SIGPIPE, SIG_IGN);
    (void) prctl(PR_SET_DUMPABLE, 0); /* passwords pass through: no core, no other process looks in */
    if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
        print_help();
        return AGENT_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        printf("callboard-agent %s\n", CALLBOARD_VERSION);
        return AGENT_DONE;
    }
    if (strcmp(name, "install") == 0) {
        if (argc != 3) {
            return fail(AGENT_USAGE, "install DIR: one directory");
        }
        return agent_install(argv[2], error, sizeof error) ? AGENT_DONE : fail(AGENT_INVALID, error);
    }
    if (strcmp(name, "prepare") == 0 || strcmp(name, "run") == 0 || strcmp(name, "leave") == 0) {
        return run_command(name, argc, argv);
    }
    return fail(AGENT_USAGE, "no such command: install, prepare, run, leave; --help tells more");
}
