"""TLS records (RFC 8446 §5), sealed and opened by OpenSSL in buffers that all connections share.

Twisted passes each record through half a dozen calls and as many copies. Here the records of one read are
opened one after the other into one buffer, and those of one write are sealed into one.

This module alone uses what pyOpenSSL does not document: the ``SSL`` structure of a connection, its two memory
BIOs, and OpenSSL's functions. It leaves every connection as pyOpenSSL expects it: at any time between two
calls the connection's own methods may be called.
"""

from types import MappingProxyType
from typing import Any, Final

from OpenSSL import SSL, _util

from portofcall.limits.values import KiB
from portofcall.relay.interfaces import Buffer

#: What is used of pyOpenSSL's connections, each with a method that has to use it.
USED: Final = MappingProxyType(
    {"_ssl": "send", "_into_ssl": "bio_write", "_from_ssl": "bio_read", "_raise_ssl_error": "recv"}
)
#: What is used of OpenSSL.
FUNCTIONS: Final = (
    "BIO_get_mem_data", "BIO_new", "BIO_new_mem_buf", "BIO_read", "BIO_s_mem", "BIO_set_mem_eof_return",
    "BIO_write", "ERR_clear_error", "ERR_peek_error", "SSL_clear_mode", "SSL_get_error", "SSL_read",
    "SSL_set_bio", "SSL_set_mode", "SSL_set_options", "SSL_write",
)  # fmt: skip

#: The most plain text of a record (RFC 8446 §5.1).
RECORD_BYTES: Final = 16 * KiB
#: The most sealed bytes to open at a time.
MOST_SEALED_BYTES: Final = 256 * KiB
#: Up to this size, copying takes less time than not copying.
_COPIED_BYTES: Final = 2 * KiB
#: The work that one call may do, in records with data, and what a message of a handshake costs: a key update
#: takes as long as this many small records.
MOST_UNITS: Final = 256
_UNITS_PER_MESSAGE: Final = 32

_ffi: Any = _util.ffi
_lib: Any = _util.lib
_NULL: Final = _ffi.NULL


#: What came of some sealed bytes. The plain text, in a buffer that the next call overwrites; why nothing can
#: follow it, as `SSL.Connection.recv` raises it, or None (`SSL.ZeroReturnError` is the end of the stream);
#: how many of the last sealed bytes are left for a later turn; and whether anything but data may have come,
#: to which OpenSSL may have an answer (`Records.has_output`).
Opened = tuple[memoryview, SSL.Error | None, int, bool]


def missing(lib: Any, connection: type) -> str:
    """Return what this module needs and pyOpenSSL does not have; empty if it has all.

    Args:
        lib: OpenSSL's functions.
        connection: the class of pyOpenSSL's connections.
    """
    names = [name for name in FUNCTIONS if not hasattr(lib, name)]
    for name, method in USED.items():
        code = getattr(getattr(connection, method, None), "__code__", None)
        if code is None or name not in code.co_names:
            names.append(f"Connection.{name}")
    return ", ".join(names)


#: Why records can't be sealed and opened here; empty if they can.
UNAVAILABLE: Final = missing(_lib, SSL.Connection)


def _shared(size: int) -> tuple[memoryview, Any]:
    """Return a buffer for Python and for OpenSSL."""
    buffer = bytearray(size)
    return memoryview(buffer), _ffi.from_buffer(buffer)


# The reactor has one thread, and the content is used before the next call. A record that was received in part
# may be completed by the first sealed byte.
_PLAIN_BYTES: Final = MOST_SEALED_BYTES + 2 * RECORD_BYTES
_PLAIN, _PLAIN_AT = _shared(_PLAIN_BYTES)
# With room for one record more than fits, and whatever OpenSSL has to say before it.
_SEALED, _SEALED_AT = _shared(MOST_SEALED_BYTES + 3 * RECORD_BYTES)
_LAST_RECORD_AT: Final = MOST_SEALED_BYTES + RECORD_BYTES
_MOST_OUTPUT_BYTES: Final = 2 * RECORD_BYTES


class Records:
    """Seals what one side of a connection sends, and opens what it gets. Renegotiation is refused.

    Args:
        connection: with memory BIOs, after its handshake.
    """

    __slots__ = ("_connection", "_one_at_a_time", "_out", "_ssl")

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection: Any = connection
        self._ssl = self._connection._ssl
        self._out = self._connection._from_ssl
        self._one_at_a_time = False
        _lib.SSL_set_options(self._ssl, SSL.OP_NO_RENEGOTIATION)

    @property
    def has_output(self) -> bool:
        """Whether OpenSSL has something to send, which `SSL.Connection.bio_read` returns."""
        return bool(_lib.BIO_get_mem_data(self._out, _NULL))

    def seal_record(self, data: bytes) -> memoryview:
        """Encrypt a small message.

        Args:
            data: at most `RECORD_BYTES`.

        Returns:
            What to send in its place; see `seal`. If that is nothing, `seal` does nothing either.
        """
        # Older errors change nothing of this, and `seal`, which comes next if it fails, removes them first.
        size = len(data)
        if _lib.SSL_write(self._ssl, data, size) != size:
            return _SEALED[:0]
        sealed = _lib.BIO_read(self._out, _SEALED_AT, _MOST_OUTPUT_BYTES)
        return _SEALED[: sealed if sealed > 0 else 0]

    def seal(self, data: Buffer, start: int, end: int) -> tuple[int, int]:
        """Encrypt ``data`` from ``start``, as much as goes at a time.

        Args:
            data: what to send.
            start: its first byte that is not sealed yet.
            end: how much is in the shared buffer already, for this connection.

        Returns:
            The new ``start``, and how much is in the buffer now; see `sealed`. If nothing was sealed although
            the buffer was empty, `SSL.Connection.send` returns or raises why.
        """
        write, read, ssl, out = _lib.SSL_write, _lib.BIO_read, self._ssl, self._out
        size = len(data)
        _lib.ERR_clear_error()
        with _ffi.from_buffer(data) as source:
            while start < size and end <= _LAST_RECORD_AT:
                count = write(ssl, source + start, min(size - start, RECORD_BYTES))
                if count <= 0:
                    break
                start += count
                # At once, so that the BIO, which never shrinks, has to hold one record.
                sealed = read(out, _SEALED_AT + end, _MOST_OUTPUT_BYTES)
                end += sealed if sealed > 0 else 0
        return start, end

    @staticmethod
    def sealed(end: int) -> memoryview:
        """Return what to send in place of the data that was sealed."""
        return _SEALED[:end]

    def open(self, sealed: memoryview) -> Opened:
        """Decrypt what has come, within the budget of one turn; see `MOST_UNITS`.

        Args:
            sealed: at most `MOST_SEALED_BYTES`.
        """
        if not self._one_at_a_time:
            # Otherwise one call would go through any number of key updates.
            self._one_at_a_time = True
            _lib.SSL_clear_mode(self._ssl, _lib.SSL_MODE_AUTO_RETRY)
        into, size = self._connection._into_ssl, len(sealed)
        if _lib.ERR_peek_error():
            _lib.ERR_clear_error()
        if size <= _COPIED_BYTES:
            _lib.BIO_write(into, bytes(sealed), size)
            count = _lib.SSL_read(self._ssl, _PLAIN_AT, _PLAIN_BYTES)
            if count > 0 and not _lib.BIO_get_mem_data(into, _NULL):
                # As it mostly is: one record, whole.
                return _PLAIN[:count], None, 0, False
            return self._read(count)
        # Released at once: the garbage collector of CPython 3.11 crashes on views that are exported.
        with _ffi.from_buffer(sealed) as source:
            if _lib.BIO_get_mem_data(into, _NULL):
                _lib.BIO_write(into, source, size)
                return self._read()
            # The BIO reads from the caller's buffer, and is gone before that is overwritten.
            self._read_from(_lib.BIO_new_mem_buf(source, size))
            try:
                return self._read()
            finally:
                self._read_from(_lib.BIO_new(_lib.BIO_s_mem()))

    def release(self) -> None:
        """Have `SSL.Connection.recv` read on behind messages without data, as pyOpenSSL does."""
        self._one_at_a_time = False
        _lib.SSL_set_mode(self._ssl, _lib.SSL_MODE_AUTO_RETRY)

    def _read_from(self, bio: Any) -> None:
        if bio == _NULL:
            raise MemoryError("OpenSSL has no memory left")
        _lib.BIO_set_mem_eof_return(bio, -1)
        # This frees the BIO before.
        self._connection._into_ssl = bio
        _lib.SSL_set_bio(self._ssl, bio, self._out)

    def _read(self, count: int | None = None) -> Opened:
        """Read within the budget, and remove from the BIO what it does not cover.

        Args:
            count: what the first call of ``SSL_read`` has returned, if it was made.
        """
        read, pending = _lib.SSL_read, _lib.BIO_get_mem_data
        ssl, bio = self._ssl, self._connection._into_ssl
        end = units = 0
        other = False
        while True:
            if count is None:
                count = read(ssl, _PLAIN_AT + end, _PLAIN_BYTES - end)
            if count > 0:
                end += count
                units += 1
            elif _lib.SSL_get_error(ssl, count) == _lib.SSL_ERROR_WANT_READ:
                other = True
                units += _UNITS_PER_MESSAGE
            else:
                return _PLAIN[:end], self._problem(count), 0, True
            count = None
            left = pending(bio, _NULL)
            if not left or units >= MOST_UNITS:
                if left:
                    _lib.BIO_read(bio, _SEALED_AT, left)
                return _PLAIN[:end], None, left, other

    def _problem(self, count: int) -> SSL.Error:
        try:
            self._connection._raise_ssl_error(self._ssl, count)
        except SSL.Error as problem:
            # Or it would keep everything alive that is on the stack now.
            return problem.with_traceback(None)
        return SSL.Error([])
