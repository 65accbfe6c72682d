"""`facesearch store`."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesearch.cli import show
from facesearch.cli.options import GalleryName, Json, Yes
from facesearch.cli.progress import Progress
from facesearch.errors import ExitCode, UsageError
from facesearch.forms import store_forms
from facesearch.home import gallery_words

if TYPE_CHECKING:
    from facesearch.gallery.records.store import StoreFacts
    from facesearch.gallery.store.sync import Synced

_STATES = {
    "empty": "not filled; facesearch store sync{} does it",
    "syncing": "being filled, or that was cut off; facesearch store sync{} goes on",
    "behind": "behind; facesearch store sync{} brings it in step",
    "in step": "in step",
}


def add(
    address: Annotated[str, typer.Argument(help="Where it is: milvus://HOST:19530/NAME.", metavar="ADDRESS")],
    gallery: GalleryName = "default",
    index: Annotated[
        Literal["hnsw", "ivf-sq8", "diskann"],
        typer.Option(help="hnsw is the fastest; ivf-sq8 takes a fifth of its memory, diskann lies on a disk."),
    ] = "hnsw",
    replace: Annotated[
        bool, typer.Option("--replace", help="Drop a collection of that name that facesearch made before.")
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> ExitCode:
    """Add a vector store to a gallery: a collection in a Milvus, which is filled with all faces. From then on it
    answers queries, and index keeps it in step. What is true stays in the gallery.

    Exit code 1: you answered no."""
    from facesearch.cluster.addresses import StoreAddress
    from facesearch.gallery.storage import Storage
    from facesearch.gallery.store import stores

    if replace and not (yes or _may_drop(str(StoreAddress.parse(address)))):
        return ExitCode.NO
    stores.add(Storage(gallery, show.note), address, index, replace)
    return _sync(gallery, json)


def _may_drop(address: str) -> bool:
    """Whether the user lets a collection go. Raises UsageError where nobody can be asked."""
    import sys

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"This would drop {address} with all faces in it; give --yes to do it.")
    if typer.confirm(f"Drop {address} with all faces in it?", err=True):
        return True
    show.note("Nothing was dropped.")
    return False


def sync(
    gallery: GalleryName = "default",
    again: Annotated[
        bool, typer.Option("--again", help="From the first face on, whatever the collection holds.")
    ] = False,
    json: Json = False,
) -> ExitCode:
    """Bring a gallery's vector store in step: new faces are sent there, and those that are gone deleted."""
    return _sync(gallery, json, again)


def _sync(gallery: str, json: bool, again: bool = False) -> ExitCode:
    from facesearch.gallery.storage import Storage
    from facesearch.gallery.store import stores

    with Progress() as progress:
        progress.begin("Sending", detail="faces")
        done = stores.sync(Storage(gallery, progress.note), again, progress.update)
    if json:
        show.as_json(store_forms.synced(done, gallery))
    else:
        show.say(_synced_text(done))
    return ExitCode.DONE


def _synced_text(done: "Synced") -> str:
    changed = f"{show.count(done.sent, 'face')} sent, {done.deleted:,} deleted" if done.sent or done.deleted else ""
    changes = f"{changed}, in {done.seconds:.1f} s" if changed else "nothing was to be done"
    return f"{done.address} holds the gallery's {show.count(done.faces, 'face')}: {changes}."


def drop(
    gallery: GalleryName = "default",
    keep_there: Annotated[
        bool, typer.Option("--keep-there", help="Only the gallery forgets it; its server is not asked.")
    ] = False,
    yes: Yes = False,
) -> ExitCode:
    """Drop a gallery's vector store: its collection, and what the gallery knows of it. Nothing else is touched, and
    this machine's own vectors answer from then on.

    Exit code 1: you answered no."""
    from facesearch.gallery.storage import Storage
    from facesearch.gallery.store import stores

    storage = Storage(gallery, show.note)
    address = stores.facts(storage, asks=False).stamp.address
    if not (yes or keep_there or _may_drop(address)):
        return ExitCode.NO
    if stores.drop(storage, keep_there):
        show.say(f"Dropped {address}.")
        show.note(stores.KEPT_BYTES)
    else:
        show.say(f"The gallery '{gallery}' has no vector store any more; {address} was left as it is.")
    return ExitCode.DONE


def info(gallery: GalleryName = "default", json: Json = False) -> ExitCode:
    """Show a gallery's vector store: what the gallery knows of it, and what its server says.

    Exit code 3: it cannot be reached, or does not hold this gallery's faces."""
    from facesearch.gallery.storage import Storage
    from facesearch.gallery.store import stores

    found = stores.facts(Storage(gallery, show.note))
    if json:
        show.as_json(store_forms.facts(found))
    else:
        there = found.collection
        lines = [("store", found.stamp.address), ("gallery", gallery), ("index", found.stamp.kind)]
        lines += [("state", "cannot be used" if found.fault else text(found)), ("faces", f"{found.stamp.count:,}")]
        if there:
            lines += [("server", f"Milvus {there.server}"), ("not indexed yet", f"{there.waiting:,}")]
        show.facts(lines)
        if found.fault:
            show.note(found.fault)
    return ExitCode.ERROR if found.fault else ExitCode.DONE


def text(found: "StoreFacts") -> str:
    """Whether a store is in step, in words."""
    lag = [f"{found.lacks:,} to send"] * bool(found.lacks) + [f"{found.gone:,} to delete"] * bool(found.gone)
    state = _STATES[found.state].format(gallery_words(found.gallery))
    return f"{state} ({', '.join(lag)})" if lag and found.state == "behind" else state
