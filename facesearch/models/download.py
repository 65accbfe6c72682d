"""A file from a server, of a known SHA-256 and of no more than so many bytes."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facesearch.errors import FaceSearchError, ModelError, UsageError
from facesearch.files import printable, sha256_of
from facesearch.models.card import is_web_address

_BLOCK = 1 << 14  # bytes
_TIMEOUT = 30  # seconds without a byte
_TRIES = 4
_NOTHING_LEFT = 416  # the server's answer where all bytes are there already
_CONTINUES = 206

OnBytes = Callable[[int, int | None], None]


def download(url: str, unfinished: Path, target: Path, sha256: str, most: int, on_bytes: OnBytes) -> None:
    """Downloads to `target`, a new file, whose bytes are compared with the SHA-256 before it is there. What an
    interrupted download left in `unfinished` is gone on with where the server allows it, and that alone is left by
    one that fails. Raises UsageError for an address that is not on the web, ModelError for other bytes or more than
    `most`, FaceSearchError when the server does not give them."""
    if not is_web_address(url):
        raise UsageError(f"{printable(url)} is neither a web address (https:// or http://) nor a file.")
    try:
        _download_with_retries(url, unfinished, most, on_bytes)
        if sha256_of(unfinished) != sha256.lower():
            raise wrong_bytes(url, sha256)
        unfinished.replace(target)
    except ModelError:
        unfinished.unlink(missing_ok=True)  # nothing to go on from
        raise
    except OSError as error:
        raise FaceSearchError(f"{target} cannot be written: {error.strerror}.") from error


def wrong_bytes(origin: str, sha256: str) -> ModelError:
    """The sentence for bytes that are another file's."""
    return ModelError(
        f"{printable(origin)} is not the file that the card expects (SHA-256 {sha256[:12]}...); try again, or "
        "another mirror with --from."
    )


def too_many_bytes(origin: str, most: int) -> ModelError:
    """The sentence for a file that is larger than it may be."""
    return ModelError(
        f"{printable(origin)} gives more than the {most:,} bytes that the model may have, and was cut off; try "
        "another mirror with --from."
    )


def _download_with_retries(url: str, unfinished: Path, most: int, on_bytes: OnBytes) -> None:
    """Downloads to a file that is kept when it breaks off, and goes on where an earlier try stopped."""
    import requests

    failure: Exception | None = None
    for attempt in range(_TRIES):
        time.sleep(min(attempt, 2))
        try:
            return _continue(url, unfinished, most, on_bytes)
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code < 500:
                answer = printable(f"{error.response.status_code} ({error.response.reason})")
                raise FaceSearchError(f"{printable(url)} answers {answer}; try a mirror with --from.") from error
            failure = error
        except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
            raise FaceSearchError(
                f"{printable(url)} redirects to an address that is not on the web; try a mirror with --from."
            ) from error
        except requests.RequestException as error:
            failure = error
    raise FaceSearchError(
        f"{printable(url)} could not be downloaded ({_reason(failure)}); run it again to continue from there, or try "
        "a mirror with --from."
    )


def _reason(failure: Exception | None) -> str:
    """What a library says of a connection that was never made names its own classes."""
    from urllib3.exceptions import HTTPError

    was_reached = not (failure and failure.args and isinstance(failure.args[0], HTTPError))
    return printable(str(failure)) if was_reached else "its server cannot be reached"


def _continue(url: str, unfinished: Path, most: int, on_bytes: OnBytes) -> None:
    """One request for what is still missing. Raises requests' errors, also for an answer that ends early."""
    import requests

    there = unfinished.stat().st_size if unfinished.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={there}-"} if there else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == _NOTHING_LEFT:
            return
        answer.raise_for_status()
        done = there if answer.status_code == _CONTINUES else 0
        rest = _announced(answer)
        total = None if rest is None else done + rest
        if max(done, total or 0) > most:
            raise too_many_bytes(url, most)
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | (os.O_APPEND if done else os.O_TRUNC), 0o600)
        with os.fdopen(handle, "ab" if done else "wb") as file:
            for block in answer.iter_content(_BLOCK):
                done += len(block)
                if done > most:
                    raise too_many_bytes(url, most)
                file.write(block)
                on_bytes(done, total)
            file.flush()
            os.fsync(file.fileno())
        if total is not None and done < total:
            raise requests.ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")


def _announced(answer: Any) -> int | None:
    """How many bytes the server says that it will send; None where it says nothing that makes sense."""
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
