"""Names of people: one spelling of each, whatever the keyboard, the file system or the bytes of a folder's name."""

import os
import re
import unicodedata

from facesearch.errors import UsageError
from facesearch.files import printable

AN_ID = re.compile(r"@([0-9]+)")  # how a person is written who has no name, or shares it
_LONGEST = 200  # characters: names of three lines, and every table can still be read
# Controls, invisible signs (those that change the direction of writing too), halves of characters, ends of lines.
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"  # invisible, and needed to write Persian, Hindi and some pictograms
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
    try:
        return normal(os.fsencode(name).decode(errors="backslashreplace"))
    except UnicodeEncodeError:  # half a character, which stands in no folder's name
        return normal(name.encode(errors="backslashreplace").decode())


def checked(name: str) -> str:
    """A name that a user gives a person, in the form in which it is stored, without blanks around it. Raises
    UsageError for one that nobody could tell from another by looking at it, or type."""
    name = as_asked(name).strip()
    if not name:
        raise UsageError("A name is needed, and this one is empty.")
    if len(name) > _LONGEST:
        raise UsageError(f"The name has {len(name):,} characters; {_LONGEST} are the most.")
    for sign in name:
        if unicodedata.category(sign) in _UNSEEN and sign not in _JOINERS:
            raise UsageError(
                f"The name {printable(name)} holds U+{ord(sign):04X}, which cannot be seen; type it without that."
            )
    if AN_ID.fullmatch(name):
        raise UsageError(f"{name} is how a person without a name is written; choose another name.")
    return name
