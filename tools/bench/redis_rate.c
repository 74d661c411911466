/* AUTH where there is a password, then INFO stats, over a connection of its own each time. */
#include "tools/bench/redis_rate.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static const struct timeval PATIENCE = {.tv_sec = 2};

static int connect_address(const struct sockaddr *address, socklen_t size) {
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &PATIENCE, sizeof PATIENCE);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &PATIENCE, sizeof PATIENCE);
    if (connect(fd, address, size) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int connect_url(const struct redis_url *url) {
    if (url->path[0] != '\0') {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "%s", url->path);
        return connect_address((const struct sockaddr *) &address, sizeof address);
    }
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    snprintf(port, sizeof port, "%u", url->port);
    if (getaddrinfo(url->host, port, &hints, &found) != 0) {
        errno = EHOSTUNREACH;
        return -1;
    }
    int fd = connect_address(found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return fd;
}

static bool send_all(int fd, const struct buffer *text) {
    for (size_t at = 0; at < text->size;) {
        ssize_t size = send(fd, text->data + at, text->size - at, MSG_NOSIGNAL);
        if (size <= 0) {
            return false;
        }
        at += (size_t) size;
    }
    return true;
}

static void append_word(struct buffer *out, const char *word) {
    buffer_append_format(out, "$%zu\r\n%s\r\n", strlen(word), word);
}

/* Reads until the figure's line is whole, or an error came. */
static bool read_figure(int fd, uint64_t *ret, char *ret_error, size_t error_size) {
    static const char name[] = "total_commands_processed:";
    char text[16384];
    size_t used = 0;
    for (;;) {
        ssize_t size = recv(fd, text + used, sizeof text - 1 - used, 0);
        if (size <= 0) {
            snprintf(ret_error, error_size, "no answer to INFO");
            return false;
        }
        used += (size_t) size;
        text[used] = '\0';
        const char *found = strstr(text, name);
        if (found != NULL && strchr(found, '\r') != NULL) {
            *ret = strtoull(found + sizeof name - 1, NULL, 10);
            return true;
        }
        const char *error = text[0] == '-' ? text : strstr(text, "\r\n-");
        if (error != NULL) {
            error += strspn(error, "\r\n-");
            snprintf(ret_error, error_size, "%.*s", (int) strcspn(error, "\r"), error);
            return false;
        }
    }
}

bool redis_rate_commands(const struct redis_url *url, uint64_t *ret_commands, char *ret_error, size_t error_size) {
    int fd = connect_url(url);
    if (fd < 0) {
        snprintf(ret_error, error_size, "%s", strerror(errno));
        return false;
    }
    struct buffer commands = BUFFER_EMPTY;
    if (url->password[0] != '\0') {
        buffer_append_text(&commands, url->user[0] != '\0' ? "*3\r\n" : "*2\r\n");
        append_word(&commands, "AUTH");
        if (url->user[0] != '\0') {
            append_word(&commands, url->user);
        }
        append_word(&commands, url->password);
    }
    buffer_append_text(&commands, "*2\r\n$4\r\nINFO\r\n$5\r\nstats\r\n");
    bool is_sent = send_all(fd, &commands);
    bool is_known = is_sent && read_figure(fd, ret_commands, ret_error, error_size);
    if (!is_sent) {
        snprintf(ret_error, error_size, "%s", strerror(errno));
    }
    explicit_bzero(commands.data, commands.capacity);
    buffer_finish(&commands);
    close(fd);
    return is_known;
}
