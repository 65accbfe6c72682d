"""Errors of the gallery as a page says them: what happened stays, and in place of what to type comes what to do."""

_COMMAND = ("--", "facesearch ")  # what to type has one of these
_TO_DO = {  # by the kind of error
    "name_taken": "say whether this is the same person, or somebody else of that name",
    "two_names": "say which name stays",
    "not_same": "join them anyway if that was wrong",
    "unknown_person": "look into the list of people",
    "unknown_face": "the log takes that back",
    "nothing_to_undo": "look into the log",
    "in_the_way": "undo that one first",
}


def for_page(kind: str, sentence: str) -> str:
    """The sentence of an error of this kind, such as `name_taken`."""
    happened, _, advice = sentence.rpartition("; ")
    if kind in _TO_DO and happened and any(sign in advice for sign in _COMMAND):
        return f"{happened}; {_TO_DO[kind]}."
    return sentence
