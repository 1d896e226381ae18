"""A real HTTP server on loopback that serves files with ranges and does, request by request, what a test tells it."""

import gzip
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

LONGEST_HANG = 20  # s; ends earlier when the server is closed


class Server:
    """files: {path: bytes}; faults: what to do with the next requests, `always` with those after them.

    A fault is a function of an Exchange; None serves as a good server does. requests: the Exchanges so far.
    """

    def __init__(self):
        self.files, self.faults, self.always = {}, [], None
        self.requests, self.closing = [], threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.owner = self
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def close(self):
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()

    def next_fault(self):
        return self.faults.pop(0) if self.faults else self.always


class Exchange:
    """One request and its answer. body: the whole file, None if there is none; start: first byte asked for."""

    def __init__(self, handler, server):
        self.handler, self.server, self.sent = handler, server, 0
        self.method, self.path = handler.command, unquote(handler.path.partition("?")[0])
        self.headers = dict(handler.headers)
        self.body = server.files.get(self.path.lstrip("/"))
        self.etag = None if self.body is None else f'"{hash(self.body)}"'
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        self.start = int(asked[1]) if asked else None

    def head(self, status, length=None, **headers):
        """Status line and headers; underscores of names stand for hyphens."""
        self.handler.send_response(status)
        if length is not None:
            self.handler.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.send_header("Connection", "close")
        self.handler.end_headers()

    def send(self, data):
        if self.method != "HEAD":
            self.handler.wfile.write(data)
            self.handler.wfile.flush()
            self.sent += len(data)

    def begin(self, body=None, **headers):
        """Headers of a good answer; returns what is to be sent."""
        body = self.body if body is None else body
        start = self.start
        if self.headers.get("If-Range", self.etag) != self.etag:
            start = None
        if start is None:
            self.head(200, len(body), ETag=self.etag, **headers)
            return body
        if start >= len(body):
            self.head(416, 0, Content_Range=f"bytes */{len(body)}")
            return b""
        span = f"bytes {start}-{len(body) - 1}/{len(body)}"
        self.head(206, len(body) - start, ETag=self.etag, Content_Range=span, **headers)
        return body[start:]

    def hang(self):
        self.server.closing.wait(LONGEST_HANG)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        exchange = Exchange(self, self.server.owner)
        self.server.owner.requests.append(exchange)
        fault = self.server.owner.next_fault()
        try:
            if fault:
                fault(exchange)
            elif exchange.body is None:
                exchange.head(404, 0)
            else:
                exchange.send(exchange.begin())
        except (BrokenPipeError, ConnectionResetError):
            pass  # the other side went away, as some tests want
        self.close_connection = True

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


def status(code, **headers):
    """Answer with a status and no body."""
    return lambda exchange: exchange.head(code, 0, **headers)


def cut(at):
    """Promise the whole file and close the connection after byte `at` of it."""

    def fault(exchange):
        start = exchange.start or 0
        exchange.send(exchange.begin()[: max(0, at - start)])

    return fault


def shorter(by):
    """Send a file that lacks its last bytes, with the length of what is sent."""
    return lambda exchange: exchange.send(exchange.begin(exchange.body[:-by]))


def longer(by):
    return lambda exchange: exchange.send(exchange.begin(exchange.body + bytes(by)))


def flip(position):
    """One wrong bit."""

    def fault(exchange):
        body = bytearray(exchange.body)
        body[position] ^= 1
        exchange.send(exchange.begin(bytes(body)))

    return fault


def other(content):
    """Another file under the same address."""
    return lambda exchange: exchange.send(exchange.begin(content))


def page(kind="text/html; charset=utf-8"):
    """An HTML page with status 200."""

    def fault(exchange):
        text = b"\n<!DOCTYPE html><html><body>Please sign in</body></html>"
        exchange.head(200, len(text), Content_Type=kind)
        exchange.send(text)

    return fault


def hang(after=None):
    """Say nothing, or stop after so many bytes of what is to be sent, and keep the connection open."""

    def fault(exchange):
        if after is not None:
            exchange.send(exchange.begin()[:after])
        exchange.hang()

    return fault


def drip(exchange):
    """A byte now and then, for three seconds."""
    for byte in exchange.begin()[:60]:
        exchange.send(bytes([byte]))
        if exchange.server.closing.wait(0.05):
            return


def disconnect(exchange):
    """Close the connection without an answer."""
    exchange.handler.connection.close()


def chunked(at):
    """Chunked transfer that ends after byte `at` without its last chunk."""

    def fault(exchange):
        exchange.head(200, Transfer_Encoding="chunked", ETag=exchange.etag)
        exchange.send(f"{at:x}\r\n".encode() + exchange.body[:at] + b"\r\n400\r\nabc")

    return fault


def chunked_whole(exchange):
    exchange.head(200, Transfer_Encoding="chunked", ETag=exchange.etag)
    exchange.send(f"{len(exchange.body):x}\r\n".encode() + exchange.body + b"\r\n0\r\n\r\n")


def ignore_range(exchange):
    exchange.start = None
    exchange.send(exchange.begin())


def wrong_range(exchange):
    """A range that begins elsewhere than asked."""
    start = (exchange.start or 0) + 7
    body = exchange.body
    span = f"bytes {start}-{len(body) - 1}/{len(body)}"
    exchange.head(206, len(body) - start, ETag=exchange.etag, Content_Range=span)
    exchange.send(body[start:])


def ignore_if_range(exchange):
    """The range of whatever the file is now."""
    exchange.headers.pop("If-Range", None)
    exchange.send(exchange.begin())


def compressed(at=None):
    """gzip on the way, although identity was asked for; cut after byte `at`."""

    def fault(exchange):
        packed = gzip.compress(exchange.body)
        exchange.head(200, len(packed), Content_Encoding="gzip", ETag=exchange.etag)
        exchange.send(packed[:at])

    return fault


def declares(length):
    """A Content-Length that is far too large."""

    def fault(exchange):
        exchange.head(200, length, ETag=exchange.etag)
        exchange.send(exchange.body)

    return fault


def slowly(pause, block=8192):
    """The right content, a block at a time."""

    def fault(exchange):
        content = exchange.begin()
        for k in range(0, len(content), block):
            exchange.send(content[k : k + block])
            if exchange.server.closing.wait(pause):
                return

    return fault
