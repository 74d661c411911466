/* See free_port.h. The ticket for a port is a Unix socket with an abstract name: the kernel lets one process bind it
 * and takes it back when the process ends, however it ends. It is left open on purpose. */
#include "tests/support/free_port.h"

#include "base/check.h"
#include "base/random.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PORT_FIRST = 12000, PORT_LAST = 32700, TRIES = 10000 };

static bool take_ticket(int port) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "callboard-test-port-%d", port);
    int ticket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    check(ticket >= 0, "no socket for the ticket of port %d", port);
    socklen_t size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + (size_t) length);
    if (bind(ticket, (const struct sockaddr *) &name, size) == 0) {
        return true;
    }
    close(ticket);
    return false;
}

static bool is_free(int port, uint32_t address) {
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t) port), .sin_addr.s_addr = htonl(address)};
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(probe >= 0, "no socket to probe port %d", port);
    bool free = bind(probe, (const struct sockaddr *) &name, sizeof name) == 0;
    close(probe);
    return free;
}

int free_port(void) {
    for (int i = 0; i < TRIES; i++) {
        int port = PORT_FIRST + (int) random_below(PORT_LAST - PORT_FIRST + 1);
        if (is_free(port, INADDR_ANY) && take_ticket(port)) {
            return port;
        }
    }
    unreachable("no free port in %d to %d", PORT_FIRST, PORT_LAST);
}
