"""Names of people: one spelling of each, whatever the keyboard, the file system or the bytes of a folder's name."""

import os
import re
import unicodedata

_LIKE_AN_ESCAPE = re.compile(rb"\\(?=x[0-9a-f]{2})")


def of_folder(path: str) -> str:
    """The person whom a photo's folder is named after. A byte that is not UTF-8 is written as \\xe9; so that no two
    folders have one name, a backslash that would read like that is written as \\x5c."""
    folder = os.fsencode(os.path.basename(os.path.dirname(path)))
    return normal(_LIKE_AN_ESCAPE.sub(rb"\\x5c", folder).decode(errors="backslashreplace"))


def normal(name: str) -> str:
    """The name in Unicode's composed form (NFC), in which names are stored: an é may be typed as one sign or two."""
    return unicodedata.normalize("NFC", name)


def as_asked(name: str) -> str:
    """A name as it was typed, in the form in which it is stored: a folder's own bytes find it, too."""
    return normal(os.fsencode(name).decode(errors="backslashreplace"))
