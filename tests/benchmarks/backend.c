/* The TCP server behind every contestant: it echoes, sends the pattern, or checks that it receives the pattern.
 *
 * Usage: backend
 *
 * Prints its port on 127.0.0.1, and serves until standard input ends. Bytes that are not those of the pattern
 * end it with an error. It sends from the page cache (sendfile), which costs little. Echoes have a thread of their
 * own: they wait for the contestant, not for what the backend sends to others.
 */
#include "wire.h"
#include <pthread.h>
#include <signal.h>

#define MOST_AT_A_TIME (1 * MiB)

struct connection {
    int fd;
    enum purpose purpose;
    uint64_t position;     /* in the pattern */
    uint64_t acknowledged; /* pieces */
};

static __thread unsigned char buffer[256 * KiB];
static struct connection *watcher;
static int echoes; /* the epoll of their thread */

static void end(struct connection *connection) {
    if (connection == watcher)
        watcher = NULL;
    close(connection->fd);
    free(connection);
}

static void echo(struct connection *connection, const unsigned char *bytes, ssize_t size) {
    /* Clients wait for each echo, so it always fits into the socket's buffer. */
    demand(send(connection->fd, bytes, size, MSG_NOSIGNAL) == size || errno == EPIPE || errno == ECONNRESET,
           "an echo was not accepted");
}

static void acknowledge(struct connection *connection) {
    while (connection->position / ACKNOWLEDGED_BYTES > connection->acknowledged) {
        connection->acknowledged++;
        if (watcher)
            send(watcher->fd, "k", 1, MSG_NOSIGNAL);
    }
}

/* Send the pattern while the socket accepts it, up to a budget. */
static void pour(struct connection *connection) {
    size_t budget = 4 * MOST_AT_A_TIME;
    while (budget) {
        off_t at = connection->position % PATTERN_BYTES;
        size_t left = PATTERN_BYTES - at;
        ssize_t sent = sendfile(connection->fd, pattern_file, &at, left < budget ? left : budget);
        if (sent <= 0)
            return; /* full; or gone, which the next read reports */
        connection->position += sent;
        budget -= sent;
    }
}

/* Let the thread of the echoes serve a connection from now on; this one does not touch it again. */
static void move_to_echoes(int epoll, struct connection *connection) {
    if (connection->purpose != ECHO || epoll == echoes)
        return;
    watch(epoll, EPOLL_CTL_DEL, connection->fd, 0, NULL);
    watch(echoes, EPOLL_CTL_ADD, connection->fd, EPOLLIN, connection);
}

/* Read what has arrived; return whether the connection is still open. */
static int receive(int epoll, struct connection *connection) {
    ssize_t size = recv(connection->fd, buffer, sizeof buffer, 0);
    if (would_block(size))
        return 1;
    if (size <= 0) {
        end(connection);
        return 0;
    }
    const unsigned char *bytes = buffer;
    if (connection->purpose == UNKNOWN) {
        connection->purpose = *bytes++;
        size--;
        if (connection->purpose == WATCH)
            watcher = connection;
        if (connection->purpose == DOWN)
            watch(epoll, EPOLL_CTL_MOD, connection->fd, EPOLLIN | EPOLLOUT, connection);
    }
    if (!size) {
        move_to_echoes(epoll, connection);
        return 1;
    }
    switch (connection->purpose) {
    case ECHO:
        echo(connection, bytes, size);
        move_to_echoes(epoll, connection);
        break;
    case UP:
        connection->position = check_pattern(bytes, size, connection->position);
        acknowledge(connection);
        break;
    default:
        errno = 0;
        demand(0, "the backend received bytes that were never sent");
    }
    return 1;
}

static void *serve_echoes(void *unused) {
    for (;;) {
        struct epoll_event events[256];
        int count = epoll_wait(echoes, events, 256, -1);
        for (int i = 0; i < count; i++)
            receive(echoes, events[i].data.ptr);
    }
    return unused;
}

int main(void) {
    signal(SIGPIPE, SIG_IGN); /* sendfile has no MSG_NOSIGNAL */
    make_pattern();
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    demand(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    demand(listen(listener, 4096) == 0, "listen");
    demand(getsockname(listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
    set_nonblocking(listener);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);

    int epoll = epoll_create1(0);
    echoes = epoll_create1(0);
    pthread_t thread;
    demand(pthread_create(&thread, NULL, serve_echoes, NULL) == 0, "no thread");
    static struct connection accepting, parent;
    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, &accepting);
    watch(epoll, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, &parent);
    for (;;) {
        struct epoll_event events[256];
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == &parent)
                return 0;
            if (connection == &accepting) {
                int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0)
                    continue;
                set_nodelay(fd);
                connection = calloc(1, sizeof *connection);
                demand(connection != NULL, "no memory");
                connection->fd = fd;
                watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, connection);
                continue;
            }
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !receive(epoll, connection))
                continue;
            if (events[i].events & EPOLLOUT)
                pour(connection);
        }
    }
}
