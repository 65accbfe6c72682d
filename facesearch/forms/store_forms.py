"""What `--json` prints of vector stores. The keys are promises; programs read them."""

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from facesearch.gallery.records.store import StoreFacts
    from facesearch.gallery.store.sync import Synced

Json: TypeAlias = dict[str, Any]


def known(record: "StoreFacts") -> Json:
    """What a gallery knows of its store."""
    stamp = record.stamp
    return {
        "address": stamp.address,
        "index": stamp.kind,
        "state": record.state,
        "count": stamp.count,
        "lacks": record.lacks,
        "gone": record.gone,
    }


def facts(record: "StoreFacts") -> Json:
    """What `store info` says."""
    there = record.collection
    return {
        "gallery": record.gallery,
        **known(record),
        "server": there and there.server,
        "waiting": there and there.waiting,
        "fault": record.fault or None,
    }


def synced(record: "Synced", gallery: str) -> Json:
    """What `store add` and `store sync` did."""
    return {
        "gallery": gallery,
        "address": record.address,
        "faces": record.faces,
        "sent": record.sent,
        "deleted": record.deleted,
        "seconds": round(record.seconds, 2),
    }
