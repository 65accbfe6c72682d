"""What can be wrong with a Milvus, as sentences. pymilvus raises its own errors, those of gRPC, and plain ones."""

from typing import Final

from facesearch.cluster.addresses import StoreAddress
from facesearch.errors import FaceSearchError

CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 30.0  # of silence, then a call has failed
TOKEN: Final = "MILVUS_TOKEN"  # the variable of the environment: USER:PASSWORD or a key

_NO_COLLECTION = 100  # Milvus' code; what follows are the words of the releases before they had codes
_NO_CONNECTION = 2  # pymilvus' own
_NO_COLLECTION_WORDS = ("can't find collection", "collection not found")
_OTHER_DIM_WORDS = ("dimension mismatch", "should divide the dim")
_NOT_LOADED_WORDS = ("not loaded", "not fully loaded")
_NO_ACCESS_WORDS = (
    "auth check failed",
    "unauthenticated",
    "permission deny",
    "permission_denied",
    "permissiondenied",
)
_NO_ANSWER_WORDS = ("deadline_exceeded", "retry timeout", "retry run out", "timed out")


class StoreError(FaceSearchError):
    """A vector store does not do what it was asked for."""


class NoCollectionError(StoreError):
    """The store has no collection of that name."""


class OddAnswerError(StoreError):
    """The server answers, by an error of its own."""


class NotLoadedError(StoreError):
    """The store has the collection on its disk alone, as after its start."""


def as_sentence(address: StoreAddress, error: Exception, token: str) -> StoreError:
    """The error to be raised in place of what pymilvus raised; it never repeats the token."""
    code = getattr(error, "code", None)
    code = code() if callable(code) else code  # gRPC's is a method
    details = getattr(error, "details", None)
    text = str(getattr(error, "message", None) or (details() if callable(details) else "") or error)
    words = f"{code} {text} {error.__cause__ or ''}".lower()  # why it does not connect is in what made it fail
    if code == _NO_COLLECTION or any(each in words for each in _NO_COLLECTION_WORDS):
        return NoCollectionError(f"{address.server} has no collection {address.collection}.")
    if any(each in words for each in _OTHER_DIM_WORDS):  # somebody made it anew
        return NoCollectionError(f"{address} is a collection of embeddings of another size.")
    if any(each in words for each in _NOT_LOADED_WORDS):
        return NotLoadedError(f"{address} is being loaded by its server; try again in a minute.")
    if any(each in words for each in _NO_ACCESS_WORDS):
        return StoreError(f"{address} refuses access; set {TOKEN}=USER:PASSWORD of a user who may write there.")
    if "unimplemented" in words:
        return StoreError(f"What answers at {address.server} is no Milvus; see that the port is that of its gRPC.")
    if any(each in words for each in _NO_ANSWER_WORDS):
        seconds = CONNECT_SECONDS if code == _NO_CONNECTION else ANSWER_SECONDS
        return StoreError(f"{address} has not answered in {seconds:.0f} seconds.")
    if "fail connecting" in words or "unavailable" in words:
        return StoreError(f"{address} cannot be reached.")
    said = text.replace(token, "...") if token else text
    return OddAnswerError(f"{address} answers: {' '.join(said.split())[:300]}")
