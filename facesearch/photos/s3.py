"""Photos in S3, or in what speaks as it does (MinIO, Ceph and others), by s3fs.

Nothing is written, and nothing contacted but the endpoint: the one of AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, else
Amazon's. Credentials are those that every program of Amazon's finds, but for the address inside of Amazon's own
machines that would give some (see `libraries`)."""

import asyncio
import calendar
import errno
import hashlib
import os
import time
from collections.abc import Mapping
from concurrent.futures import wait
from datetime import datetime
from typing import Any

from facesearch import libraries
from facesearch.files import printable
from facesearch.interruption import is_asked
from facesearch.packages import how_to_install
from facesearch.photos.sources import Entry, Page, Read, holds_something

_CONNECT_SECONDS, _READ_SECONDS = 5, 10
_TRIES = 3  # so that silence ends after half a minute
_MOST_OF_A_PAGE = 1000  # objects: more S3 gives at no time
_FIRST_OF_FOLDER = 10  # objects that are asked for to see that there is one: the first may be a folder's mark
_BETWEEN_LOOKS = 0.1  # seconds between two looks whether an answer is still wanted
_MOST_SECONDS = 90  # for one request with all its tries, however slowly its answer trickles
_CODES = {
    "NoSuchBucket": (errno.ENXIO, "there is no bucket of that name"),
    "NoSuchKey": (errno.ENOENT, "there is no such object"),
    "404": (errno.ENOENT, "there is no such object"),
    "PermanentRedirect": (errno.EIO, "the bucket lies in another region; set AWS_REGION to it"),
    "301": (errno.EIO, "the bucket lies in another region; set AWS_REGION to it"),
    "InvalidObjectState": (errno.EACCES, "it lies in an archive, and must be restored first"),
}
_BUSY = ("InternalError", "ServiceUnavailable", "SlowDown", "500", "502", "503", "504")
_DENIED = "permission is denied ({code}); see that these credentials may list the bucket and read its objects"
_NO_CREDENTIALS = (
    "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or "
    "FSSPEC_S3_ANON=true for a bucket that is open to all"
)


class S3:
    """Asks S3, from whatever thread."""

    def __init__(self) -> None:
        """Raises OSError where s3fs is not installed."""
        libraries.settle("s3fs")
        try:
            from s3fs import S3FileSystem
        except ImportError as error:
            raise OSError(
                errno.ENOSYS, f"s3fs is not installed; install it with: {how_to_install('s3fs')}"
            ) from error
        config: dict[str, Any] = {
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
            "retries": {"total_max_attempts": _TRIES, "mode": "standard"},
        }
        if _endpoint():  # the name of a bucket is a part of no other machine's name
            config["s3"] = {"addressing_style": "path"}
        self._fs = S3FileSystem(config_kwargs=config, use_listings_cache=False, skip_instance_cache=True)
        self._fs.retries = 1  # its own, which would be beside those

    def holds(self, inside: str) -> bool:
        """See Source."""
        bucket, prefix = _folder(inside)
        first = self._list(bucket, prefix, MaxKeys=_FIRST_OF_FOLDER)
        if not first.get("IsTruncated") or not all(map(_is_mark, first["Contents"])):
            return not all(map(_is_mark, first.get("Contents", ())))
        return holds_something(self, inside)

    def file(self, inside: str) -> Entry | None:
        """See Source."""
        bucket, _, key = inside.partition("/")
        if not key:
            return None
        try:
            found = self._ask(self._fs._call_s3, "head_object", Bucket=bucket, Key=key)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return _entry(f"s3://{inside}", found["ContentLength"], found)

    def page(self, inside: str, is_deep: bool, place: object = None) -> Page:
        """See Source. Names that end with a slash stand for folders, as some programs make them."""
        bucket, prefix = _folder(inside)
        more = {} if place is None else {"ContinuationToken": place}
        shallow = {} if is_deep else {"Delimiter": "/"}
        found = self._list(bucket, prefix, MaxKeys=_MOST_OF_A_PAGE, **more, **shallow)
        listed = (each for each in found.get("Contents", ()) if not _is_mark(each))
        entries = [_entry(f"s3://{bucket}/{each['Key']}", each["Size"], each) for each in listed]
        return Page(entries, found.get("NextContinuationToken") if found.get("IsTruncated") else None)

    def read(self, inside: str, start: int, end: int) -> Read:
        """See Source."""
        bucket, _, key = inside.partition("/")
        try:
            return self._ask(self._get, bucket, key, start, end)  # type: ignore[no-any-return]
        except OSError as error:
            if error.errno == errno.ERANGE:  # there is nothing in it
                return Read(b"", 0, 0)
            raise

    async def _get(self, bucket: str, key: str, start: int, end: int) -> Read:
        answer = await self._fs._call_s3("get_object", Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}")
        blocks: list[bytes] = []
        wanted = end - start
        async with answer["Body"] as body:
            while wanted > 0 and (block := await body.read(wanted)):
                blocks.append(block)
                wanted -= len(block)
        whole = str(answer.get("ContentRange", "")).rpartition("/")[2]
        if not whole and start:
            raise OSError(errno.EIO, "it does not give a part of an object")
        return Read(b"".join(blocks), int(whole or answer["ContentLength"]), _tag(answer))

    def _list(self, bucket: str, prefix: str, **more: Any) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._ask(
            self._fs._call_s3, "list_objects_v2", Bucket=bucket, Prefix=prefix, **more
        )
        return found

    def _ask(self, function: Any, *args: Any, **more: Any) -> Any:
        """The answer of one request, for which an interrupted process does not wait. Raises OSError."""
        answer = asyncio.run_coroutine_threadsafe(function(*args, **more), self._fs.loop)
        end = time.monotonic() + _MOST_SECONDS
        while not wait((answer,), _BETWEEN_LOOKS).done:
            if is_asked() or time.monotonic() > end:
                answer.cancel()
                raise OSError(errno.EINTR if is_asked() else errno.ETIMEDOUT, f"{_place()} does not answer")
        try:
            return answer.result()
        except Exception as error:
            raise _explained(error) from error


def _is_mark(listed: Mapping[str, Any]) -> bool:
    """Whether an object only stands for a folder, as consoles make one."""
    return bool(listed["Key"].endswith("/"))


def _folder(inside: str) -> tuple[str, str]:
    """A bucket, and what the keys in a folder of it begin with."""
    bucket, _, key = inside.partition("/")
    return bucket, f"{key}/" if key else ""


def _entry(path: str, size: int, facts: Mapping[str, Any]) -> Entry:
    written: datetime = facts["LastModified"]
    return Entry(path, size, calendar.timegm(written.utctimetuple()) * 1_000_000_000, _tag(facts))


def _tag(facts: Mapping[str, Any]) -> int:
    """What S3 calls an entity's tag, as a number of 63 bits: another one after each change of content."""
    tag = str(facts.get("ETag") or "").strip('"')
    return int.from_bytes(hashlib.blake2b(tag.encode(), digest_size=8).digest(), "big") >> 1 if tag else 0


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


def _place() -> str:
    return _endpoint() or "S3"


def _explained(error: Exception) -> OSError:
    """The same as an OSError whose text is half a sentence. s3fs keeps what S3 answered as the cause."""
    from botocore.exceptions import ClientError, CredentialRetrievalError, NoCredentialsError, ProfileNotFound

    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__) and len(causes) < 8:
        causes.append(cause)
    for each in causes:
        if isinstance(each, NoCredentialsError):
            return OSError(errno.EACCES, _NO_CREDENTIALS)
        if isinstance(each, CredentialRetrievalError | ProfileNotFound):
            return OSError(errno.EACCES, f"there are no credentials: {_short(each)}")
        if isinstance(each, ClientError):
            return _of_answer(each.response.get("Error", {}), each)
    return _without_answer(error)


def _of_answer(said: Mapping[str, Any], error: Exception) -> OSError:
    code = str(said.get("Code", ""))
    if code in _CODES:
        return OSError(*_CODES[code])
    if code in ("InvalidRange", "416"):
        return OSError(errno.ERANGE, "it is shorter than that")
    if code in _BUSY:
        return OSError(errno.ETIMEDOUT, f"{_place()} is too busy ({printable(code)})")
    from s3fs.errors import ERROR_CODE_TO_EXCEPTION

    if ERROR_CODE_TO_EXCEPTION.get(code) is PermissionError:
        return OSError(errno.EACCES, _DENIED.format(code=printable(code)))
    return OSError(errno.EIO, f"it answers {_short(error)}")


def _without_answer(error: Exception) -> OSError:
    from aiohttp import ClientError
    from botocore.exceptions import BotoCoreError, HTTPClientError
    from botocore.exceptions import ConnectionError as NoConnectionError

    if isinstance(error, OSError) and error.errno and not isinstance(error, TimeoutError | ConnectionError):
        return error
    if isinstance(error, HTTPClientError | NoConnectionError | ClientError | TimeoutError | ConnectionError):
        return OSError(errno.ETIMEDOUT, f"{_place()} does not answer")
    if isinstance(error, BotoCoreError | ValueError):
        return OSError(errno.EINVAL, _short(error))
    return OSError(errno.EIO, f"{type(error).__name__}: {_short(error)}")


def _short(error: BaseException) -> str:
    return printable(" ".join(str(error).split())[:200])
