/* callboardctl bench --help: the manual of the command. */
#include "tools/ctl_bench_options.h"

#include <stdio.h>

static const char manual[] =
    "callboardctl bench: many users of a gateway, what they were told, how late, and what it cost.\n"
    "\n"
    "Usage: callboardctl [-o json] bench [OPTIONS]\n"
    "\n"
    "N users connect and subscribe; then the publishers among them publish for a while, and each delivery is checked\n"
    "(once, in order) and timed from the moment it was sent. At the end comes a report on standard output. The server "
    "and\n"
    "the load share this machine's clock, so both run here, or only the load's own publications are timed.\n"
    "\n"
    "Whom to load\n"
    "  --url URL             ws://HOST:PORT/PATH (default ws://127.0.0.1:8000/connection/websocket), mqtt://HOST:PORT "
    "or\n"
    "                        nats://HOST:PORT; given more than once, the users are spread over them\n"
    "  --raw                 the raw endpoint: PATH (default /ws/) and the channel, a message is a publication; so "
    "are\n"
    "                        other servers of that kind loaded\n"
    "  --nchan               the same as nchan speaks it: with its message ids in a storm\n"
    "\n"
    "Who they are\n"
    "  --users N             1 to 50000; default 100\n"
    "  --connecting N        at most so many handshakes under way; default 200\n"
    "  --connect-timeout T   the run begins then, whoever is missing; default 60s\n"
    "  --settle T            wait so long when all are connected; default 200ms\n"
    "  --sources N           source addresses, from 127.0.0.2 on, where all servers are on loopback; default 64\n"
    "  --processes N         of the load; default as many as their descriptors need\n"
    "  --config FILE         sign a token for each user with this configuration's token.secret, audience and issuer\n"
    "  --secret-file FILE    … with this secret, HS256; or the secret is in CALLBOARD_TOKEN_SECRET\n"
    "  --audience A --issuer I     … for these\n"
    "  --token TOKEN         the same token for all\n"
    "  --churn close|reset   each user ends its connection as soon as it is up (by closing frames, or by cutting it) "
    "and\n"
    "                        connects again: handshakes a second are 'connect_rate'\n"
    "\n"
    "What they do\n"
    "  --channels N          default 1; 0: nobody subscribes\n"
    "  --channel-prefix TEXT in front of a channel's number; default bench:\n"
    "  --subscriptions N     channels of each user, default 1\n"
    "  --publishers N        of each channel, the first of its subscribers; default 1, 0: nobody publishes\n"
    "  --rate R              publications a second of each publisher, default 10; max: as fast as the slowest "
    "subscriber\n"
    "                        follows, --in-flight (512) ahead of it; --pause T after each time all came back\n"
    "  --size N              bytes of a payload, 66 to 60000; default 128\n"
    "  --storm N             instead of publishing for a while: all but the publishers are cut off at once, miss N\n"
    "                        publications of each publisher, and come back at once with their positions, --connecting\n"
    "                        handshakes at a time; it ends when each has what it missed, or at --connect-timeout\n"
    "  --storm-to URL        they come back there, as when their gateway went\n"
    "  --duration T          default 10s\n"
    "  --drain T             wait so long for what is still due; default 5s\n"
    "\n"
    "What is looked at beside\n"
    "  --pid [NAME=]PID      CPU and memory of this process; more than once: of them together, and each\n"
    "  --redis URL           its commands a second (redis:// or unix://)\n"
    "\n"
    "What comes out\n"
    "  -o json               (before 'bench') the report as one JSON object\n"
    "  --report FILE         the same into a file\n"
    "  --plot FILE           an SVG: latency and deliveries of each second, latency by percentile\n"
    "  --progress            a line each second on standard error, also where that is no terminal\n"
    "  --assert LIST         e.g. 'success>=99.5,p95<50ms,lost=0': exit code 1 where one does not hold\n"
    "\n"
    "T is a time such as 500us, 20ms, 10s or 2m. A connection that ends unasked comes again after 50 ms or more, with "
    "the\n"
    "position of its channels where they can be recovered; what it missed for good counts as lost. MQTT is QoS 0.\n"
    "\n"
    "Figures (in the report, and for --assert)\n";

void bench_options_print_help(void) {
    fputs(manual, stdout);
    for (unsigned i = 0; i < BENCH_N_FIGURES; i++) {
        static const char *const units[] = {[BENCH_PERCENT] = "%",     [BENCH_MS] = "ms",     [BENCH_COUNT] = "",
                                            [BENCH_PER_SECOND] = "/s", [BENCH_SECONDS] = "s", [BENCH_BYTES] = "B"};
        printf("  %-17s %-3s %s\n", bench_figure_rows[i].name, units[bench_figure_rows[i].unit],
               bench_figure_rows[i].meaning);
    }
    fputs(
        "\nExit codes: 0 done, 1 an assertion does not hold or the run was interrupted, 2 wrong usage, 3 nobody could "
        "connect.\n",
        stdout);
}
