"""Downloads of data sets, against a real HTTP server on the loopback: every way in which one can fail, and go on."""
import hashlib
import http.server
import re
import socket
import threading

import numpy as np
import pytest

from cnn.download import fetch

FILE = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(FILE).hexdigest()


class Files(http.server.BaseHTTPRequestHandler):
    """Serves FILE, whole or from a byte on; paths say what goes wrong."""

    def do_GET(self):
        start = int(re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1])
        self.server.asked.append((self.path, start))
        if self.path == "/missing":
            self.send_error(404)
            return
        if self.path == "/no-ranges":
            start = 0
        if start >= len(FILE) and start:
            self.send_error(416)
            return
        if self.path == "/silent":
            self.server.stopping.wait(20)
            return
        body = FILE[start:]
        self.send_response(206 if start else 200)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.path == "/cut" and len(self.server.asked) < 3
        self.wfile.write(body[:100_000] if cut else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("SIFTGRAD_CACHE", str(tmp_path / "cache"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    server.asked, server.stopping = [], threading.Event()
    server.url = lambda path: f"http://127.0.0.1:{server.server_address[1]}/{path}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.stopping.set()
    server.shutdown()
    thread.join()
    server.server_close()


def kept(tmp_path):
    return sorted(p.name for p in (tmp_path / "cache").iterdir())


@pytest.mark.parametrize("path", ["file", "unsized", "no-ranges"])
def test_a_file_is_kept_under_its_checksum_and_asked_for_once(path, server, tmp_path):
    for _ in range(2):
        assert fetch(server.url(path), SHA256).read_bytes() == FILE
    assert kept(tmp_path) == [SHA256] and len(server.asked) == 1


def test_progress_is_told_in_bytes_up_to_the_whole(server):
    told = []
    fetch(server.url("file"), SHA256, report=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(FILE), len(FILE)) and len(told) > 2
    assert told == sorted(told) and {total for _, total in told} == {len(FILE)}


def test_a_cut_connection_is_an_error_that_names_no_half_file_and_the_next_call_goes_on(server, tmp_path):
    for done in (100_000, 200_000):
        with pytest.raises(OSError, match=f"cut after {done} of {len(FILE)} bytes: try again to continue"):
            fetch(server.url("cut"), SHA256)
        assert kept(tmp_path) == [f"{SHA256}.part"]
    assert fetch(server.url("cut"), SHA256).read_bytes() == FILE
    assert server.asked == [("/cut", 0), ("/cut", 100_000), ("/cut", 200_000)]
    assert kept(tmp_path) == [SHA256]


@pytest.mark.parametrize("half", [FILE[:1000], FILE + b"more"])
def test_a_server_without_ranges_sends_the_whole_and_that_replaces_the_half(half, server, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"{SHA256}.part").write_bytes(half)
    assert fetch(server.url("no-ranges"), SHA256).read_bytes() == FILE
    assert server.asked == [("/no-ranges", len(half))]


def test_a_half_that_is_whole_already_needs_no_network(server, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"{SHA256}.part").write_bytes(FILE)
    assert fetch(server.url("file"), SHA256).read_bytes() == FILE
    assert server.asked == [] and kept(tmp_path) == [SHA256]


@pytest.mark.parametrize("half", [b"other" * 100, FILE + b"more"])
def test_a_half_of_another_file_is_thrown_away_with_an_error_and_then_all_is_well(half, server, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"{SHA256}.part").write_bytes(half)
    with pytest.raises((OSError, ValueError), match="try again"):
        fetch(server.url("file"), SHA256)
    assert kept(tmp_path) == []
    assert fetch(server.url("file"), SHA256).read_bytes() == FILE


def test_another_checksum_is_refused_with_both_named_and_nothing_kept(server, tmp_path):
    with pytest.raises(ValueError, match=f"{SHA256}, not {'0' * 64}"):
        fetch(server.url("file"), "0" * 64)
    assert kept(tmp_path) == []


def test_a_damaged_cache_is_downloaded_again(server, tmp_path):
    path = fetch(server.url("file"), SHA256)
    path.write_bytes(FILE[:-1] + b"?")
    assert fetch(server.url("file"), SHA256).read_bytes() == FILE


def test_a_missing_file_says_the_status_and_another_way(server, tmp_path):
    with pytest.raises(OSError, match="404.*by other means"):
        fetch(server.url("missing"), SHA256)
    assert SHA256 not in kept(tmp_path)


def test_silence_ends_after_the_timeout(server):
    with pytest.raises(TimeoutError, match="no answer within 0.2 s"):
        fetch(server.url("silent"), SHA256, timeout=0.2)


def test_no_network_names_the_address_and_the_network(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/file", "http://nowhere.invalid/file"):
        with pytest.raises(OSError, match=f"{re.escape(url)}: the download failed.*network"):
            fetch(url, SHA256, cache=tmp_path)
    assert SHA256 not in [p.name for p in tmp_path.iterdir()]


def test_a_cache_that_cannot_be_written_is_named_with_the_variable_that_moves_it(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file.*cannot be written.*SIFTGRAD_CACHE"):
        fetch("http://nowhere.invalid/file", SHA256, cache=tmp_path / "file")
