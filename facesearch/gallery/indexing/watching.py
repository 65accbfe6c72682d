"""Keeps a gallery up to date while photos come and go: one pass over all, then one over what changed, again and
again. The gallery's lock is held during a pass alone, so that other commands work in between."""

import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from facesearch.errors import GalleryLockedError, Note
from facesearch.files import printable
from facesearch.gallery.database import Database
from facesearch.gallery.indexing.passes import OnOutcome, Passes
from facesearch.gallery.indexing.tally import Tally
from facesearch.gallery.indexing.updating import Part, usable_roots, whole
from facesearch.gallery.records.run import RunSummary
from facesearch.photos.changes import SETTLED, Changes
from facesearch.photos.exclusions import IGNORE_FILE, Exclusions, Rules
from facesearch.photos.walk import may_be_photo

OnPass: TypeAlias = Callable[[RunSummary], None]

_LOOK_EVERY = 2.0  # seconds: whether a disk was mounted, or a photo that is a root itself has changed
_TRY_LOCK_EVERY = 1.0  # seconds, while another command writes to the gallery
_ALL_EVERY = 3600.0  # seconds: a pass over all, should the system have announced less than there was
_MOST_PARTS = 200  # that are looked through one by one; more are one pass over all


class Once:
    """Passes notes on, each once: of many passes all would say the same."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._said: set[str] = set()

    def __call__(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._note(text)

    def begin_again(self) -> None:
        """What was said may be said once more, for it may be so again."""
        self._said.clear()


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who hears of what happens: of each photo once it is stored, of each pass, and what a user should know."""

    on_outcome: OnOutcome
    on_pass: OnPass
    note: Once


def watch(passes: Passes, roots: Sequence[str], exclusions: Callable[[], Exclusions], watchers: Watchers) -> None:
    """Makes passes until it is interrupted. Between two of them it then returns, as nothing is left undone; in one
    it raises KeyboardInterrupt, and the next run goes on from what is stored. Also returns when the gallery looks
    after none of the roots any more. Raises as Gallery.index, but waits while another process writes."""
    _Watch(passes, list(roots), exclusions, watchers).run()


class _Watch:
    def __init__(
        self, passes: Passes, roots: list[str], exclusions: Callable[[], Exclusions], watchers: Watchers
    ) -> None:
        self._passes, self._roots, self._exclusions, self._watchers = passes, roots, exclusions, watchers
        self._indexed: set[str] = set()  # roots that the gallery looks after, or did
        self._is_idle = True  # no pass is being made

    def run(self) -> None:
        try:
            while self._roots:
                self._until_a_root_changes()
        except KeyboardInterrupt:
            if not self._is_idle:
                raise

    def _until_a_root_changes(self) -> None:
        """Watches until a root vanishes, comes back or is another one, as a disk that is mounted in its place: what
        is watched is then to be watched anew."""
        self._watchers.note.begin_again()
        states = {root: _state(root) for root in self._roots}
        folders = [root for root, state in states.items() if state and os.path.isdir(root)]
        with Changes(folders, self._watchers.note) as changes:
            self._pass(None)
            looked = everything = time.monotonic()
            while self._roots:
                changes.wait(SETTLED / 4 if changes.is_waiting() else _LOOK_EVERY)
                now = time.monotonic()
                if now - looked >= _LOOK_EVERY:
                    looked = now
                    if any(_state(root) != states[root] for root in self._roots):
                        return
                if now - everything >= _ALL_EVERY:
                    everything = now
                    self._pass(None)
                elif (parts := self._parts(changes.take())) or parts is None:
                    self._pass(parts)

    def _pass(self, parts: list[Part] | None) -> None:
        """One pass over these parts, None for all, as soon as no other process writes."""
        said = False
        while True:
            try:
                self._is_idle = False
                summary = self._try(parts)
                self._is_idle = True
            except GalleryLockedError as error:
                if not said:
                    self._watchers.note(f"{error} Watching goes on as soon as it has ended.")
                said = self._is_idle = True
                time.sleep(_TRY_LOCK_EVERY)
            else:
                break
        self._watchers.on_pass(summary)

    def _try(self, parts: list[Part] | None) -> RunSummary:
        """What a pass did; nothing where there is nothing that it could look at."""
        passes = self._passes
        if self._indexed:
            # What is left out may have been changed by another command, and what was forgotten since stays so.
            options = replace(
                passes.options, retry_failed=False, again_forgotten=False, exclusions=self._exclusions()
            )
            passes = replace(passes, options=options)
        self._drop_forgotten()
        is_whole = parts is None
        if parts is None:
            usable, failed = usable_roots(self._roots, passes.options.exclusions, self._knows)
            for each in failed:
                self._watchers.note(f"{each.reason} It is watched for all the same.")
            parts = whole(usable)
        parts = [part for part in parts if part.root in self._roots]
        if not parts:
            return Tally(passes.storage.name).summary()
        summary = passes.run(parts, self._watchers.on_outcome, is_one_of_many=not is_whole)
        for failed_root in summary.roots_failed:
            self._watchers.note(failed_root.reason)
        self._indexed |= {part.root for part in parts} & self._looked_after()
        return summary

    def _drop_forgotten(self) -> None:
        """A folder that was forgotten meanwhile must not come back."""
        for root in self._indexed - self._looked_after():
            self._watchers.note(f"The gallery does not look after {printable(root)} any more; it is not watched.")
            self._roots.remove(root)
            self._indexed.remove(root)

    def _looked_after(self) -> set[str]:
        if not self._passes.storage.database.exists():
            return set()
        with Database.open(self._passes.storage.database) as db:
            return set(db.roots.paths())

    def _knows(self, path: str) -> bool:
        if not self._passes.storage.database.exists():
            return False
        with Database.open(self._passes.storage.database) as db:
            return db.removal.is_known(path)

    def _parts(self, changed: Iterable[tuple[str, bool]]) -> list[Part] | None:
        """What to look at after these changes; None for all."""
        rules = {root: Rules(root, self._exclusions()) for root in self._roots} if changed else {}
        parts: dict[Part, None] = {}
        for real, added in changed:
            path, root = as_named(real, rules)
            if root:
                parts |= dict.fromkeys(self._parts_of(path, added, rules[root]))
        deep = [part for part in parts if part.is_deep]
        inside = {part for part in parts for each in deep if part != each and _is_under(part.folder, each.folder)}
        chosen = [part for part in parts if part not in inside]
        return None if len(chosen) > _MOST_PARTS else chosen

    def _parts_of(self, path: str, added: bool, rules: Rules) -> list[Part]:
        root, folder = rules.root, os.path.dirname(path)
        if path == root:
            return [Part(root, root, added)]
        if os.path.basename(path) == IGNORE_FILE:
            return [Part(root, folder)]
        try:
            is_folder = stat.S_ISDIR(os.stat(path).st_mode)
            if rules.leave_out(path, is_folder):
                return [Part(root, path)] if is_folder and added and self._knows(path) else []
            if is_folder:
                return [Part(root, path, added)]
            return [Part(root, folder, False)] if may_be_photo(path) or self._knows(path) else []
        except OSError:  # it has vanished, with all that was in it where it was a folder
            return [Part(root, path), Part(root, folder, False)] if self._knows(path) else []


def as_named(path: str, roots: Iterable[str]) -> tuple[str, str]:
    """A path that changed as it is known, and the innermost root that holds it, or nothing. macOS says where a path
    really is, though its root may lie behind a link."""
    named = {os.path.realpath(root): root for root in roots} | {root: root for root in roots}
    place = max((each for each in named if _is_under(path, each)), key=len, default=None)
    return (path, "") if place is None else (named[place] + path[len(place) :], named[place])


def _is_under(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _state(root: str) -> tuple[int, ...] | None:
    """What tells that a root is as it was; None while it is not there. A photo that is a root is its content, too."""
    try:
        found = os.stat(root)
    except OSError:
        return None
    if stat.S_ISDIR(found.st_mode):
        return found.st_dev, found.st_ino
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
