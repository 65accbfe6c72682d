"""What a gallery gives of the vector store beside it: where it is, and how far it has followed the database."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from facesearch.cluster.milvus import CollectionFacts, IndexKind

State: TypeAlias = Literal["empty", "syncing", "ready"]


@dataclass(frozen=True, slots=True)
class StoreStamp:
    """What a collection must hold to belong to the database: the faces up to `newest_id` but for those deleted up to
    number `removed` (of `Removed`), `count` in all, embedded by `model` in `dim` numbers, and the mark `token`, which
    every sync renews. While it is `syncing` the mark is `token`, `next_token` or the one after that, which is that of
    a filled one, and `newest_id` how far that is; `empty` must be filled from the first face on."""

    address: str
    kind: IndexKind
    model: str = ""
    dim: int = 0
    state: State = "empty"
    token: int = 0
    next_token: int = 0
    count: int = 0
    newest_id: int = 0
    removed: int = 0

    def is_of(self, model: str, dim: int) -> bool:
        """Whether its embeddings are of this model."""
        return (self.model, self.dim) == (model, dim)


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """A gallery's store: what the database knows of it; how many faces it lacks, and how many it holds that are gone.
    `collection` is what its server says, where it was asked; `fault` why it cannot be used, in a sentence."""

    gallery: str
    stamp: StoreStamp
    lacks: int
    gone: int
    collection: CollectionFacts | None = None
    fault: str = ""

    @property
    def state(self) -> Literal["empty", "syncing", "behind", "in step"]:
        """Whether it has followed the database."""
        if self.stamp.state != "ready":
            return self.stamp.state
        return "behind" if self.lacks or self.gone else "in step"
