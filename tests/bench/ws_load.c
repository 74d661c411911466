/* A load of WebSocket clients on one thread, for benchmarks: as little work of its own as can be, so that the server is
 * measured. Every mode prints "ready …" when its clients are connected and waits for a line on standard input, so that
 * whoever runs it can read the server's figures before and after.
 *
 *   ws_load PORT TOKEN idle N [CHANNEL]               N clients connect (and subscribe) and stay until the input ends
 *   ws_load PORT TOKEN fanout N CHANNEL RATE SECONDS  the first of N subscribers publishes RATE a second; RATE 0: as
 *                                                     fast as all N follow, at most WINDOW publications ahead
 *                                                     → "deliveries COUNT DUE SECONDS"
 *   ws_load PORT TOKEN handshakes K SECONDS [reset]   K at a time: TCP connect, upgrade, connect command, its reply,
 *                                                     close frames; with reset: the client just cuts the connection
 *                                                     → "handshakes COUNT"
 *   ws_load PORT TOKEN latency N CHANNEL              one client publishes N times and waits each time for its own push
 *                                                     → "latency P50 P99 MAX" in µs
 *
 * Client frames are masked with the key 0, which RFC 6455 allows and costs nothing. A refusal or a connection that ends
 * unasked ends the run with exit code 1. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    INPUT_SIZE = 65536,
    FRAME_MAX = 16384,
    IN_FLIGHT_MAX = 200,
    SOURCES = 64,
    WINDOW = 512,
    COMMANDS_A_MESSAGE = 32
};

enum phase { CLOSED, CONNECTING, UPGRADING, GREETING, READY, CLOSING, ENDED };

struct client {
    int fd;
    enum phase phase;
    unsigned replies_left;
    size_t used; /* of the rest of a message that did not come whole */
    uint8_t *rest;
};

static struct sockaddr_in server;
static const char *token;
static const char *channel;
static int epoll_fd;
static uint64_t n_pushes;
static unsigned n_ready;
static struct client *clients;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000U + (uint64_t) now.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* Many source addresses of the loopback net, so that neither ports nor a limit per source end the run. */
static void start_client(struct client *client, unsigned number) {
    struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr = {htonl(0x7f000002U + number % SOURCES)}};
    int one = 1;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->fd < 0) {
        die("socket");
    }
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(client->fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one, sizeof one);
    if (bind(client->fd, (struct sockaddr *) &source, sizeof source) != 0) {
        die("bind");
    }
    if (connect(client->fd, (struct sockaddr *) &server, sizeof server) != 0 && errno != EINPROGRESS) {
        die("connect");
    }
    client->phase = CONNECTING;
    client->used = 0;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client->fd, &event);
}

static void close_client(struct client *client) {
    struct linger at_once = {1, 0}; /* no TIME_WAIT: the ports are needed again */
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(client->fd);
    client->fd = -1;
    client->phase = CLOSED;
}

static void send_frame(struct client *client, uint8_t opcode, const char *text, size_t size) {
    uint8_t frame[FRAME_MAX + 8];
    frame[0] = (uint8_t) (0x80 | opcode);
    size_t header = size < 126 ? 6 : 8;
    if (size < 126) {
        frame[1] = (uint8_t) (0x80 | size);
    } else {
        frame[1] = 0x80 | 126;
        frame[2] = (uint8_t) (size >> 8);
        frame[3] = (uint8_t) size;
    }
    memset(frame + header - 4, 0, 4);
    memcpy(frame + header, text, size);
    if (send(client->fd, frame, header + size, MSG_NOSIGNAL) != (ssize_t) (header + size)) {
        die("send");
    }
}

static void send_text(struct client *client, const char *text) {
    send_frame(client, 1, text, strlen(text));
}

static void send_upgrade(struct client *client) {
    static const char request[] =
        "GET /connection/websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    if (send(client->fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t) sizeof request - 1) {
        die("send upgrade");
    }
    client->phase = UPGRADING;
}

static void send_greeting(struct client *client) {
    char text[4096];
    int size = snprintf(text, sizeof text, "{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token);
    client->replies_left = 1;
    if (channel != NULL) {
        snprintf(text + size, sizeof text - (size_t) size, "\n{\"id\":2,\"subscribe\":{\"channel\":\"%s\"}}", channel);
        client->replies_left = 2;
    }
    send_text(client, text);
    client->phase = GREETING;
}

/* One message of the server's: replies of the greeting, pings, pushes. */
static void on_text(struct client *client, const uint8_t *text, size_t size) {
    if (size == 2) {
        send_text(client, "{}");
        return;
    }
    const uint8_t *end = text + size;
    for (const uint8_t *line = text; line < end;) {
        const uint8_t *next = memchr(line, '\n', (size_t) (end - line));
        next = next == NULL ? end : next;
        if (line[2] == 'p') { /* {"push": */
            n_pushes++;
        } else if (memmem(line, (size_t) (next - line), "\"error\"", 7) != NULL) {
            fprintf(stderr, "refused: %.*s\n", (int) (next - line), (const char *) line);
            exit(1);
        } else if (client->phase == GREETING && --client->replies_left == 0) {
            client->phase = READY;
            n_ready++;
        }
        line = next + 1;
    }
}

/* Frames out of the input; returns how many bytes were used. */
static size_t read_frames(struct client *client, const uint8_t *data, size_t size) {
    size_t at = 0;
    while (size - at >= 2) {
        size_t header = 2;
        size_t length = data[at + 1] & 0x7f;
        if (length == 126) {
            header = 4;
            if (size - at < header) {
                break;
            }
            length = (size_t) data[at + 2] << 8 | data[at + 3];
        } else if (length == 127) {
            fprintf(stderr, "a frame over 65,535 bytes\n");
            exit(1);
        }
        if (size - at < header + length) {
            break;
        }
        if ((data[at] & 0x0f) == 8 && client->phase == CLOSING) {
            client->phase = ENDED;
        } else if ((data[at] & 0x0f) == 8) {
            fprintf(stderr, "closed by the server: %d\n", data[at + header] << 8 | data[at + header + 1]);
            exit(1);
        } else {
            on_text(client, data + at + header, length);
        }
        at += header + length;
    }
    return at;
}

static void on_input(struct client *client, uint8_t *data, size_t size) {
    size_t at = 0;
    if (client->phase == UPGRADING) {
        uint8_t *end = memmem(data, size, "\r\n\r\n", 4);
        if (end == NULL || memcmp(data, "HTTP/1.1 101", 12) != 0) {
            fprintf(stderr, "not upgraded: %.*s\n", (int) size, (const char *) data);
            exit(1);
        }
        at = (size_t) (end + 4 - data);
        send_greeting(client);
    }
    at += read_frames(client, data + at, size - at);
    client->used = size - at;
    if (client->used > 0) {
        client->rest = client->rest == NULL ? malloc(INPUT_SIZE) : client->rest;
        memmove(client->rest, data + at, client->used);
    }
}

/* False: it is closed. */
static bool read_client(struct client *client) {
    static uint8_t block[INPUT_SIZE];
    for (;;) {
        if (client->used > 0) {
            memcpy(block, client->rest, client->used);
        }
        ssize_t size = recv(client->fd, block + client->used, sizeof block - client->used, 0);
        if (size < 0 && errno == EAGAIN) {
            return true;
        }
        if (size <= 0) {
            return false;
        }
        size_t all = client->used + (size_t) size;
        client->used = 0;
        on_input(client, block, all);
        if (all < sizeof block) {
            return true; /* edge-triggered: what comes later is told */
        }
    }
}

static void on_event(struct epoll_event *event) {
    struct client *client = event->data.ptr;
    if (client->phase == CONNECTING && (event->events & EPOLLOUT) != 0) {
        send_upgrade(client);
    }
    if ((event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !read_client(client)) {
        fprintf(stderr, "a connection ended in phase %d\n", (int) client->phase);
        exit(1);
    }
}

static int turn(int timeout_ms) {
    struct epoll_event events[256];
    int n = epoll_wait(epoll_fd, events, 256, timeout_ms);
    for (int i = 0; i < n; i++) {
        on_event(&events[i]);
    }
    return n;
}

static void connect_all(unsigned n) {
    clients = calloc(n, sizeof *clients);
    for (unsigned started = 0; n_ready < n;) {
        while (started < n && started - n_ready < IN_FLIGHT_MAX) {
            start_client(&clients[started], started);
            started++;
        }
        turn(1000);
    }
}

/* Takes a byte from standard input, serving the clients meanwhile; false when it has ended. */
static bool wait_for_input(void) {
    fcntl(0, F_SETFL, O_NONBLOCK);
    for (;;) {
        char byte;
        ssize_t size = read(0, &byte, 1);
        if (size >= 0) {
            return size == 1;
        }
        turn(20);
    }
}

static void be_ready(unsigned n) {
    printf("ready %u\n", n);
    fflush(stdout);
    wait_for_input();
}

static void run_idle(unsigned n) {
    connect_all(n);
    be_ready(n);
    while (wait_for_input()) {
    }
}

static void publish(struct client *client, unsigned count) {
    static unsigned id = 10;
    char text[FRAME_MAX];
    int size = 0;
    for (unsigned i = 0; i < count; i++, id++) {
        size += snprintf(text + size, sizeof text - (size_t) size,
                         "%s{\"id\":%u,\"publish\":{\"channel\":\"%s\",\"data\":{\"price\":101.25,\"n\":%u,\"note\":\""
                         "%080d\"}}}",
                         i > 0 ? "\n" : "", id, channel, id, 0);
    }
    send_frame(client, 1, text, (size_t) size);
}

static void run_fanout(unsigned n, unsigned rate, unsigned seconds) {
    connect_all(n);
    be_ready(n);
    uint64_t start = now_ns();
    uint64_t end = start + (uint64_t) seconds * 1000000000U;
    uint64_t sent = 0;
    n_pushes = 0;
    for (uint64_t now = start; now < end; now = now_ns()) {
        uint64_t due = rate == 0 ? n_pushes / n + WINDOW : (now - start) * rate / 1000000000U + 1;
        unsigned at_once = rate == 0 ? COMMANDS_A_MESSAGE : 1;
        while (sent + at_once <= due) {
            publish(&clients[0], at_once);
            sent += at_once;
        }
        turn(rate == 0 ? 100 : 1);
    }
    for (uint64_t patience = end + 5000000000U; n_pushes < sent * n && now_ns() < patience;) {
        turn(100);
    }
    printf("deliveries %llu %llu %.6f\n", (unsigned long long) n_pushes, (unsigned long long) sent * n,
           (double) (now_ns() - start) / 1e9);
}

/* Lets go of it as asked; true when it is gone and counts. */
static bool end_handshake(struct client *client, bool reset) {
    if (client->phase == READY && !reset) {
        client->phase = CLOSING;
        send_frame(client, 8, "\x03\xe8", 2);
    } else if (client->phase == READY || client->phase == ENDED) {
        close_client(client);
        return true;
    }
    return false;
}

static void run_handshakes(unsigned at_a_time, unsigned seconds, bool reset) {
    uint64_t count = 0;
    unsigned number = 0;
    clients = calloc(at_a_time, sizeof *clients);
    be_ready(at_a_time);
    uint64_t end = now_ns() + (uint64_t) seconds * 1000000000U;
    for (unsigned i = 0; i < at_a_time; i++) {
        start_client(&clients[i], number++);
    }
    while (now_ns() < end) {
        turn(100);
        for (unsigned i = 0; i < at_a_time; i++) {
            if (end_handshake(&clients[i], reset)) {
                start_client(&clients[i], number++);
                count++;
            }
        }
    }
    printf("handshakes %llu\n", (unsigned long long) count);
}

static int compare_u64(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *) a;
    uint64_t y = *(const uint64_t *) b;
    return x < y ? -1 : x > y;
}

static void run_latency(unsigned n) {
    uint64_t *times = calloc(n, sizeof *times);
    connect_all(1);
    be_ready(1);
    for (unsigned i = 0; i < n; i++) {
        n_pushes = 0;
        uint64_t start = now_ns();
        publish(&clients[0], 1);
        while (n_pushes == 0) {
            turn(1000);
        }
        times[i] = now_ns() - start;
        usleep(500);
    }
    qsort(times, n, sizeof *times, compare_u64);
    printf("latency %.1f %.1f %.1f\n", (double) times[n / 2] / 1000, (double) times[n * 99 / 100] / 1000,
           (double) times[n - 1] / 1000);
}

static void use_all_descriptors(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

static bool run(int argc, char **argv) {
    const char *mode = argv[3];
    unsigned n = (unsigned) atoi(argv[4]);
    channel = argc > 5 && strcmp(mode, "handshakes") != 0 ? argv[5] : NULL;
    if (strcmp(mode, "idle") == 0) {
        run_idle(n);
    } else if (strcmp(mode, "fanout") == 0 && argc == 8) {
        run_fanout(n, (unsigned) atoi(argv[6]), (unsigned) atoi(argv[7]));
    } else if (strcmp(mode, "handshakes") == 0 && argc >= 6) {
        run_handshakes(n, (unsigned) atoi(argv[5]), argc > 6);
    } else if (strcmp(mode, "latency") == 0 && argc == 6) {
        run_latency(n);
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: see the head of tests/bench/ws_load.c\n");
        return 2;
    }
    server = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t) atoi(argv[1])), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    token = argv[2];
    use_all_descriptors();
    epoll_fd = epoll_create1(0);
    return run(argc, argv) ? 0 : 2;
}
