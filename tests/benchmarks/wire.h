/* Shared by the client and the backend: the bytes that are sent, and how errors end a program. */
#ifndef WIRE_H
#define WIRE_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define KiB 1024
#define MiB (1024 * KiB)

/* Every stream is this pattern, repeated. Its size is a prime number of pages, so that a stream that is shifted
 * by the size of a buffer is noticed. */
#define PATTERN_BYTES (257 * 4096)

/* The purpose of a connection: the first byte that the client sends. */
enum purpose { UNKNOWN = 0, ECHO = 'e', DOWN = 'd', UP = 'u', WATCH = 'w' };

/* The latest WATCH connection gets a byte for each piece of this size that was received and checked. */
#define ACKNOWLEDGED_BYTES (1 * MiB)

static void demand(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "%s (%s)\n", what, strerror(errno));
        exit(1);
    }
}

/* The pattern mapped twice in a row, so that a whole one can be read from every position. */
static unsigned char *pattern;
static int pattern_file;

static void make_pattern(void) {
    pattern_file = memfd_create("pattern", 0);
    demand(pattern_file >= 0 && ftruncate(pattern_file, PATTERN_BYTES) == 0, "no memory for the pattern");
    pattern = mmap(NULL, 2 * PATTERN_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    demand(pattern != MAP_FAILED, "no room for the pattern");
    for (int copy = 0; copy < 2; copy++) {
        void *at = mmap(pattern + copy * PATTERN_BYTES, PATTERN_BYTES, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_FIXED, pattern_file, 0);
        demand(at != MAP_FAILED, "the pattern can't be mapped");
    }
    uint64_t state = 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < PATTERN_BYTES; i += 8) { /* xorshift64 */
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(pattern + i, &state, 8);
    }
}

/* Demand that bytes received are those of the pattern at a position, and return the next position. */
static uint64_t check_pattern(const unsigned char *bytes, size_t size, uint64_t position) {
    while (size) {
        size_t at = position % PATTERN_BYTES;
        size_t piece = size < PATTERN_BYTES ? size : PATTERN_BYTES;
        demand(memcmp(bytes, pattern + at, piece) == 0, "the bytes received are not those that were sent");
        bytes += piece;
        size -= piece;
        position += piece;
    }
    return position;
}

static void set_nonblocking(int fd) {
    demand(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0, "fcntl");
}

static void set_nodelay(int fd) {
    int on = 1;
    demand(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY");
}

static int would_block(ssize_t result) {
    return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static void watch(int epoll, int operation, int fd, uint32_t events, void *context) {
    struct epoll_event event = {.events = events, .data.ptr = context};
    demand(epoll_ctl(epoll, operation, fd, &event) == 0, "epoll_ctl");
}

#endif
