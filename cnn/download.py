"""Download a data set's file once, and know it by the checksum of its bytes.

    URL  →  CACHE/<sha256>.part, which a cut connection leaves and the next call continues  →  CACHE/<sha256>

A file gets its name only after its checksum was verified, so nobody reads half of it.  CACHE is $SIFTGRAD_CACHE, or
~/.cache/siftgrad; deleting it is always safe.
"""
from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from os import PathLike
from pathlib import Path

_PIECE = 1 << 16                                             # bytes read at a time


def fetch(url: str, sha256: str, *, cache: str | PathLike[str] | None = None, timeout: float = 30.0,
          report: Callable[[int, int | None], object] = lambda done, total: None) -> Path:
    """Return the path of the file with this checksum; download it, or the rest of it, if the cache has none.

    Parameters
    ----------
    url : http or https
    sha256 : of the whole file, 64 hexadecimal digits
    cache : folder to keep the file in
    timeout : longest silence of the server, in seconds
    report : called with the bytes that are here and those of the whole file, None where the server does not tell

    Raises
    ------
    OSError : no network, no such server or file, silence, a connection cut before the end, a cache that cannot be
        written; what came is kept for the next call
    ValueError : the bytes have another checksum; they are thrown away
    """
    folder = Path(cache or os.environ.get("SIFTGRAD_CACHE") or "~/.cache/siftgrad").expanduser()
    path, part = folder / sha256, folder / f"{sha256}.part"
    if path.exists() and _digest(path) == sha256:
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.open("ab").close()
    except OSError as error:
        raise OSError(f"{folder} cannot be written ({error}): set SIFTGRAD_CACHE to a folder where you may "
                      "write") from error
    if _digest(part) != sha256:                              # whole where a process died just before the renaming
        _continue(url, part, timeout, report)
    digest = _digest(part)
    if digest != sha256:
        part.unlink()
        raise ValueError(f"{url} has the sha256 {digest}, not {sha256}: it was replaced, tampered with or mixed up "
                         "with an earlier half; try again, or get the file by other means and pass its folder by "
                         "--data, or weights by --weights")
    os.replace(part, path)
    return path


def _continue(url: str, part: Path, timeout: float, report: Callable[[int, int | None], object]) -> None:
    """Append to `part` what it lacks, or say in one sentence why that failed."""
    here = part.stat().st_size
    request = urllib.request.Request(url, headers={"User-Agent": "siftgrad"})
    if here:
        request.add_header("Range", f"bytes={here}-")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            _append(url, part, answer, here if answer.status == 206 else 0, report)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:                                # there is no rest: the half is of another file
            part.unlink()
            raise OSError(f"{url}: the half that was kept does not belong to this file: try again") from None
        raise OSError(f"{url}: the server answers {error.code} {error.reason}: get the file by other means and pass "
                      "its folder by --data, or weights by --weights") from None
    except TimeoutError as error:
        raise TimeoutError(f"{url}: no answer within {timeout:g} s: try again to continue") from error
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
        raise OSError(f"{url}: the download failed ({getattr(error, 'reason', error)}): check the network and "
                      "try again to continue, or get the file by other means and pass its folder by --data, or "
                      "weights by --weights") from error


def _append(url: str, part: Path, answer, start: int, report: Callable[[int, int | None], object]) -> None:
    total = None if answer.length is None else start + answer.length
    with part.open("r+b") as file:
        file.truncate(start)                                 # a server without ranges sends the whole again
        file.seek(start)
        while piece := answer.read(_PIECE):
            file.write(piece)
            report(file.tell(), total)
        done = file.tell()
    if total is not None and done < total:
        raise OSError(f"{url}: the connection was cut after {done} of {total} bytes: try again to continue")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
