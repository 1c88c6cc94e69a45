/* The client's side of the load: WebSocket (or plain TCP) connections that send, receive and check.
 *
 * Usage: client LOAD PORT PATH BACKEND SECONDS TUNNELS SIZE
 *
 *   LOAD     down, up, echo, open or hold-idle, hold-stalled
 *   PORT     of the contestant, on 127.0.0.1
 *   PATH     of its WebSocket; "-" means plain TCP without a WebSocket
 *   BACKEND  port of the backend, which reports how much has arrived
 *   SECONDS  how long to measure
 *   TUNNELS  how many at once
 *   SIZE     of a message, in bytes
 *
 * Prints one JSON object. The hold loads print "held" once all tunnels are open, and keep them open until
 * standard input ends. Anything unexpected ends the program with an error.
 */
#include "wire.h"
#include <sys/resource.h>
#include <time.h>

#define WARM_UP_SECONDS 0.2
#define MOST_HEADER 14
#define MOST_ECHO 100 /* so that its header is short */
#define CLOSE_FRAME 8
#define GIVE_UP_SECONDS 20

static int port, backend, tunnels, size;
static const char *path;
static double seconds;
static const unsigned char MASK[4] = {0x37, 0xfa, 0x21, 0x3d};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int is_raw(void) {
    return strcmp(path, "-") == 0;
}

/* ---- Messages that the client sends (RFC 6455, section 5.2) ---- */

/* Write a whole masked message; return its size. Plain TCP has no header and no mask. */
static size_t pack(unsigned char *out, int opcode, const unsigned char *payload, size_t length) {
    if (is_raw()) {
        memcpy(out, payload, length);
        return length;
    }
    size_t at = 0;
    out[at++] = 0x80 | opcode;
    if (length < 126) {
        out[at++] = 0x80 | length;
    } else if (length < 65536) {
        out[at++] = 0x80 | 126;
        out[at++] = length >> 8;
        out[at++] = length & 255;
    } else {
        out[at++] = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            out[at++] = (uint64_t)length >> shift & 255;
    }
    memcpy(out + at, MASK, 4);
    at += 4;
    for (size_t i = 0; i < length; i++)
        out[at + i] = payload[i] ^ MASK[i & 3];
    return at + length;
}

/* ---- Messages that the client receives ---- */

struct tunnel {
    int fd;
    /* the parser */
    unsigned char header[MOST_HEADER];
    int header_size;
    int opcode;
    uint64_t left; /* of the payload */
    /* the load */
    uint64_t position; /* in the pattern, or of the echo */
    unsigned char message[MOST_ECHO];
    double sent_at;
};

/* Ignore the payload, while the client waits for the contestant's Close. */
static void use_nothing(struct tunnel *tunnel, const unsigned char *bytes, size_t length) {
    (void)tunnel, (void)bytes, (void)length;
}

/* Parse bytes that were read, and call `use` with each piece of payload. */
static void parse(struct tunnel *tunnel, const unsigned char *bytes, size_t length,
                  void (*use)(struct tunnel *, const unsigned char *, size_t)) {
    if (is_raw()) {
        use(tunnel, bytes, length);
        return;
    }
    while (length) {
        if (tunnel->left) {
            size_t piece = length < tunnel->left ? length : tunnel->left;
            use(tunnel, bytes, piece);
            bytes += piece;
            length -= piece;
            tunnel->left -= piece;
            continue;
        }
        tunnel->header[tunnel->header_size++] = *bytes++;
        length--;
        if (tunnel->header_size < 2)
            continue;
        errno = 0;
        demand(!(tunnel->header[1] & 0x80), "a server's message is masked");
        int extended = tunnel->header[1] == 126 ? 2 : tunnel->header[1] == 127 ? 8 : 0;
        if (tunnel->header_size < 2 + extended)
            continue;
        uint64_t announced = extended ? 0 : tunnel->header[1];
        for (int i = 0; i < extended; i++)
            announced = announced << 8 | tunnel->header[2 + i];
        int opcode = tunnel->header[0] & 0x0f;
        demand(opcode == 0 || opcode == 2 || opcode == CLOSE_FRAME, "a message is neither binary nor a Close");
        if (opcode)
            tunnel->opcode = opcode;
        demand(opcode != CLOSE_FRAME || use == use_nothing, "a tunnel was closed");
        tunnel->left = announced;
        tunnel->header_size = 0;
    }
}

static int connect_to(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = GIVE_UP_SECONDS};
    demand(fd >= 0, "socket");
    demand(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0, "SO_RCVTIMEO");
    demand(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    set_nodelay(fd);
    return fd;
}

/* Open a tunnel: connect, and upgrade. */
static struct tunnel *open_tunnel(void) {
    struct tunnel *tunnel = calloc(1, sizeof *tunnel);
    demand(tunnel != NULL, "no memory");
    tunnel->fd = connect_to(port);
    if (is_raw())
        return tunnel;
    char text[1024];
    int length = snprintf(text, sizeof text,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                          path, port);
    demand(send(tunnel->fd, text, length, MSG_NOSIGNAL) == length, "the request was not sent");
    length = 0;
    do {
        ssize_t got = recv(tunnel->fd, text + length, sizeof text - 1 - length, 0);
        demand(got > 0, "no response to the upgrade");
        length += got;
        text[length] = 0;
    } while (!strstr(text, "\r\n\r\n"));
    errno = 0;
    demand(strncmp(text, "HTTP/1.1 101", 12) == 0 && strstr(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), text);
    demand(text + length == strstr(text, "\r\n\r\n") + 4, "unexpected bytes follow the upgrade");
    return tunnel;
}

static void send_whole(struct tunnel *tunnel, int opcode, const unsigned char *payload, size_t length) {
    unsigned char message[256];
    size_t packed = pack(message, opcode, payload, length);
    demand(send(tunnel->fd, message, packed, MSG_NOSIGNAL) == (ssize_t)packed, "a message was not sent");
}

static void say_purpose(struct tunnel *tunnel, enum purpose purpose) {
    unsigned char byte = purpose;
    send_whole(tunnel, 2, &byte, 1);
}

static void report_start(double *started, double *cpu) {
    *started = now();
    *cpu = cpu_seconds();
}

static void report(const char *what, double amount, double elapsed, double cpu) {
    printf("{\"%s\": %.9g, \"seconds\": %.6f, \"cpu_share\": %.4f", what, amount, elapsed,
           (cpu_seconds() - cpu) / elapsed);
}

/* ---- Loads ---- */

static unsigned char buffer[256 * KiB];

static void use_pattern(struct tunnel *tunnel, const unsigned char *bytes, size_t length) {
    tunnel->position = check_pattern(bytes, length, tunnel->position);
}

static void down(void) {
    struct tunnel *tunnel = open_tunnel();
    say_purpose(tunnel, DOWN);
    double started = 0, cpu = 0, first = now();
    uint64_t position = 0;
    for (;;) {
        ssize_t got = recv(tunnel->fd, buffer, sizeof buffer, 0);
        demand(got > 0, "the stream ended");
        parse(tunnel, buffer, got, use_pattern);
        if (!started && now() - first > WARM_UP_SECONDS) {
            report_start(&started, &cpu);
            position = tunnel->position;
        } else if (started && now() - started > seconds) {
            break;
        }
    }
    report("bytes", tunnel->position - position, now() - started, cpu);
    printf("}\n");
}

/* Write the pattern as messages of one size to a file, a whole number of both; return the file's size. */
static off_t make_messages(int file) {
    size_t count = PATTERN_BYTES; /* messages, until one starts where the pattern does */
    for (size_t n = 1; n < PATTERN_BYTES; n++)
        if (n * size % PATTERN_BYTES == 0) {
            count = n;
            break;
        }
    unsigned char *message = malloc(size + MOST_HEADER);
    demand(message != NULL && size <= PATTERN_BYTES, "the message is too large");
    off_t total = 0;
    for (size_t n = 0; n < count; n++) {
        size_t packed = pack(message, 2, pattern + n * size % PATTERN_BYTES, size);
        demand(write(file, message, packed) == (ssize_t)packed, "no memory for the messages");
        total += packed;
    }
    free(message);
    return total;
}

static void up(void) {
    int file = memfd_create("messages", 0);
    off_t total = make_messages(file), at = 0;
    struct tunnel *tunnel = open_tunnel();
    say_purpose(tunnel, UP);
    set_nonblocking(tunnel->fd);
    /* Not through the tunnel: some contestants send nothing down while much goes up. */
    int acknowledging = connect_to(backend);
    unsigned char word = WATCH;
    demand(send(acknowledging, &word, 1, MSG_NOSIGNAL) == 1, "the backend does not listen");
    int epoll = epoll_create1(0);
    watch(epoll, EPOLL_CTL_ADD, tunnel->fd, EPOLLOUT, tunnel);
    watch(epoll, EPOLL_CTL_ADD, acknowledging, EPOLLIN, NULL);
    double started = 0, ended = 0, cpu = 0, first = now();
    uint64_t arrived = 0;
    for (;;) {
        struct epoll_event event;
        demand(epoll_wait(epoll, &event, 1, GIVE_UP_SECONDS * 1000) == 1, "nothing moves");
        if (event.data.ptr == tunnel) {
            ssize_t sent = sendfile(tunnel->fd, file, &at, total - at);
            demand(sent > 0 || would_block(sent), "the stream was not accepted");
            if (at == total)
                at = 0;
            continue;
        }
        ssize_t got = recv(acknowledging, buffer, sizeof buffer, 0);
        demand(got > 0, "the backend has ended");
        ended = now();
        if (started)
            arrived += got * ACKNOWLEDGED_BYTES;
        if (!started && ended - first > WARM_UP_SECONDS)
            report_start(&started, &cpu);
        else if (started && ended - started > seconds)
            break;
    }
    report("bytes", arrived, ended - started, cpu);
    printf("}\n");
}

static void send_echo(struct tunnel *tunnel) {
    /* No two messages are alike, so that an echo that is late or of another tunnel is noticed. */
    uint64_t stamp[2] = {tunnel->position, (uintptr_t)tunnel};
    memcpy(tunnel->message, stamp, sizeof stamp < (size_t)size ? sizeof stamp : (size_t)size);
    tunnel->position = 0;
    tunnel->sent_at = now();
    send_whole(tunnel, 2, tunnel->message, size);
}

static void use_echo(struct tunnel *tunnel, const unsigned char *bytes, size_t length) {
    errno = 0;
    demand(tunnel->position + length <= (uint64_t)size &&
               memcmp(bytes, tunnel->message + tunnel->position, length) == 0,
           "the echo is not what was sent");
    tunnel->position += length;
}

static int by_value(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return difference < 0 ? -1 : difference > 0;
}

static void echo(void) {
    int epoll = epoll_create1(0);
    for (int n = 0; n < tunnels; n++) {
        struct tunnel *tunnel = open_tunnel();
        say_purpose(tunnel, ECHO);
        set_nonblocking(tunnel->fd);
        watch(epoll, EPOLL_CTL_ADD, tunnel->fd, EPOLLIN, tunnel);
        send_echo(tunnel);
    }
    size_t room = 1 << 16, count = 0;
    double *times = malloc(room * sizeof *times);
    double started = 0, cpu = 0, first = now();
    uint64_t serial = 0;
    for (;;) {
        struct epoll_event events[128];
        int ready = epoll_wait(epoll, events, 128, GIVE_UP_SECONDS * 1000);
        demand(ready > 0, "an echo is missing");
        for (int i = 0; i < ready; i++) {
            struct tunnel *tunnel = events[i].data.ptr;
            ssize_t got = recv(tunnel->fd, buffer, sizeof buffer, 0);
            demand(got > 0, "a tunnel was closed");
            parse(tunnel, buffer, got, use_echo);
            if (tunnel->position < (uint64_t)size)
                continue;
            if (started) {
                if (count == room)
                    times = realloc(times, (room *= 2) * sizeof *times);
                demand(times != NULL, "no memory");
                times[count++] = now() - tunnel->sent_at;
            }
            tunnel->position = ++serial;
            send_echo(tunnel);
        }
        if (!started && now() - first > WARM_UP_SECONDS)
            report_start(&started, &cpu);
        else if (started && now() - started > seconds)
            break;
    }
    report("count", count, now() - started, cpu);
    qsort(times, count, sizeof *times, by_value);
    printf(", \"p50_us\": %.2f, \"p99_us\": %.2f}\n", times[count / 2] * 1e6, times[count * 99 / 100] * 1e6);
}

static void receive_echo(struct tunnel *tunnel) {
    while (tunnel->position < (uint64_t)size) {
        ssize_t got = recv(tunnel->fd, buffer, sizeof buffer, 0);
        demand(got > 0, "an echo is missing");
        parse(tunnel, buffer, got, use_echo);
    }
}

/* Close as in RFC 6455, section 7.1.1, until the contestant's Close or the end of its stream. */
static void close_tunnel(struct tunnel *tunnel) {
    const unsigned char normal[2] = {1000 >> 8, 1000 & 255};
    if (!is_raw())
        send_whole(tunnel, CLOSE_FRAME, normal, 2);
    while (!is_raw() && tunnel->opcode != CLOSE_FRAME) {
        ssize_t got = recv(tunnel->fd, buffer, sizeof buffer, 0);
        demand(got >= 0 || errno == ECONNRESET, "a tunnel does not close");
        if (got <= 0)
            break;
        parse(tunnel, buffer, got, use_nothing);
    }
    close(tunnel->fd);
    free(tunnel);
}

static void open_and_close(void) {
    double started = 0, cpu = 0, first = now();
    uint64_t count = 0, position = 0;
    for (;;) {
        struct tunnel *tunnel = open_tunnel();
        unsigned char message[MOST_ECHO + 1] = {ECHO};
        memcpy(message + 1, pattern + position, size);
        memcpy(tunnel->message, pattern + position, size);
        send_whole(tunnel, 2, message, size + 1);
        receive_echo(tunnel);
        close_tunnel(tunnel);
        position = position + 1 < PATTERN_BYTES ? position + 1 : 0;
        if (started)
            count++;
        if (!started && now() - first > WARM_UP_SECONDS)
            report_start(&started, &cpu);
        else if (started && now() - started > seconds)
            break;
    }
    report("count", count, now() - started, cpu);
    printf("}\n");
}

static void hold(enum purpose purpose) {
    for (int n = 0; n < tunnels; n++) {
        struct tunnel *tunnel = open_tunnel();
        if (purpose == DOWN) {
            say_purpose(tunnel, DOWN);
            continue;
        }
        /* An idle tunnel has been used once: both of its ends are open. */
        unsigned char message[2] = {ECHO, 'x'};
        size = 1;
        tunnel->message[0] = 'x';
        send_whole(tunnel, 2, message, 2);
        receive_echo(tunnel);
    }
    puts("held");
    fflush(stdout);
    while (read(STDIN_FILENO, buffer, sizeof buffer) > 0)
        ;
}

int main(int count, char **words) {
    if (count != 8) {
        fprintf(stderr, "usage: client LOAD PORT PATH BACKEND SECONDS TUNNELS SIZE\n");
        return 2;
    }
    const char *load = words[1];
    port = atoi(words[2]);
    path = words[3];
    backend = atoi(words[4]);
    seconds = atof(words[5]);
    tunnels = atoi(words[6]);
    size = atoi(words[7]);
    make_pattern();
    errno = 0;
    demand(strcmp(load, "up") == 0 || size <= MOST_ECHO, "SIZE is too large for this load");
    if (strcmp(load, "down") == 0)
        down();
    else if (strcmp(load, "up") == 0)
        up();
    else if (strcmp(load, "echo") == 0)
        echo();
    else if (strcmp(load, "open") == 0)
        open_and_close();
    else if (strcmp(load, "hold-idle") == 0)
        hold(ECHO);
    else if (strcmp(load, "hold-stalled") == 0)
        hold(DOWN);
    else {
        fprintf(stderr, "no such load: %s\n", load);
        return 2;
    }
    return 0;
}
