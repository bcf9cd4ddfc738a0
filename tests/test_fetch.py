"""Downloads, against a real HTTP server on the loopback: every way in which one can fail, and the cache."""
import hashlib
import http.server
import io
import os
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from pysift.fetch import fetch
from pysift.image import load_image

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
_buffer = io.BytesIO()
PIL.Image.fromarray(PIXELS).save(_buffer, format="PNG")
PNG = _buffer.getvalue()
SHA256 = hashlib.sha256(PNG).hexdigest()


def reply(body=PNG, kind="image/png", length=None, status="200 OK", more=""):
    """Return an HTTP answer as it goes over the wire; kind or length may be left out ("") or lie."""
    head = [f"HTTP/1.1 {status}", kind and f"Content-Type: {kind}", more,
            "" if length == "" else f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([line for line in head if line] + ["", ""]).encode() + body


PAGES = {
    "/cat.png":        reply(),
    "/octets":         reply(kind="application/octet-stream"),
    "/untyped":        reply(kind=""),
    "/unsized.png":    reply(length=""),
    "/moved.png":      reply(b"", status="302 Found", more="Location: /cat.png"),
    "/missing.png":    reply(b"gone", "text/plain", status="404 Not Found"),
    "/broken.png":     reply(b"", status="500 Internal Server Error"),
    "/page.html":      reply(b"<html>", "text/html; charset=utf-8"),
    "/lying.png":      reply(b"<html>not a picture</html>"),
    "/empty.png":      reply(b""),
    "/cut.png":        reply(PNG[:99], length=len(PNG)),
    "/cut-chunks.png": reply(b"40\r\n" + PNG[:32], length="", more="Transfer-Encoding: chunked"),
    "/no-answer.png":  b"",
    "/no-http.png":    b"220 some other service\r\n",
    "/silent.png":     b"",                                      # and the connection stays open
    "/stalled.png":    reply(length=10 * len(PNG)),              # the same
}


class Pages(http.server.BaseHTTPRequestHandler):
    """Answers with the bytes of PAGES."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        self.wfile.write(self.server.pages[path])
        if path in ("/silent.png", "/stalled.png"):
            self.server.stopping.wait(20)
        self.close_connection = True

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """The server, what it was asked for, and a switch that ends it."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Pages)
        self.asked, self.pages, self.stopping = [], dict(PAGES), threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.thread.start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def stop(self):
        self.stopping.set()
        self.shutdown()
        self.thread.join()
        self.server_close()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A running server, and a cache that is empty before each test."""
    monkeypatch.setenv("SIFTGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    yield server
    if not server.stopping.is_set():
        server.stop()


def kept(folder):
    """Every file of a cache."""
    return sorted(p.relative_to(folder) for p in Path(folder).rglob("*") if p.is_file())


@pytest.mark.parametrize("page", ["cat.png", "cat.png?w=800&h=600", "octets", "untyped", "unsized.png",
                                  "moved.png"])
def test_an_image_is_kept_under_the_checksum_of_its_bytes(page, server, tmp_path):
    path = fetch(server.url(page))
    assert path == tmp_path / "cache" / SHA256
    assert path.read_bytes() == PNG
    entry = Path("urls", hashlib.sha256(server.url(page).encode()).hexdigest())
    assert kept(tmp_path / "cache") == sorted([Path(SHA256), entry])


def test_a_url_fetched_once_is_answered_without_the_network(server):
    first = fetch(server.url("cat.png"))
    server.stop()
    assert fetch(server.url("cat.png")) == first
    assert server.asked == ["/cat.png"]


def test_a_checksum_that_the_cache_holds_is_answered_without_the_network_for_any_url(server):
    first = fetch(server.url("cat.png"), sha256=SHA256.upper())
    server.stop()
    assert fetch(server.url("another.png"), sha256=SHA256) == first


def test_load_image_takes_a_url_and_its_second_call_takes_the_cache(server):
    np.testing.assert_array_equal(load_image(server.url("cat.png")), PIXELS)
    server.stop()
    np.testing.assert_array_equal(load_image(server.url("cat.png")), PIXELS)
    assert load_image(server.url("cat.png"), max_dim=15).shape == (10, 15, 3)


def test_a_damaged_cache_is_mended_by_a_new_download(server, tmp_path):
    path = fetch(server.url("cat.png"))
    path.write_bytes(PNG[:50])
    assert fetch(server.url("cat.png")).read_bytes() == PNG
    for nonsense in ("../../elsewhere", "", "\0", "é"):
        for entry in (tmp_path / "cache" / "urls").iterdir():
            entry.write_text(nonsense, encoding="utf-8")
        assert fetch(server.url("cat.png")).read_bytes() == PNG
    assert server.asked == ["/cat.png"] * 6


def test_a_new_checksum_for_a_known_url_downloads_it_again(server):
    fetch(server.url("cat.png"))
    server.pages["/cat.png"] = reply(PNG + b"changed")
    digest = hashlib.sha256(PNG + b"changed").hexdigest()
    assert fetch(server.url("cat.png"), sha256=digest).read_bytes() == PNG + b"changed"
    assert fetch(server.url("cat.png")).name == digest


def test_the_cache_argument_goes_before_the_environment(server, tmp_path):
    assert fetch(server.url("cat.png"), cache=tmp_path / "mine").parent == tmp_path / "mine"
    assert not (tmp_path / "cache").exists()


def test_the_cache_of_a_user_who_says_nothing_is_in_the_home_folder(server, tmp_path, monkeypatch):
    monkeypatch.delenv("SIFTGRAD_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetch(server.url("cat.png")).parent == tmp_path / ".cache" / "siftgrad"


def test_many_threads_that_fetch_one_url_all_get_it_whole(server, tmp_path):
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(fetch, [server.url("cat.png")] * 16))
    assert {p.read_bytes() for p in paths} == {PNG}
    assert len(kept(tmp_path / "cache")) == 2


@pytest.mark.parametrize("page, options, error, message", [
    ("missing.png", {}, OSError, "404 Not Found: check the address"),
    ("broken.png", {}, OSError, "500"),
    ("page.html", {}, ValueError, "text/html, not an image.*of a page"),
    ("cut.png", {}, OSError, f"cut after 99 of {len(PNG)} bytes: try again"),
    ("cut-chunks.png", {}, OSError, "download failed.*IncompleteRead.*try again"),
    ("no-answer.png", {}, OSError, "download failed.*closed connection"),
    ("no-http.png", {}, OSError, "download failed.*220 some other service"),
    ("empty.png", {}, OSError, "empty"),
    ("silent.png", {"timeout": 0.2}, TimeoutError, "no answer within 0.2 s.*longer timeout"),
    ("stalled.png", {"timeout": 0.2}, TimeoutError, "no answer within 0.2 s.*longer timeout"),
    ("cat.png", {"sha256": "0" * 64}, ValueError, f"{SHA256}, not {'0' * 64}.*checksum"),
    ("cat.png", {"max_bytes": 999}, ValueError, f"{len(PNG)} bytes, more than max_bytes=999.*larger"),
    ("unsized.png", {"max_bytes": 999}, ValueError, "more than 999 bytes.*larger max_bytes"),
])
def test_a_failed_download_says_why_and_leaves_nothing(page, options, error, message, server, tmp_path):
    start = time.monotonic()
    with pytest.raises(error, match=re.escape(server.url(page)) + ".*" + message):
        fetch(server.url(page), **options)
    assert time.monotonic() - start < 5                                 # the silent server would take 20 s
    assert kept(tmp_path / "cache") == []
    assert fetch(server.url("cat.png")).read_bytes() == PNG             # and the next one works


def test_content_of_exactly_max_bytes_is_accepted(server):
    assert fetch(server.url("cat.png"), max_bytes=len(PNG)).read_bytes() == PNG


def test_without_a_server_or_a_name_service_the_url_and_the_network_are_named(server):
    server.stop()
    for url, reason in ((server.url("cat.png"), "refused"), ("http://nowhere.invalid/cat.png", "")):
        with pytest.raises(OSError, match=f"{re.escape(url)}: the download failed.*{reason}.*check.*network"):
            fetch(url)


def test_a_proxy_that_is_down_counts_as_no_network(server, monkeypatch):
    monkeypatch.delenv("no_proxy")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    with pytest.raises(OSError, match="the download failed.*check the address and the network"):
        fetch("http://example.invalid/cat.png")
    assert server.asked == []


@pytest.mark.parametrize("url, error, message", [
    ("ftp://host/cat.png", ValueError, "not http://.*path of the file"),
    ("file:///etc/passwd", ValueError, "not http://.*path of the file"),
    ("cat.png", ValueError, "not http://"), ("http:///cat.png", ValueError, "not http://host"),
    ("http://host/a cat.png", ValueError, "spaces.*quote"), ("http://host/кот", ValueError, "ASCII.*quote"),
    ("http://host/\r\nX: y", ValueError, "spaces"), ("", ValueError, "''"),
    ("http://host:port/", ValueError, "malformed.*port"), ("http://[::1/", ValueError, "malformed"),
    ("http://a..b/cat.png", OSError, "a..b.*download failed"),
    (None, TypeError, "None.*NoneType"), (b"http://host/", TypeError, "bytes"),
])
def test_what_is_no_http_address_is_refused_by_value(url, error, message, server):
    with pytest.raises(error, match="(?s)" + message):
        fetch(url)
    assert server.asked == []


@pytest.mark.parametrize("option, value", [("sha256", "abc"), ("sha256", "g" * 64), ("timeout", 0),
                                           ("timeout", -1), ("timeout", float("nan"))])
def test_an_option_out_of_range_is_refused_before_the_network_is_asked(option, value, server):
    with pytest.raises(ValueError, match=f"{option}={value!r}"):
        fetch(server.url("cat.png"), **{option: value})
    assert server.asked == []


def test_a_cache_that_cannot_be_written_is_named_with_the_variable_that_moves_it(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file.*cannot be written.*SIFTGRAD_CACHE"):
        fetch(server.url("cat.png"), cache=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_write_that_breaks_off_leaves_no_half_file(server, tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        fetch(server.url("cat.png"))
    assert kept(tmp_path / "cache") == []


def test_a_page_that_calls_itself_an_image_is_refused_with_url_and_kept_file(server, tmp_path):
    url = server.url("lying.png")
    with pytest.raises(OSError, match=f"{re.escape(url)} .kept as {re.escape(str(tmp_path))}.*no image"):
        load_image(url)
