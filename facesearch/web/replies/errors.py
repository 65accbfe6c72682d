"""How the interface refuses."""

import msgspec


class Error(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request is refused: `error` is a word for programs, `message` a sentence that says what to do next.
    `people` are the ids of those who stand in the way, as who has the name already; `change` is the id of the change
    that does."""

    error: str
    message: str
    people: list[int] | msgspec.UnsetType = msgspec.UNSET
    change: int | msgspec.UnsetType = msgspec.UNSET
