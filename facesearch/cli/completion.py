"""What a shell offers when Tab is pressed behind an option or an argument. Each answer is there at once; nothing is
written, and nothing is said when there is no answer."""

import os
from collections.abc import Callable, Iterable

import typer

_SPECIAL = set(" \t\n\\'\"`$&|;<>(){}[]*?!#~")  # to Bash, which takes what is offered as if it had been typed


def galleries(incomplete: str) -> list[str]:
    """The galleries of this home."""
    return _offered(_galleries, incomplete)


def people(ctx: typer.Context, incomplete: str) -> list[str]:
    """The people with a name in the gallery that was chosen before."""
    return _offered(lambda: _people(str(ctx.params.get("gallery") or "default"), incomplete), incomplete)


def who(ctx: typer.Context, incomplete: str) -> list[str]:
    """Whoever can be meant in that gallery: the people with a name, and behind an @ the largest groups without."""
    gallery = str(ctx.params.get("gallery") or "default")
    return _offered(
        lambda: _groups(gallery) if incomplete.startswith("@") else _people(gallery, incomplete), incomplete
    )


def models(incomplete: str) -> list[str]:
    """All models."""
    return _offered(lambda: _models("embedder", "detector"), incomplete)


def embedders(incomplete: str) -> list[str]:
    """The models that a gallery can have."""
    return _offered(lambda: _models("embedder"), incomplete)


def detectors(incomplete: str) -> list[str]:
    """The models that find faces."""
    return _offered(lambda: _models("detector"), incomplete)


def _offered(find: Callable[[], Iterable[str]], incomplete: str) -> list[str]:
    try:
        return [_typed(name) for name in find() if name.startswith(incomplete) and name.isprintable()]
    except Exception:  # a shell shows whatever is said in the middle of the line
        return []


def _typed(name: str) -> str:
    if "bash" not in os.environ.get("_FACESEARCH_COMPLETE", ""):
        return name  # the other shells quote by themselves
    return "".join(f"\\{sign}" if sign in _SPECIAL else sign for sign in name)


def _galleries() -> list[str]:
    from facesearch.gallery.names.known import gallery_names

    return gallery_names()


def _people(gallery: str, incomplete: str) -> list[str]:
    from facesearch.gallery.names.known import people_names

    return people_names(gallery, incomplete)


def _groups(gallery: str) -> list[str]:
    from facesearch.gallery.names.known import groups

    return groups(gallery)


def _models(*kinds: str) -> list[str]:
    from facesearch.models.cards import EmbedderCard, model_cards

    is_kind = {
        name: "embedder" if isinstance(card, EmbedderCard) else "detector" for name, card in model_cards().items()
    }
    return sorted(name for name, kind in is_kind.items() if kind in kinds)
