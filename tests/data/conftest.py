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
        assert address[0] == "127.0.0.1", f"a test tried to reach {address}"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Site:
    """A web site of a few files, {path: bytes}; it notes every request.  `cut`: announce more bytes than are sent."""

    def __init__(self, address):
        self.address, self.files, self.requests, self.cut = address, {}, [], False


@pytest.fixture
def site():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            site.requests.append(self.path)
            if self.path not in site.files:
                return self.send_error(404)
            body = site.files[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) + (100 if site.cut else 0)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site = Site(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield site
        server.shutdown()
        thread.join()


@pytest.fixture
def closed_address():
    """An address on this machine at which nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{probe.getsockname()[1]}"
