"""Everything that can go wrong, as one family: each class is an exit code, each message is one sentence
that says what happened, with the value, and what to type next."""

from collections.abc import Callable


class FaceSearchError(Exception):
    """The command cannot go on; the message is shown to the user as it stands."""

    exit_code = 3


class UsageError(FaceSearchError):
    """The words of the command do not fit together."""

    exit_code = 2


class RootError(FaceSearchError):
    """One of the folders or photos to index is absent, unreadable or without a photo."""


class NoFaceError(FaceSearchError):
    """A photo that must show a face shows none."""

    exit_code = 4


class GalleryError(FaceSearchError):
    """The gallery does not exist or is damaged."""

    exit_code = 5


class DamagedGalleryError(GalleryError):
    """The database of the gallery is not what it was when it was written."""


class ModelError(FaceSearchError):
    """A model is unknown, missing or wrong."""

    exit_code = 6


class GalleryLockedError(FaceSearchError):
    """Another process is writing to the gallery."""

    exit_code = 8


class PhotoError(FaceSearchError):
    """One photo cannot be used. `status` is a `records.Status`, `reason` half a sentence without the path, `cause` a
    `records.Cause`. `needs` says what would help: the limit in megapixels of an option, or the module of a
    package."""

    def __init__(self, status: str, reason: str, cause: str = "file", needs: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason
        self.cause, self.needs = cause, needs


Note = Callable[[str], None]
