/* A connection of the client: TCP, the two pipes of a command, or TLS on TCP if it is compiled with -DTLS (and
 * linked with OpenSSL). */
#ifndef STREAM_H
#define STREAM_H

#include "wire.h"

enum security { PLAIN, OVER_TLS, RESUMED };

static enum security security;

#ifdef TLS
#include <openssl/err.h>
#include <openssl/ssl.h>

struct stream {
    int fd;
    int out; /* to write; the same for a socket */
    SSL *tls;
};

static SSL_CTX *context;
static SSL_SESSION *remembered;

/* Remember the latest session that the server offers to resume; TLS 1.3 offers it after the handshake. */
static int remember(SSL *tls, SSL_SESSION *session) {
    (void)tls;
    SSL_SESSION_free(remembered);
    remembered = session;
    return 1;
}

static void prepare_streams(void) {
    if (security == PLAIN)
        return;
    context = SSL_CTX_new(TLS_client_method());
    demand(context != NULL, "no TLS");
    SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, 64 * KiB);
    if (security == RESUMED) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, remember);
    }
}

/* Shake hands. The certificate is not verified: this measures. */
static void secure(struct stream *stream) {
    if (security == PLAIN)
        return;
    stream->tls = SSL_new(context);
    demand(stream->tls != NULL && SSL_set_fd(stream->tls, stream->fd), "no memory for TLS");
    if (remembered)
        SSL_set_session(stream->tls, remembered);
    demand(SSL_connect(stream->tls) == 1, "no TLS handshake");
}

/* Report whether the handshake of a stream was an abbreviated one. */
static int was_resumed(const struct stream *stream) {
    return stream->tls && SSL_session_reused(stream->tls);
}

/* Turn a result of OpenSSL's into one of recv() and send(). */
static ssize_t as_of_socket(struct stream *stream, int result) {
    if (result > 0)
        return result;
    int error = SSL_get_error(stream->tls, result);
    ERR_clear_error();
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else if (error != SSL_ERROR_SYSCALL || errno == 0)
        errno = ECONNRESET; /* the end of the stream without close_notify */
    return -1;
}

static ssize_t stream_receive(struct stream *stream, void *bytes, size_t room) {
    if (!stream->tls)
        return read(stream->fd, bytes, room);
    return as_of_socket(stream, SSL_read(stream->tls, bytes, room));
}

/* Each call is a record or more: a browser's messages are records of their own as well. */
static ssize_t stream_send(struct stream *stream, const void *bytes, size_t length) {
    if (!stream->tls)
        return write(stream->out, bytes, length);
    return as_of_socket(stream, SSL_write(stream->tls, bytes, length));
}

/* Report whether bytes were read from the socket that the socket will not report again. */
static int stream_holds(const struct stream *stream) {
    return stream->tls && SSL_has_pending(stream->tls);
}

static void stream_close(struct stream *stream) {
    if (stream->tls) {
        SSL_shutdown(stream->tls);
        ERR_clear_error();
        SSL_free(stream->tls);
    }
    if (stream->out != stream->fd)
        close(stream->out);
    close(stream->fd);
}

#else

struct stream {
    int fd;
    int out; /* to write; the same for a socket */
};

static void prepare_streams(void) {
    errno = 0;
    demand(security == PLAIN, "this client was compiled without TLS");
}

static void secure(struct stream *stream) {
    (void)stream;
}

static int was_resumed(const struct stream *stream) {
    (void)stream;
    return 0;
}

static ssize_t stream_receive(struct stream *stream, void *bytes, size_t room) {
    return read(stream->fd, bytes, room);
}

static ssize_t stream_send(struct stream *stream, const void *bytes, size_t length) {
    return write(stream->out, bytes, length);
}

static int stream_holds(const struct stream *stream) {
    (void)stream;
    return 0;
}

static void stream_close(struct stream *stream) {
    if (stream->out != stream->fd)
        close(stream->out);
    close(stream->fd);
}

#endif
#endif
