"""Folders named after people, for copies of their photos."""

import re
import unicodedata
from collections.abc import Iterable

# What Windows and macOS allow in no name, and what a shell or a terminal would obey.
_REFUSED = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_MOST = 200  # bytes of UTF-8: file systems take 255


def folder_names(people: Iterable[tuple[int, str]]) -> dict[int, str]:
    """A folder's name for each person, by id: the person's, with _ for what no file system takes. Where two would
    have one, also where they differ in capitals alone, the second has a number; it is the same in every run with
    the same people."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    for person, name in sorted(people):
        plain = _plain(name)
        number, free = 1, plain
        while _alike(free) in taken:
            number += 1
            free = f"{plain}-{number}"
        taken.add(_alike(free))
        names[person] = free
    return names


def _plain(name: str) -> str:
    shown = "".join("_" if unicodedata.category(sign) in ("Cc", "Cf", "Cs") else sign for sign in name)
    plain = _REFUSED.sub("_", shown).strip(" ").rstrip(".")
    plain = plain.encode("utf-8", "replace")[:_MOST].decode("utf-8", "ignore").rstrip(" .")
    if not plain or plain[0] in ".-~" or _RESERVED.fullmatch(plain):
        plain = f"_{plain}"
    return plain


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
