"""Who may use the page: whoever opened the address that was printed. Its token works once and becomes a cookie. The
secret in that cookie is kept in the home, so that an open page goes on when the server comes back at its port."""

import os
import secrets
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from facesearch.errors import FaceSearchError
from facesearch.files import write_whole
from facesearch.home import home, private_folder

IDLE_SECONDS = 8 * 3600.0  # a working day: a page that is left open overnight asks to be opened anew
_STORED_EVERY = 60.0  # seconds between two notes of when the page was last used
_LONGEST = 4096  # bytes of a file of a session
_BYTES = 32  # of a secret

Entry = Literal["in", "used", "wrong"]
Clock = Callable[[], float]


class _Stored(msgspec.Struct, frozen=True):
    """A session on the disk. `used` is when it was used last, in seconds since 1970."""

    gallery: str
    secret: str
    used: float


class Session:
    """One session, which all windows of a browser share. `clock` tells seconds since 1970: a monotonic clock may
    stand still while a machine sleeps."""

    def __init__(self, gallery: str, port: int, idle_seconds: float = IDLE_SECONDS, clock: Clock = time.time) -> None:
        """Goes on with the session of this gallery at this port where there is one. Raises FaceSearchError where the
        home cannot keep it."""
        self.port, self.cookie = port, f"facesearch-{port}"
        self._gallery, self._idle_seconds, self._clock = gallery, idle_seconds, clock
        self._path = _folder() / f"session-{port}.json"
        before = _read(self._path)
        goes_on = before is not None and before.gallery == gallery and not self._is_past(before.used)
        self._secret = before.secret if before and goes_on else secrets.token_urlsafe(_BYTES)
        self._token, self._used_tokens = secrets.token_urlsafe(_BYTES), list[str]()
        self._used = self._stored = clock()
        self._store()
        self._remove_old()

    @property
    def address(self) -> str:
        """What is to be opened in a browser. It works once."""
        return f"http://127.0.0.1:{self.port}/enter?token={self._token}"

    @property
    def is_over(self) -> bool:
        """Whether nobody has used it for so long that it has ended."""
        return self._is_past(self._used)

    def enter(self, token: str) -> Entry:
        """Uses a token up, if it is the one that is in the address. From then on the address has another one."""
        if _same(token, self._token):
            self._used_tokens.append(self._token)
            self._token = secrets.token_urlsafe(_BYTES)
            return "in"
        return "used" if any(_same(token, each) for each in self._used_tokens) else "wrong"

    def is_of(self, cookie: str) -> bool:
        """Whether this is the session's cookie."""
        return _same(cookie, self._secret)

    def cookie_to_set(self) -> str:
        """The header that gives a browser the cookie, until the browser ends."""
        return f"{self.cookie}={self._secret}; Path=/; HttpOnly; SameSite=Strict"

    def use(self) -> None:
        """Notes that somebody uses it."""
        self._used = self._clock()

    def keep(self) -> None:
        """Stores now and then when it was used. Waits for the disk. Never raises: it goes on without that."""
        if not 0 <= self._used - self._stored < _STORED_EVERY:
            self._stored = self._used
            with suppress(OSError):
                self._write()

    def end(self) -> None:
        """Forgets the secret, on the disk, too."""
        self._secret = self._token = secrets.token_urlsafe(_BYTES)
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _is_past(self, used: float) -> bool:
        return abs(self._clock() - used) >= self._idle_seconds  # a clock that was set back says nothing, either

    def _store(self) -> None:
        try:
            self._write()
        except OSError as error:
            raise FaceSearchError(
                f"The session of the page cannot be kept at {self._path} ({error.strerror}); make room there, or see "
                "that the folder is yours."
            ) from error

    def _write(self) -> None:
        write_whole(self._path, msgspec.json.encode(_Stored(self._gallery, self._secret, self._used)))

    def _remove_old(self) -> None:
        """Removes what servers at other ports have left that nobody can go on with."""
        for path in self._path.parent.glob("session-*.json"):
            stored = _read(path)
            if stored is None or self._is_past(stored.used):
                with suppress(OSError):
                    path.unlink(missing_ok=True)


def _folder() -> Path:
    folder = home() / "web"
    if folder.is_symlink():
        raise FaceSearchError(f"{folder} leads elsewhere, and secrets are kept in the home alone; remove that link.")
    try:
        return private_folder(folder)
    except OSError as error:
        raise FaceSearchError(f"{folder} cannot be made ({error.strerror}); see that its folder is yours.") from error


def _read(path: Path) -> _Stored | None:
    """A stored session; None where there is none that its owner alone could have written."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags)
    except OSError:
        return None
    try:
        if not _is_private(os.fstat(handle)):
            return None
        return msgspec.json.decode(os.read(handle, _LONGEST), type=_Stored)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    finally:
        os.close(handle)


def _is_private(found: os.stat_result) -> bool:
    if not stat.S_ISREG(found.st_mode):
        return False
    if not hasattr(os, "geteuid"):  # Windows: a user's folders are private by their place
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _same(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode(errors="surrogatepass"), wanted.encode())
