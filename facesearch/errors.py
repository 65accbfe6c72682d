"""Everything that can go wrong, as one family: each class is an exit code, each message is one sentence
that says what happened, with the value, and what to type next."""

from collections.abc import Callable
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """How a command ends. This is the one table of these numbers; the README explains them to users."""

    DONE = 0  # or yes
    NO = 1  # an honest no, and nothing else
    USAGE = 2
    ERROR = 3  # any that has no number of its own, the unforeseen ones included
    NO_FACE = 4
    GALLERY = 5  # missing or damaged
    MODEL = 6  # missing or wrong
    SOME_UNREAD = 7  # done, but some photos could not be read
    LOCKED = 8
    INTERRUPTED = 130  # what shells give a command that SIGINT ended: 128 + 2


class FaceSearchError(Exception):
    """The command cannot go on; the message is shown to the user as it stands."""

    exit_code: ClassVar[ExitCode] = ExitCode.ERROR


class UsageError(FaceSearchError):
    """The words of the command do not fit together."""

    exit_code = ExitCode.USAGE


class RootError(FaceSearchError):
    """One of the folders or photos to index is absent, unreadable or without a photo."""


class NoFaceError(FaceSearchError):
    """A photo that must show a face shows none."""

    exit_code = ExitCode.NO_FACE


class GalleryError(FaceSearchError):
    """The gallery does not exist or is damaged."""

    exit_code = ExitCode.GALLERY


class DamagedGalleryError(GalleryError):
    """The database of the gallery is not what it was when it was written."""


class ModelError(FaceSearchError):
    """A model is unknown, missing or wrong."""

    exit_code = ExitCode.MODEL


class GalleryLockedError(FaceSearchError):
    """Another process is writing to the gallery."""

    exit_code = ExitCode.LOCKED


class PhotoError(FaceSearchError):
    """One photo cannot be used. `status` is a `records.Status`, `reason` half a sentence without the path, `cause` a
    `records.Cause`. `needs` says what would help: the limit in megapixels of an option, or the module of a
    package."""

    def __init__(self, status: str, reason: str, cause: str = "file", needs: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason
        self.cause, self.needs = cause, needs

    def __reduce__(self) -> tuple[type["PhotoError"], tuple[str, str, str, str]]:
        """It travels between machines."""
        return type(self), (self.status, self.reason, self.cause, self.needs)


Note = Callable[[str], None]
