/* Runs schedules: simulate [--from SEED] [--count N] [--seed SEED --trace] [--durability fast|safe|mixed]
 *                          [--topology named|sentinel|cluster]
 *                          [--presence] [--steady]
 *                          [--servers N] [--brokers N] [--faults N] [--compared N] [--repeat]
 *                          [--patch WORDS PATTERN REPLACEMENT] [--transcript FILE --replid REPLID]
 *
 * Each seed is a schedule of its own: a world, work and faults, healed and judged at the end. A failure prints its seed
 * and what its nemesis planned; `simulate --seed N --trace` shows it line by line. --repeat runs every seed twice and
 * compares what happened, to the byte. --patch plants a mistake into the script that has these words (mutations.py).
 * SIMULATE_SCHEDULES in the environment stands for --count. Exit 1 where a schedule failed. */
#include "tests/simulation/transcript.h"
#include "tests/simulation/world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct settings {
    uint64_t from;
    uint64_t count;
    bool trace;
    bool repeat;
    bool keep_going;
    bool is_steady; /* gateways are neither slow nor killed */
    int servers;    /* 0: the seed's */
    int brokers;
    int faults;             /* -1: the seed's */
    int compared;           /* redis.compared_channels */
    const char *durability; /* fast, safe, mixed */
    const char *topology;   /* named, sentinel, cluster; NULL: the seed's */
    struct model_patch patch;
    const char *transcript; /* written there; NULL: nowhere */
    const char *replid;     /* of the one server, for a transcript */
};

struct sums {
    uint64_t schedules;
    uint64_t failures;
    uint64_t acked;
    uint64_t deliveries;
    uint64_t virtual_us;
};

/* Half of the seeds know their servers by one name, a quarter by Sentinels, a quarter is a cluster of two groups. */
static enum model_topology topology_of(const struct settings *settings, uint64_t bits, int servers) {
    static const char *const names[] = {"named", "sentinel", "cluster"};
    for (int i = 0; settings->topology != NULL && i <= MODEL_CLUSTER; i++) {
        if (strcmp(settings->topology, names[i]) == 0) {
            return (enum model_topology) i;
        }
    }
    uint64_t choice = (bits >> 36) % 4;
    return choice == 3 ? MODEL_CLUSTER : choice == 2 && servers > 1 ? MODEL_SENTINELS : MODEL_NAMED;
}

static struct world_options options_of(const struct settings *settings, uint64_t seed) {
    uint64_t bits = seed * 0x9e3779b97f4a7c15U;
    bits ^= bits >> 29;
    struct world_options options = {
        .servers = 1 + (int) (bits % 3),
        .brokers = 1 + (int) ((bits >> 8) % 4 != 0),
        .gateways = 1 + (int) ((bits >> 12) % 2),
        .gateway_credit = !settings->is_steady && (bits >> 40) % 3 == 0 ? 260 + (unsigned) ((bits >> 44) % 24) : 0,
        .durability = WORLD_FAST,
        .disk = (enum model_disk)((bits >> 16) % 3),
        .is_sharded = (bits >> 20) % 2 == 0,
        .compared_channels = settings->compared,
        .history_size = (bits >> 24) % 4 == 0 ? 6 : 200,
        .topic_idle_ms = (bits >> 28) % 4 == 0 ? 1500 : 60000,
        .command_timeout_ms = (bits >> 32) % 3 == 0 ? 500 : 2000};
    if (strcmp(settings->durability, "fast") != 0) {
        options.durability = strcmp(settings->durability, "safe") == 0 ? WORLD_SAFE : WORLD_MIXED;
        if (options.servers == 1) {
            options.disk = MODEL_DISK_ALWAYS;
        } else if (options.disk == MODEL_DISK_ALWAYS) {
            options.disk = MODEL_DISK_EVERYSEC;
        }
    }
    options.topology = topology_of(settings, bits, options.servers);
    options.servers = settings->servers > 0 ? settings->servers : options.servers;
    options.brokers = settings->brokers > 0 ? settings->brokers : options.brokers;
    return options;
}

static uint64_t run(const struct settings *settings, uint64_t seed, struct sums *sums) {
    struct world_options options = options_of(settings, seed);
    if (settings->transcript != NULL) {
        options.is_sharded = false;
        options.servers = 1;
        options.topology = MODEL_NAMED;
    }
    world_begin(seed, settings->trace, &options);
    if (settings->transcript != NULL) {
        transcript_begin(settings->transcript, settings->replid);
    }
    uint64_t length_us = sim_between(3, 10) * SECOND;
    uint64_t started_us = sim_now_us();
    nemesis_plan(length_us, settings->faults >= 0 ? (unsigned) settings->faults : (unsigned) sim_below(8));
    sim_run_until(started_us + length_us);
    if (sim_failure() == NULL) {
        world_heal();
        world_judge();
    }
    sums->schedules++;
    sums->acked += checker_acked();
    sums->deliveries += checker_deliveries();
    sums->virtual_us += sim_now_us() - started_us;
    uint64_t fingerprint = sim_fingerprint();
    transcript_end();
    if (sim_failure() != NULL) {
        sums->failures++;
        printf("FAILED seed %llu: %s\n  %d servers (topology %d), %d brokers, %d gateways, disk %d, history %lld; %s\n",
               (unsigned long long) seed, sim_failure(), options.servers, (int) options.topology, options.brokers,
               options.gateways, (int) options.disk, (long long) options.history_size, nemesis_summary());
    }
    world_end();
    return fingerprint;
}

/* ---- an abort of the code under test ---- */

static volatile uint64_t current_seed;

static void on_abort(int signal) {
    (void) signal;
    char text[64];
    int size = snprintf(text, sizeof text, "FAILED seed %llu: aborted\n", (unsigned long long) current_seed);
    if (write(STDOUT_FILENO, text, (size_t) size) < 0) {
        _exit(3);
    }
    _exit(1);
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static bool take_setting(struct settings *settings, const char *name, const char *value) {
    if (strcmp(name, "--from") == 0) {
        settings->from = strtoull(value, NULL, 10);
    } else if (strcmp(name, "--seed") == 0) {
        settings->from = strtoull(value, NULL, 10);
        settings->count = 1;
    } else if (strcmp(name, "--count") == 0) {
        settings->count = strtoull(value, NULL, 10);
    } else if (strcmp(name, "--servers") == 0) {
        settings->servers = atoi(value);
    } else if (strcmp(name, "--brokers") == 0) {
        settings->brokers = atoi(value);
    } else if (strcmp(name, "--faults") == 0) {
        settings->faults = atoi(value);
    } else if (strcmp(name, "--compared") == 0) {
        settings->compared = atoi(value);
    } else if (strcmp(name, "--transcript") == 0) {
        settings->transcript = value;
    } else if (strcmp(name, "--replid") == 0) {
        settings->replid = value;
    } else if (strcmp(name, "--topology") == 0) {
        settings->topology = value;
    } else if (strcmp(name, "--durability") == 0) {
        settings->durability = value;
    } else {
        return false;
    }
    return true;
}

static bool take_settings(struct settings *settings, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--patch") == 0 && i + 3 < argc) {
            settings->patch = (struct model_patch){argv[i + 1], argv[i + 2], argv[i + 3]};
            model_script_patch(&settings->patch, 1);
            i += 3;
            continue;
        }
        if (strcmp(argv[i], "--trace") == 0) {
            settings->trace = true;
        } else if (strcmp(argv[i], "--repeat") == 0) {
            settings->repeat = true;
        } else if (strcmp(argv[i], "--steady") == 0) {
            settings->is_steady = true;
            nemesis_spare_gateways();
        } else if (strcmp(argv[i], "--presence") == 0) {
            nemesis_show_presence();
        } else if (strcmp(argv[i], "--keep-going") == 0) {
            settings->keep_going = true;
        } else if (i + 1 >= argc || !take_setting(settings, argv[i], argv[i + 1])) {
            fprintf(stderr, "simulate: %s is not understood\n", argv[i]);
            return false;
        } else {
            i++;
        }
    }
    return true;
}

int main(int argc, char **argv) {
    struct settings settings = {.from = 1, .count = 1000, .faults = -1, .compared = 50000, .durability = "fast"};
    if (!take_settings(&settings, argc, argv)) {
        return 2;
    }
    const char *schedules = getenv("SIMULATE_SCHEDULES");
    if (schedules != NULL && settings.count > 1) {
        settings.count = strtoull(schedules, NULL, 10);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGABRT, on_abort);
    struct sums sums = {0};
    double started_s = now_s();
    for (uint64_t seed = settings.from; seed < settings.from + settings.count; seed++) {
        current_seed = seed;
        uint64_t fingerprint = run(&settings, seed, &sums);
        if (settings.repeat && run(&settings, seed, &sums) != fingerprint) {
            printf("FAILED seed %llu: not the same twice\n", (unsigned long long) seed);
            sums.failures++;
        }
        if (sums.failures > 0 && !settings.keep_going) {
            break;
        }
    }
    double took_s = now_s() - started_s;
    bool is_patched = model_script_patched();
    model_script_end();
    printf("%llu schedules, %llu failed; %.0f s of virtual time, %llu publications acked, %llu deliveries; "
           "%.1f s of CPU, %.0f schedules/s\n",
           (unsigned long long) sums.schedules, (unsigned long long) sums.failures, (double) sums.virtual_us / SECOND,
           (unsigned long long) sums.acked, (unsigned long long) sums.deliveries, took_s,
           (double) sums.schedules / (took_s > 0 ? took_s : 1));
    if (!is_patched) {
        fprintf(stderr, "simulate: the pattern of --patch is in no script any more\n");
        return 2;
    }
    return sums.failures == 0 ? 0 : 1;
}
