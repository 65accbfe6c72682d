"""What is known of a photo, and where the reason lies when it cannot be read."""

from enum import StrEnum


class Status(StrEnum):
    """What a gallery knows of a photo. Every photo has exactly one."""

    OK = "ok"
    NO_FACE = "no_face"
    UNREADABLE = "unreadable"  # it should be an image, but it cannot be decoded
    UNSUPPORTED = "unsupported"  # its content is not an image, or of a format that is not read here
    RAW = "raw"  # of a camera's sensor, and a package is missing that develops it: no failure
    SKIPPED = "skipped"  # of another kind for which a package is missing: no failure
    PAIRED = "paired"  # a raw photo beside a JPEG of the same shot, which stands for both
    TOO_LARGE = "too_large"
    CRASHED = "crashed"  # it broke its decoder, or a stage after it
    TIMEOUT = "timeout"  # its decoder did not come to an end
    FORGOTTEN = "forgotten"  # its faces were deleted because the user asked for it
    MISSING = "missing"  # it was indexed and is no longer on disk
    EXCLUDED = "excluded"  # it was indexed, and is in what is left out now


class Cause(StrEnum):
    """Where the reason of a failure lies, which says when a photo is worth another try."""

    FILE = "file"  # in its bytes: when they change
    MACHINE = "machine"  # in permissions, a disk, a share or too little memory: in every run
    OPTION = "option"  # in a limit of this run: when that is raised far enough
    PACKAGE = "package"  # in a package that is not installed: when it is


# Of these photos the content is not known. All but UNSUPPORTED for a cause in the file itself are failures.
# WAITING is for a package that the user may install.
WAITING = (Status.RAW, Status.SKIPPED)
FAILURES = (Status.UNREADABLE, Status.UNSUPPORTED, Status.TOO_LARGE, Status.CRASHED, Status.TIMEOUT)

# Photos that no search finds, whose faces wait until they are met again.
ABSENT = (Status.MISSING, Status.EXCLUDED)
