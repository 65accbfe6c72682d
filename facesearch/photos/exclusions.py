"""What is left out of the folders that are looked through: by default, by patterns that a user gave, and by
`.facesearchignore`, which has the rules of gitignore(5)."""

import errno
import os
import re
import threading
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from facesearch.errors import Note, PhotoError, UsageError
from facesearch.files import printable
from facesearch.photos.addresses import absolute, is_remote, parts_inside, separator
from facesearch.photos.file import open_regular, size_of
from facesearch.photos.whereabouts import VANISHED

IGNORE_FILE = ".facesearchignore"
_MOST_BYTES = 100_000  # of an ignore file; one of a few hundred patterns has 10,000
_MOST_PATTERNS = 1_000  # each takes 0.5 microseconds a file
_MOST_DOUBLE_STARS = (
    2  # before the last: a path of 4,000 letters takes 0.1 s with two, and each more thousands of times
)
_MOST_STARS = (
    3  # between two slashes, of those that remain when `_fast` has done its work: 3 ms a name of 250 letters
)
# In a regular expression of pathspec's a star of the pattern, and what stands between it and the next one.
_STAR = "[^/]*"
_BETWEEN_STARS = re.compile(r"\[\^/\]\*((?:\\.|\[[^\]]*\]|[^\\\[\](){}^$|.?*+/])+)(?=\[\^/\]\*)")
_FOLDERS = frozenset(  # in small letters: what systems and network disks keep for themselves
    ("@eadir", "#recycle", "@recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found")
)
_LIBRARY = ".photoslibrary"  # of Apple: a folder that holds the photos, and what is derived from them
_DERIVED = frozenset(("resources", "thumbnails", "previews", "private", "database", "internal"))
_compiling = threading.Lock()  # warnings are silenced for the whole process


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What a gallery leaves out of each of its folders: files and folders that `patterns` match, as lines of a
    `.facesearchignore` in that folder would; and, with `defaults`, what begins with a dot, bins, and thumbnails."""

    patterns: tuple[str, ...] = ()
    defaults: bool = True

    def __post_init__(self) -> None:
        """Raises UsageError for a pattern that is none, or too many."""
        if len(self.patterns) > _MOST_PATTERNS:
            raise UsageError(f"There are more than {_MOST_PATTERNS:,} patterns; put them into a {IGNORE_FILE}.")
        for pattern in self.patterns:
            if reason := _why_bad(_literal(pattern)) or ("" if pattern.strip() else "is empty"):
                raise UsageError(f"--exclude {printable(pattern)!r} {reason}; write it as in a .gitignore.")


@dataclass(frozen=True, slots=True)
class _Layer:
    """The patterns of one ignore file, and the folder that it lies in, with a separator at its end."""

    base: str
    patterns: tuple[
        tuple[re.Pattern[str], bool], ...
    ]  # and whether it leaves out; the last line first, as it decides

    def decides(self, path: str, is_folder: bool) -> bool | None:
        """Whether a path is left out; None where no pattern matches. A pattern that matches a folder above it was
        heard when that was met, and may since have been overruled by a file in between."""
        inner = path[len(self.base) :].replace(os.sep, "/") + "/" * is_folder
        for pattern, leaves_out in self.patterns:
            for found in pattern.finditer(inner):
                slash = found.groupdict().get("ps_d") and found.end("ps_d")  # the one behind a folder's name
                if slash in (None, len(inner)):
                    return leaves_out
        return None


class Rules:
    """What is left out under one root, which itself never is by default. Each ignore file is read once: make new
    rules for each run. `folders` and `files` count what was left out when it was met."""

    def __init__(self, root: str, exclusions: Exclusions | None = None, note: Note = lambda _: None) -> None:
        """`note` hears of lines in ignore files that are no patterns."""
        self.root = absolute(root)
        self.folders = self.files = 0
        chosen = exclusions or Exclusions()
        self._defaults, self._note = chosen.defaults, note
        self._given = _layer(self.root, [_literal(_within(self.root, each)) for each in chosen.patterns])
        self._layers: dict[str, tuple[_Layer, ...]] = {}  # by folder, innermost first
        self._without: set[str] = set()  # folders that are known to hold no ignore file
        self._refused: dict[str, tuple[int | None, str, str]] = {}  # by folder: why its ignore file cannot be read

    def admitted(self, folder: str, entries: Iterable["os.DirEntry[str]"]) -> list["os.DirEntry[str]"]:
        """The entries of a folder without those that are left out. Raises OSError where an ignore file cannot be
        read, so that nothing is found that it may leave out."""
        listed = list(entries)
        layers = self._of(folder, any(entry.name == IGNORE_FILE for entry in listed))
        is_library = folder.lower().endswith(_LIBRARY)
        is_usual = not layers and not is_library and self._defaults  # then names alone decide
        kept = []
        for entry in listed:
            if (
                self._is_for_the_system(entry)
                if is_usual
                else self._leaves_out(layers, entry.path, _is_folder(entry))
            ):
                self.folders += _is_folder(entry)
                self.files += not _is_folder(entry)
            else:
                kept.append(entry)
        return kept

    def leave_out(self, path: str, is_folder: bool = False) -> bool:
        """Whether what lies there under the root, or a folder above it, is left out. Raises OSError as `admitted`."""
        return self.left_out_at(path, is_folder) is not None

    def left_out_at(self, path: str, is_folder: bool = False) -> str | None:
        """What is left out of what lies there under the root and the folders above it, the outermost; None where
        nothing is. Raises OSError as `admitted`."""
        inner = parts_inside(path, self.root)
        folder = self.root
        for depth, name in enumerate(inner, 1):
            each = os.path.join(folder, name)
            if self._leaves_out(self._of(folder), each, is_folder or depth < len(inner)):
                return each
            folder = each
        return None

    def hear_of(self, path: str) -> None:
        """Learns which folders have no ignore file, so that nobody need ask, from a list of all that lies under the
        root, in the order of its names: `path` is the next of it."""
        folder = os.path.dirname(path)
        while folder not in self._layers and folder not in self._without and len(folder) >= len(self.root):
            if path > os.path.join(folder, IGNORE_FILE) and folder not in self._refused:
                self._without.add(folder)
            folder = os.path.dirname(folder)

    def _is_for_the_system(self, entry: "os.DirEntry[str]") -> bool:
        return entry.name.startswith(".") or (entry.name.lower() in _FOLDERS and _is_folder(entry))

    def _leaves_out(self, layers: tuple[_Layer, ...], path: str, is_folder: bool) -> bool:
        folder, name = os.path.split(path)
        small = name.lower()
        if self._defaults and (
            name.startswith(".")
            or (is_folder and small in _FOLDERS)
            or (is_folder and small in _DERIVED and folder.lower().endswith(_LIBRARY))
        ):  # no pattern brings them back, or `!*/`, as in many ignore files, would
            return True
        return next((decided for layer in layers if (decided := layer.decides(path, is_folder)) is not None), False)

    def _of(self, folder: str, has_file: bool | None = None) -> tuple[_Layer, ...]:
        """The patterns that count in a folder, those first that decide first."""
        if folder not in self._layers:
            above = os.path.dirname(folder)
            if folder != self.root:
                outer = self._of(above)
            else:
                upwards = () if is_remote(folder) else _upwards(above)
                outer = tuple(layer for each in upwards if (layer := self._read(each)))
                outer = (self._given, *outer) if self._given else outer
            own = None if has_file is False or folder in self._without else self._read_once(folder)
            given = outer[:1] if self._given else ()
            self._layers[folder] = (*given, own, *outer[len(given) :]) if own else outer
        return self._layers[folder]

    def _read_once(self, folder: str) -> _Layer | None:
        """As `_read`; what was refused is not asked for again with each photo of a folder. Raises OSError with the
        ignore file's name."""
        if folder not in self._refused:
            try:
                return self._read(folder)
            except OSError as error:
                said = error.strerror or str(error)
                reason = said if IGNORE_FILE in said else f"its {IGNORE_FILE} cannot be read: {said}"
                self._refused[folder] = error.errno, reason, os.path.join(folder, IGNORE_FILE)
        raise OSError(*self._refused[folder])

    def _read(self, folder: str) -> _Layer | None:
        path = os.path.join(folder, IGNORE_FILE)
        try:
            with open_regular(path) as file:
                data = file.read(_MOST_BYTES + 1)
                size = size_of(file)
        except PhotoError:
            return None  # a pipe, or a folder of that name
        except OSError as error:
            if error.errno in (*VANISHED, errno.EISDIR):
                return None
            raise
        lines = data.decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n").split("\n")
        if len(data) > _MOST_BYTES:
            raise OSError(errno.EFBIG, f"its {IGNORE_FILE} has {size:,} bytes, and {_MOST_BYTES:,} are read", path)
        if len(lines) > _MOST_PATTERNS:
            reason = f"its {IGNORE_FILE} has {len(lines):,} lines, and {_MOST_PATTERNS:,} are read"
            raise OSError(errno.EFBIG, reason, path)
        self._note_bad(path, lines)
        return _layer(folder, [line for line in lines if not _why_bad(line)])

    def _note_bad(self, path: str, lines: Sequence[str]) -> None:
        """One note for all lines of a file that are no patterns."""
        bad = [(number, line, reason) for number, line in enumerate(lines, 1) if (reason := _why_bad(line))]
        if bad:
            number, line, reason = bad[0]
            more = f" So do {len(bad) - 1:,} more." if len(bad) > 1 else ""
            self._note(
                f"{printable(path)}, line {number}: {printable(line[:40])!r} {reason}, and leaves out nothing.{more}"
            )


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads where nobody may look
        return False


def _within(root: str, pattern: str) -> str:
    """A pattern that is a path under the root, as shells complete it, made one that begins at the root."""
    mark = separator(root)
    inside = root.rstrip(mark)
    return pattern[len(inside) :] if pattern.startswith(inside + mark) else pattern


def _literal(pattern: str) -> str:
    """A pattern that a user gave alone: `#recycle` is no comment there."""
    return f"\\{pattern}" if pattern.startswith("#") else pattern


def _upwards(folder: str) -> Iterable[str]:
    """A folder and those above it, innermost first."""
    while True:
        yield folder
        above = os.path.dirname(folder)
        if above == folder:
            return
        folder = above


def _layer(folder: str, lines: list[str]) -> _Layer | None:
    """The patterns as they count in a folder; None where they are none."""
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    return _Layer(os.path.join(folder, ""), _compiled(lines)) if lines else None


def _why_bad(line: str) -> str:
    """Why a line of an ignore file is no pattern, half a sentence; empty where it is one."""
    if "\0" in line:
        return "holds a zero byte"
    if not line.strip() or line.startswith("#"):
        return ""
    if re.sub(r"(^|/)\*\*\s*$", "", line).count("**") > _MOST_DOUBLE_STARS:
        return "has too many double stars"
    try:
        compiled = _compiled([line])
    except (ValueError, re.error, OverflowError, RecursionError):
        return "is not a pattern"
    for pattern, _ in compiled:
        if any(part.count("\0") > _MOST_STARS for part in re.split("/|\0\\?", pattern.pattern.replace(_STAR, "\0"))):
            return "has too many stars"
    return ""


def _compiled(lines: list[str]) -> tuple[tuple[re.Pattern[str], bool], ...]:
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    with _compiling, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sets of letters that a later Python may read in another way
        # To pathspec a/** matches the folder a/ itself, which git does not mean.
        patterns = [GitIgnoreSpecPattern(re.sub(r"(^|/)\*\*\s*$", r"\1**/*", line)) for line in lines]
        found = [(each.regex.pattern, each.include) for each in reversed(patterns) if each.regex]
        return tuple((re.compile(_fast(regex)), bool(leaves_out)) for regex, leaves_out in found)


def _fast(regex: str) -> str:
    """The same expression, in time that does not grow with each star: what stands between two of them is best met as
    early as it can be, so the first one need never be tried with more."""
    return _BETWEEN_STARS.sub(rf"(?>{_STAR}?\1)", re.sub(rf"({re.escape(_STAR)})+", lambda _: _STAR, regex))
