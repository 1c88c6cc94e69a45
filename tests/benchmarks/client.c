/* The client's side of the load: WebSocket (or plain) connections that send, receive and check.
 *
 * Usage: client LOAD SECURITY PORT PATH BACKEND SECONDS TUNNELS SIZE [COMMAND...]
 *
 *   LOAD     down, up, echo, open, or hold-idle, hold-stalled, hold-down, hold-up
 *   SECURITY plain, tls, or resumed: TLS with an abbreviated handshake where the contestant offers one
 *   PORT     of the contestant, on 127.0.0.1
 *   PATH     of its WebSocket; "-" means no WebSocket
 *   BACKEND  port of the backend, which reports how much has arrived
 *   SECONDS  how long to measure
 *   TUNNELS  how many at once
 *   SIZE     of a message, in bytes
 *   COMMAND  is started for each tunnel, whose plain bytes are its standard input and output; PORT is not used
 *
 * Prints one JSON object. The hold loads print "held" once all tunnels are open, and keep them open, or as busy
 * as they can, until standard input ends. Anything unexpected ends the program with an error.
 */
#include "stream.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define WARM_UP_SECONDS 0.2
#define MOST_HEADER 14
#define MOST_ECHO 100 /* so that its header is short */
#define CLOSE_FRAME 8
#define GIVE_UP_SECONDS 20

static int port, backend, tunnels, size;
static const char *path;
static char **command;
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

static unsigned char buffer[256 * KiB];

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
    struct stream stream;
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

/* Start the command, with a pipe to its standard input and another from its standard output. */
static void start_command(struct stream *stream) {
    int input[2], output[2];
    demand(pipe2(input, O_CLOEXEC) == 0 && pipe2(output, O_CLOEXEC) == 0, "pipe");
    pid_t child = fork();
    demand(child >= 0, "fork");
    if (child == 0) {
        dup2(input[0], STDIN_FILENO);
        dup2(output[1], STDOUT_FILENO);
        signal(SIGPIPE, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* not all notice that this client has ended */
        execv(command[0], command);
        demand(0, command[0]);
    }
    close(input[0]);
    close(output[1]);
    stream->out = input[1];
    stream->fd = output[0];
}

/* Open a tunnel: connect, and upgrade. */
static struct tunnel *open_tunnel(void) {
    struct tunnel *tunnel = calloc(1, sizeof *tunnel);
    demand(tunnel != NULL, "no memory");
    if (*command) {
        start_command(&tunnel->stream);
        return tunnel;
    }
    tunnel->stream.fd = tunnel->stream.out = connect_to(port);
    secure(&tunnel->stream);
    if (is_raw())
        return tunnel;
    char text[1024];
    int length = snprintf(text, sizeof text,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                          path, port);
    demand(stream_send(&tunnel->stream, text, length) == length, "the request was not sent");
    length = 0;
    do {
        ssize_t got = stream_receive(&tunnel->stream, text + length, sizeof text - 1 - length);
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
    demand(stream_send(&tunnel->stream, message, packed) == (ssize_t)packed, "a message was not sent");
}

static void say_purpose(struct tunnel *tunnel, enum purpose purpose) {
    unsigned char byte = purpose;
    send_whole(tunnel, 2, &byte, 1);
}

static void report_start(double *started, double *cpu) {
    *started = now();
    *cpu = cpu_seconds();
}

/* Report an amount, the seconds that it took, and the processor time of this program in them. */
static void report(const char *what, double amount, double elapsed, double cpu) {
    printf("{\"%s\": %.9g, \"seconds\": %.6f, \"cpu_share\": %.4f", what, amount, elapsed, cpu / elapsed);
}

/* ---- Loads ---- */

static void use_pattern(struct tunnel *tunnel, const unsigned char *bytes, size_t length) {
    tunnel->position = check_pattern(bytes, length, tunnel->position);
}

static void down(void) {
    struct tunnel *tunnel = open_tunnel();
    say_purpose(tunnel, DOWN);
    double started = 0, cpu = 0, first = 0; /* a command takes a while to start */
    uint64_t position = 0;
    for (;;) {
        ssize_t got = stream_receive(&tunnel->stream, buffer, sizeof buffer);
        demand(got > 0, "the stream ended");
        first = first ? first : now();
        parse(tunnel, buffer, got, use_pattern);
        if (!started && now() - first > WARM_UP_SECONDS) {
            report_start(&started, &cpu);
            position = tunnel->position;
        } else if (started && now() - started > seconds) {
            break;
        }
    }
    report("bytes", tunnel->position - position, now() - started, cpu_seconds() - cpu);
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

/* Messages that are sent over and over: a file, and the same in memory. */
struct messages {
    int file;
    off_t total;
    const unsigned char *bytes;
    size_t packed; /* the size of one */
};

static struct messages messages(void) {
    struct messages made = {.file = memfd_create("messages", 0)};
    made.total = make_messages(made.file);
    made.bytes = mmap(NULL, made.total, PROT_READ, MAP_SHARED, made.file, 0);
    demand(made.bytes != MAP_FAILED, "no room for the messages");
    unsigned char *one = malloc(size + MOST_HEADER);
    demand(one != NULL, "no memory");
    made.packed = pack(one, 2, pattern, size);
    free(one);
    return made;
}

/* Send as much as the socket accepts, from the page cache; over TLS one message. Position is where it goes on. */
static void pour(struct tunnel *tunnel, const struct messages *sent) {
    off_t at = tunnel->position;
    ssize_t accepted;
    if (security == PLAIN) {
        accepted = sendfile(tunnel->stream.out, sent->file, &at, sent->total - at);
    } else {
        accepted = stream_send(&tunnel->stream, sent->bytes + at, sent->packed);
        at += accepted > 0 ? accepted : 0;
    }
    demand(accepted > 0 || would_block(accepted), "the stream was not accepted");
    tunnel->position = at == sent->total ? 0 : at;
}

/* Watch what arrives at the backend. Not through the tunnel: some contestants send nothing down while much goes
 * up. */
static int watch_arrivals(int epoll) {
    int acknowledging = connect_to(backend);
    unsigned char word = WATCH;
    demand(send(acknowledging, &word, 1, MSG_NOSIGNAL) == 1, "the backend does not listen");
    watch(epoll, EPOLL_CTL_ADD, acknowledging, EPOLLIN, NULL);
    return acknowledging;
}

static uint64_t read_arrivals(int acknowledging) {
    ssize_t got = recv(acknowledging, buffer, sizeof buffer, 0);
    demand(got > 0, "the backend has ended");
    return got * ACKNOWLEDGED_BYTES;
}

static struct tunnel *open_busy(int epoll, enum purpose purpose) {
    struct tunnel *tunnel = open_tunnel();
    say_purpose(tunnel, purpose);
    int fd = purpose == UP ? tunnel->stream.out : tunnel->stream.fd;
    set_nonblocking(fd);
    watch(epoll, EPOLL_CTL_ADD, fd, purpose == UP ? EPOLLOUT : EPOLLIN, tunnel);
    return tunnel;
}

static void up(void) {
    struct messages sent = messages();
    int epoll = epoll_create1(0);
    open_busy(epoll, UP);
    int acknowledging = watch_arrivals(epoll);
    double started = 0, ended = 0, cpu = 0, first = 0;
    uint64_t arrived = 0;
    for (;;) {
        struct epoll_event event;
        demand(epoll_wait(epoll, &event, 1, GIVE_UP_SECONDS * 1000) == 1, "nothing moves");
        if (event.data.ptr) {
            pour(event.data.ptr, &sent);
            continue;
        }
        uint64_t more = read_arrivals(acknowledging);
        ended = now();
        if (started)
            arrived += more;
        first = first ? first : ended;
        if (!started && ended - first > WARM_UP_SECONDS)
            report_start(&started, &cpu);
        else if (started && ended - started > seconds)
            break;
    }
    report("bytes", arrived, ended - started, cpu_seconds() - cpu);
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
        send_echo(open_busy(epoll, ECHO));
    }
    size_t room = 1 << 16, count = 0;
    double *times = malloc(room * sizeof *times);
    double started = 0, cpu = 0, first = 0;
    uint64_t serial = 0;
    for (;;) {
        struct epoll_event events[128];
        int ready = epoll_wait(epoll, events, 128, GIVE_UP_SECONDS * 1000);
        demand(ready > 0, "an echo is missing");
        for (int i = 0; i < ready; i++) {
            struct tunnel *tunnel = events[i].data.ptr;
            do {
                ssize_t got = stream_receive(&tunnel->stream, buffer, sizeof buffer);
                demand(got > 0 || would_block(got), "a tunnel was closed");
                if (got > 0)
                    parse(tunnel, buffer, got, use_echo);
                else
                    break;
            } while (stream_holds(&tunnel->stream));
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
        first = first ? first : now();
        if (!started && now() - first > WARM_UP_SECONDS)
            report_start(&started, &cpu);
        else if (started && now() - started > seconds)
            break;
    }
    report("count", count, now() - started, cpu_seconds() - cpu);
    qsort(times, count, sizeof *times, by_value);
    demand(count > 0, "no echo");
    printf(", \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f}\n", times[count / 2] * 1e6,
           times[count * 99 / 100] * 1e6, times[count * 999 / 1000] * 1e6);
}

static void receive_echo(struct tunnel *tunnel) {
    while (tunnel->position < (uint64_t)size) {
        ssize_t got = stream_receive(&tunnel->stream, buffer, sizeof buffer);
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
        ssize_t got = stream_receive(&tunnel->stream, buffer, sizeof buffer);
        demand(got >= 0 || errno == ECONNRESET, "a tunnel does not close");
        if (got <= 0)
            break;
        parse(tunnel, buffer, got, use_nothing);
    }
    stream_close(&tunnel->stream);
    free(tunnel);
}

/* How many tunnels a process opened, how many of them with an abbreviated handshake, and its processor time. */
struct opened {
    uint64_t count, resumed;
    double seconds, cpu;
};

static void open_one_after_the_other(struct opened *opened) {
    double started = 0, cpu = 0, first = now();
    uint64_t position = 0;
    for (;;) {
        struct tunnel *tunnel = open_tunnel();
        unsigned char message[MOST_ECHO + 1] = {ECHO};
        memcpy(message + 1, pattern + position, size);
        memcpy(tunnel->message, pattern + position, size);
        tunnel->position = 0;
        send_whole(tunnel, 2, message, size + 1);
        receive_echo(tunnel);
        int resumed = was_resumed(&tunnel->stream);
        close_tunnel(tunnel);
        position = position + 1 < PATTERN_BYTES ? position + 1 : 0;
        if (started) {
            opened->count++;
            opened->resumed += resumed;
        }
        if (!started && now() - first > WARM_UP_SECONDS)
            report_start(&started, &cpu);
        else if (started && now() - started > seconds)
            break;
    }
    opened->seconds = now() - started;
    opened->cpu = cpu_seconds() - cpu;
}

/* Each of several at a time is a process, so that they do not wait for each other. */
static void open_and_close(void) {
    struct opened *opened =
        mmap(NULL, tunnels * sizeof *opened, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    demand(opened != MAP_FAILED, "no memory");
    for (int n = 0; n < tunnels; n++) {
        pid_t child = fork();
        demand(child >= 0, "fork");
        if (child == 0) {
            open_one_after_the_other(&opened[n]);
            exit(0);
        }
    }
    struct opened all = {0};
    double rate = 0;
    for (int n = 0; n < tunnels; n++) {
        int status;
        demand(wait(&status) > 0 && status == 0, "a tunnel could not be opened");
    }
    for (int n = 0; n < tunnels; n++) {
        rate += opened[n].count / opened[n].seconds;
        all.count += opened[n].count;
        all.resumed += opened[n].resumed;
        all.cpu += opened[n].cpu;
    }
    report("count", all.count, all.count / rate, all.cpu);
    printf(", \"resumed\": %.4f}\n", (double)all.resumed / all.count);
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

/* Keep tunnels as busy as they can be until standard input ends, and report how much went through. */
static void hold_busy(enum purpose purpose) {
    static struct tunnel parent;
    int epoll = epoll_create1(0), acknowledging = -1, held = 0;
    struct messages sent = {0};
    uint64_t moved = 0;
    double started = 0, cpu = 0, first = now();
    if (purpose == UP) {
        sent = messages();
        acknowledging = watch_arrivals(epoll);
    }
    for (int n = 0; n < tunnels; n++)
        open_busy(epoll, purpose);
    watch(epoll, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, &parent);
    for (;;) {
        struct epoll_event events[128];
        int ready = epoll_wait(epoll, events, 128, GIVE_UP_SECONDS * 1000);
        demand(ready > 0, "nothing moves");
        for (int i = 0; i < ready; i++) {
            struct tunnel *tunnel = events[i].data.ptr;
            if (tunnel == &parent) {
                report("bytes", moved, now() - started, cpu_seconds() - cpu);
                printf("}\n");
                return;
            }
            if (!tunnel) {
                moved += read_arrivals(acknowledging);
            } else if (purpose == UP) {
                pour(tunnel, &sent);
            } else {
                uint64_t before = tunnel->position;
                ssize_t got = stream_receive(&tunnel->stream, buffer, sizeof buffer);
                demand(got > 0 || would_block(got), "the stream ended");
                if (got > 0)
                    parse(tunnel, buffer, got, use_pattern);
                moved += tunnel->position - before;
            }
        }
        if (!held && now() - first > WARM_UP_SECONDS) {
            held = 1;
            moved = 0;
            report_start(&started, &cpu);
            puts("held");
            fflush(stdout);
        }
    }
}

int main(int count, char **words) {
    if (count < 9) {
        fprintf(stderr, "usage: client LOAD SECURITY PORT PATH BACKEND SECONDS TUNNELS SIZE [COMMAND...]\n");
        return 2;
    }
    const char *load = words[1];
    security = strcmp(words[2], "plain") == 0 ? PLAIN : strcmp(words[2], "tls") == 0 ? OVER_TLS : RESUMED;
    port = atoi(words[3]);
    path = words[4];
    backend = atoi(words[5]);
    seconds = atof(words[6]);
    tunnels = atoi(words[7]);
    size = atoi(words[8]);
    command = words + 9;
    signal(SIGPIPE, SIG_IGN); /* pipes have no MSG_NOSIGNAL */
    make_pattern();
    prepare_streams();
    errno = 0;
    demand(strstr(load, "up") || strstr(load, "down") || size <= MOST_ECHO, "SIZE is too large for this load");
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
    else if (strcmp(load, "hold-down") == 0)
        hold_busy(DOWN);
    else if (strcmp(load, "hold-up") == 0)
        hold_busy(UP);
    else {
        fprintf(stderr, "no such load: %s\n", load);
        return 2;
    }
    return 0;
}
