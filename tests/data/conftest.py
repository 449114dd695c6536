"""For tests of data sets: a web server on this machine, and no way to any other."""

import http.server
import socket
import threading

import pytest


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Connecting to anything but this machine fails the test."""
    connect = socket.socket.connect

    def local_only(self, address):
        assert isinstance(address, str) or address[0] == "127.0.0.1", f"a test tried to reach {address}"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def put(folder, files):
    """Write files, {path: bytes}, into a folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


class Site:
    """A web site of a few files, {path: bytes}; it notes every request, and the Range it asked for.

    cut: announce more bytes than are sent.  ranges: know them (206, 416).  breaks: after how many bytes to hang up, one number
    for each request to come; stalls: after how many to send nothing more, without hanging up.  encoding: a Content-Encoding to
    claim.  shift: answer ranges with others, so many bytes off.
    """

    def __init__(self, address):
        self.address, self.files, self.requests, self.cut = address, {}, [], False
        self.ranges, self.breaks, self.stalls, self.encoding, self.shift, self.asked = False, [], [], None, 0, []
        self.released = threading.Event()                         # ends the stalls

    def body(self, path, asked):
        """Status, first byte and content for a request."""
        whole = self.files[path]
        if not self.ranges or asked is None:
            return 200, 0, whole
        start = int(asked.removeprefix("bytes=").removesuffix("-")) + self.shift
        return (206, start, whole[start:]) if start < len(whole) else (416, start, b"")


@pytest.fixture
def site():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers["Range"]
            site.requests.append(self.path)
            site.asked.append(asked)
            if self.path not in site.files:
                return self.send_error(404)
            status, start, body = site.body(self.path, asked)
            self.send_response(status)
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{start + len(body)}")
            if site.encoding:
                self.send_header("Content-Encoding", site.encoding)
            self.send_header("Content-Length", str(len(body) + (100 if site.cut else 0)))
            self.end_headers()
            stall = site.stalls.pop(0) if site.stalls else None
            end = site.breaks.pop(0) if site.breaks else stall
            self.wfile.write(body[:end])
            if stall is not None:
                site.released.wait(5)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site = Site(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield site
        site.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def closed_address():
    """An address on this machine at which nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{probe.getsockname()[1]}"
