"""Download a picture once, and know it by the checksum of its bytes.

    URL  →  bytes, complete and an image  →  sha256  →  CACHE/<sha256>
                                                        CACHE/urls/<sha256 of the URL>, which names the former

A URL that was fetched once is answered from the cache, without the network, after its checksum has been
verified again.  CACHE is $SIFTGRAD_CACHE, or ~/.cache/siftgrad; deleting it is always safe.

imports: nothing of pysift
"""
from __future__ import annotations

import contextlib
import hashlib
import http.client
import logging
import os
import re
import urllib.error
import urllib.parse
import urllib.request
import uuid
from os import PathLike
from pathlib import Path

_log = logging.getLogger("pysift")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch(url: str, *, sha256: str | None = None, cache: str | PathLike[str] | None = None,
          timeout: float = 30.0, max_bytes: int = 1 << 26) -> Path:
    """Return the path of a file that holds what `url` answers, downloading it at most once.

    Parameters
    ----------
    url : http or https, percent-encoded
    sha256 : the checksum that the content must have, 64 hexadecimal digits; None accepts any
    cache : folder to keep the content in
    timeout : longest silence of the server, in seconds
    max_bytes : largest content accepted

    Raises
    ------
    OSError : no network, no such server or page, silence (TimeoutError), a connection cut before the end,
        or a cache that cannot be written.
    ValueError : a URL that is not http(s), content that is no image, too large or of another checksum, or
        a malformed `sha256` or `timeout`.
    TypeError : `url` is no str.
    """
    _check_url(url)
    if not timeout > 0:
        raise ValueError(f"timeout={timeout!r} must be a positive number of seconds, e.g. 30")
    if sha256 is not None and not _SHA256.fullmatch(sha256.lower()):
        raise ValueError(f"sha256={sha256!r} must be 64 hexadecimal digits, as sha256sum prints them")
    folder = Path(cache or os.environ.get("SIFTGRAD_CACHE") or "~/.cache/siftgrad").expanduser()
    entry = folder / "urls" / hashlib.sha256(url.encode()).hexdigest()
    known = sha256.lower() if sha256 else _entry(entry)
    if known and _holds(folder / known, known):
        return folder / known
    data = _download(url, timeout, max_bytes)
    digest = hashlib.sha256(data).hexdigest()
    if sha256 and digest != known:
        raise ValueError(f"{url} has the sha256 {digest}, not {known}: it was replaced or tampered with; "
                         "check the address, or pass the new checksum if you trust it")
    _write(folder / digest, data)
    _write(entry, digest.encode())
    _log.info("%s: %d bytes kept as %s", url, len(data), folder / digest)
    return folder / digest


def _check_url(url: str) -> None:
    if not isinstance(url, str):
        raise TypeError(f"url={url!r} must be a str, not a {type(url).__name__}")
    if not re.fullmatch(r"[!-~]+", url):
        raise ValueError(f"url={url!r} holds spaces or characters beyond ASCII: use urllib.parse.quote")
    try:
        parts = urllib.parse.urlsplit(url)
        scheme, host, _ = parts.scheme, parts.hostname, parts.port      # a port that is no number raises
    except ValueError as error:
        raise ValueError(f"url={url!r} is malformed ({error}): check its host and port") from None
    if scheme not in ("http", "https") or not host:
        raise ValueError(f"url={url!r} is not http://host/… or https://host/…: download it by other means "
                         "and pass the path of the file")


def _download(url: str, timeout: float, max_bytes: int) -> bytes:
    """Return the whole body of the answer, or say in one sentence why there is none."""
    request = urllib.request.Request(url, headers={"User-Agent": "siftgrad"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            expected = response.length                 # Content-Length; None if the server does not tell
            _check_answer(url, response.headers, expected, max_bytes)
            data = response.read(max_bytes + 1)        # a cut connection ends this early, without an error
    except urllib.error.HTTPError as error:
        error.close()
        raise OSError(f"{url}: the server answers {error.code} {error.reason}: check the address") from None
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            raise TimeoutError(f"{url}: no answer within {timeout:g} s: try again, or pass a longer "
                               "timeout") from error
        raise OSError(f"{url}: the download failed ({reason}): check the address and the network, and try "
                      "again") from error
    if len(data) > max_bytes:
        raise ValueError(f"{url} sends more than {max_bytes} bytes: pass a larger max_bytes if you trust it")
    if expected is not None and len(data) < expected:
        raise OSError(f"{url}: the connection was cut after {len(data)} of {expected} bytes: try again")
    if not data:
        raise OSError(f"{url}: the answer is empty: check the address")
    return data


def _check_answer(url: str, headers, length: int | None, max_bytes: int) -> None:
    kind = headers.get_content_type() if "Content-Type" in headers else "application/octet-stream"
    if not kind.startswith("image/") and kind not in ("application/octet-stream", "binary/octet-stream"):
        raise ValueError(f"{url} is {kind}, not an image: give the address of the picture itself, not of a "
                         "page that shows it")
    if length is not None and length > max_bytes:
        raise ValueError(f"{url} is {length} bytes, more than max_bytes={max_bytes}: pass a larger max_bytes "
                         "if you trust it")


def _entry(path: Path) -> str | None:
    """Return the checksum that the cache remembers for a URL, or None."""
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    return text if _SHA256.fullmatch(text) else None


def _holds(path: Path, digest: str) -> bool:
    """Whether the file is there and undamaged."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == digest
    except OSError:
        return False


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, so that a reader beside us never sees half of it."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        raise OSError(f"{path} cannot be written ({error}): set SIFTGRAD_CACHE to a folder where you may "
                      "write") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
