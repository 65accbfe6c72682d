"""Made-up faces of made-up people, as many as are wanted, spread as a model spreads those of LFW.

A person is a point drawn with the covariance between LFW's people, a face that point and a step drawn with the
covariance within one, brought back to unit length; how many faces a person has is drawn from LFW's numbers of photos.
Nothing of LFW's is kept: both covariances come from the user's own copy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings

SPREAD = 1.1  # of steps to faces: at 1.08 Chinese whispers score 0.927 on 200,000 faces, where LFW is a little harder
_AT_ONCE = 100_000  # faces that are drawn at once

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MadeUpPeople:
    """How faces lie: the mean, (dim,); steps from it to people and from a person to faces, of which the products with
    standard normal numbers are drawn, (dim, dim) both; how long the steps to faces are, as shares of the usual
    length, (faces,), for bad photos lie much further off than normal numbers do; and numbers of photos, (people,)."""

    mean: Numbers
    to_person: Numbers
    to_face: Numbers
    lengths: Numbers
    photos: NDArray[np.intp]

    @classmethod
    def like(cls, embeddings: Embeddings, people: NDArray[np.integer]) -> "MadeUpPeople":
        """From n faces, (n, dim), of people, (n,), of whom some have several photos; each of these counts the same,
        whether they have two or 500."""
        rows = embeddings.astype(np.float64)
        _, person, counts = np.unique(people, return_inverse=True, return_counts=True)
        sums = np.zeros((len(counts), rows.shape[1]))
        np.add.at(sums, person, rows)
        several = counts[person] > 1
        others = counts[person[several]] - 1  # of the same person
        steps = (rows - sums[person] / counts[person, None])[several]
        weighted = steps / np.sqrt(others)[:, None]
        within = weighted.T @ weighted / (counts > 1).sum()
        lengths = np.linalg.norm(steps, axis=1) * np.sqrt((others + 1) / others)
        firsts = rows[np.unique(person, return_index=True)[1]]
        between = np.cov(firsts, rowvar=False) - within
        return cls(firsts.mean(axis=0), _root(between), _root(within), lengths / np.sqrt(np.trace(within)), counts)

    def draw(self, faces: int, seed: int = 0, spread: float = SPREAD) -> tuple[Embeddings, NDArray[np.int64]]:
        """So many faces, (n, dim) of unit length, and who they are, (n,), in an order that is drawn too."""
        rng = np.random.default_rng(seed)
        counts = rng.choice(self.photos, faces)  # more people than are needed
        people = np.repeat(np.arange(faces), counts)[:faces]
        centres = self.mean + rng.standard_normal((people[-1] + 1, len(self.mean))) @ self.to_person.T
        people = rng.permutation(people).astype(np.int64)
        embeddings = np.empty((faces, len(self.mean)), np.float32)
        for start in range(0, faces, _AT_ONCE):
            part = people[start : start + _AT_ONCE]
            lengths = spread * rng.choice(self.lengths, len(part))[:, None]
            drawn = centres[part] + lengths * rng.standard_normal((len(part), len(self.mean))) @ self.to_face.T
            embeddings[start : start + len(part)] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        return embeddings, people


def _root(covariance: Numbers) -> Numbers:
    """A matrix whose product with its transpose is the covariance, as near as one can be where this is none."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))
