"""Average linkage of groups on a graph, by rounds of mutual best neighbours. Pure arrays."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.people.tokens import Tokens

_AT_ONCE = 200_000  # pairs of which margins are computed at once: 200 MB at 128 dimensions
_FEW = 0.002  # of the groups: where a round joins fewer, looking at all pairs costs more than a heap
# A group of thousands of faces has thousands of neighbours, and one face more hardly changes who is best of them:
# until it has grown by a hundredth, that is looked for among the best half of so many. All are looked at before it is
# said that none reaches the bar. One person's 10,000 faces took minutes without.
_MANY = 256
_AS_BEFORE = 1.01

Rows = NDArray[np.int64]
Margins = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Bar:
    """From which likeness on two groups are one person: `one` for two single faces, and the nearer to `many` the
    larger the groups. Pairs that lie further below their bar than `reach` are dropped for good."""

    one: float
    many: float
    reach: float

    def of(self, sizes_a: Margins, sizes_b: Margins) -> Margins:
        """For pairs of groups of these sizes, (m,) each."""
        share = (1 / sizes_a + 1 / sizes_b) / 2
        return np.asarray(self.many + (self.one - self.many) * share, np.float32)


class Linkage:
    """Groups of n faces that grow. A group is known by the row of one of its faces."""

    def __init__(self, embeddings: Embeddings, shifts: Margins, labels: Rows, bar: Bar) -> None:
        """`labels`, (n,), are the groups to begin with: of each face a row of its group, always the same. `shifts`
        say how much higher own thresholds lie, (n,)."""
        self._bar = bar
        self._sums = embeddings.astype(np.float32, copy=True)  # (n, dim), that of a group in its row
        self._sizes = np.ones(len(labels), np.float32)
        self._shifts = shifts.astype(np.float32, copy=True)
        moved = np.flatnonzero(labels != np.arange(len(labels)))
        for values in (self._sums, self._sizes, self._shifts):
            np.add.at(values, labels[moved], values[moved])
        self._parents = labels.copy()

    def labels(self) -> Rows:
        """The group of each face, (n,)."""
        while True:
            grand = self._parents[self._parents]
            if (grand == self._parents).all():
                return grand
            self._parents = grand

    def size(self, group: int) -> float:
        """How many faces a group has."""
        return float(self._sizes[group])

    @property
    def reach(self) -> float:
        """How far below their bar pairs are dropped for good."""
        return self._bar.reach

    def sizes(self, groups: Rows) -> Margins:
        """How many faces the groups have, (m,)."""
        return self._sizes[groups]

    def margins(self, a: Rows, b: Rows, bar: Bar | None = None) -> Margins:
        """How far over their bars pairs of groups lie, (m,); or over another bar."""
        found = np.empty(len(a), np.float32)
        for start in range(0, len(a), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            i, j = a[part], b[part]
            sizes_i, sizes_j = self._sizes[i], self._sizes[j]
            likeness = np.einsum("ij,ij->i", self._sums[i], self._sums[j]) / (sizes_i * sizes_j)
            shift = (self._shifts[i] / sizes_i + self._shifts[j] / sizes_j) / 2
            found[part] = likeness - shift - (bar or self._bar).of(sizes_i, sizes_j)
        return found

    def of_faces(self, faces: Rows, embeddings: Embeddings, shifts: Margins) -> Margins:
        """How far over its bar the mean likeness of each of these faces, (m,), to the rest of its group lies; of a
        face that is alone 0."""
        groups = self.labels()[faces]
        others = np.maximum(self._sizes[groups] - 1, 1)
        own = embeddings[faces]
        likeness = np.einsum("ij,ij->i", self._sums[groups] - own, own) / others
        shift = (shifts[faces] + (self._shifts[groups] - shifts[faces]) / others) / 2
        margins = likeness - shift - self._bar.of(np.ones_like(others), others)
        return np.asarray(np.where(self._sizes[groups] > 1, margins, 0), np.float32)

    def join(self, a: Rows, b: Rows, tokens: Tokens) -> tuple[Rows, Rows, Margins]:
        """Joins what the pairs of groups lead to, and returns the pairs of groups that are left, the lower row first,
        with their margins: those that lie below their bar, and those that are barred."""
        pairs = _Pairs(self, *self._distinct(a, b))
        left = len(self._sizes)
        while True:
            joined = self._round(pairs, tokens)
            if not joined:
                break
            left -= joined
            if joined < _FEW * left:
                self._one_by_one(pairs, tokens)
                break
        return pairs.low, pairs.high, pairs.margins

    def _distinct(self, a: Rows, b: Rows) -> tuple[Rows, Rows]:
        count = len(self._sizes)
        low, high = np.minimum(a, b), np.maximum(a, b)
        key = np.sort(low[low != high] * count + high[low != high])  # numpy.unique takes several times as long
        key = key[np.diff(key, prepend=-1) > 0]
        return key // count, key % count

    def _round(self, pairs: "_Pairs", tokens: Tokens) -> int:
        """Joins all pairs that are each other's best, and returns how many they were."""
        while True:
            low, high = pairs.mutual(len(self._sizes))
            barred = np.array([tokens.bar(i, j) for i, j in zip(low.tolist(), high.tolist(), strict=True)], bool)
            pairs.bar(low[barred], high[barred], len(self._sizes))
            if not barred.all() or not len(low):
                break
        low, high = low[~barred], high[~barred]
        self._merge(low, high, tokens)
        pairs.follow(low, high, len(self._sizes))
        return len(low)

    def _merge(self, kept: Rows, gone: Rows, tokens: Tokens) -> None:
        for values in (self._sums, self._sizes, self._shifts):
            values[kept] += values[gone]
        self._parents[gone] = kept
        for i, j in zip(kept.tolist(), gone.tolist(), strict=True):
            tokens.merge(i, j)

    def _one_by_one(self, pairs: "_Pairs", tokens: Tokens) -> None:
        """As `_round`, again and again: the best of all pairs is always one of two that are each other's best."""
        queue = _Queue(self, pairs)
        while (pair := queue.best()) is not None:
            kept, gone = pair
            if tokens.bar(kept, gone):
                queue.part(kept, gone)
                continue
            self._merge(np.array([kept]), np.array([gone]), tokens)
            queue.join(kept, gone)
        low, high = queue.left()
        pairs.replace(low, high, self.margins(low, high))


class _Queue:
    """Pairs of groups, best first. Of a group that has grown the best pair alone is in the heap, so that a large one
    with thousands of neighbours costs no thousand entries each time; the next is found when that one comes up."""

    def __init__(self, linkage: Linkage, pairs: "_Pairs") -> None:
        self._linkage = linkage
        self._linked: dict[int, set[int]] = {}
        for i, j in zip(pairs.low.tolist(), pairs.high.tolist(), strict=True):
            self._linked.setdefault(i, set()).add(j)
            self._linked.setdefault(j, set()).add(i)
        self._parted: list[tuple[int, int]] = []
        self._short: dict[int, tuple[list[int], float]] = {}  # of who has many neighbours the best, up to a size
        self._changes: dict[int, int] = {}  # how often a group has grown: what was found of it before no longer holds
        self._heap = list(pairs.in_reach())
        heapq.heapify(self._heap)

    def best(self) -> tuple[int, int] | None:
        """The best pair that reaches its bar, the lower row first; None where none does."""
        while self._heap:
            _, i, j, before_i, before_j, is_only = heapq.heappop(self._heap)
            if self._changes.get(i, 0) != before_i:
                continue
            if self._changes.get(j, 0) == before_j and j in self._linked[i]:
                return min(i, j), max(i, j)
            if is_only:
                self._push_best(i)
        return None

    def part(self, i: int, j: int) -> None:
        """These are never to be joined."""
        self._unlink(i, j)
        self._parted.append((i, j))
        self._push_best(i)
        self._push_best(j)

    def join(self, kept: int, gone: int) -> None:
        """Gives the grown group the neighbours of both."""
        others = self._linked.pop(gone, set())
        for k in others:
            self._linked[k].discard(gone)
            self._linked[k].add(kept)
        near = self._linked.setdefault(kept, set())
        near |= others
        near.discard(kept)
        self._linked[kept].discard(gone)
        self._changes[kept], self._changes[gone] = self._changes.get(kept, 0) + 1, -1
        self._push_best(kept)

    def left(self) -> tuple[Rows, Rows]:
        """The pairs of groups that were not joined, the lower row first, (m,) each."""
        labels = self._linkage.labels()
        rows = {(i, j) for i, others in self._linked.items() for j in others if i < j}
        for i, j in self._parted:
            a, b = int(labels[i]), int(labels[j])
            rows.add((min(a, b), max(a, b)))
        low, high = np.array(sorted(rows), np.int64).reshape(-1, 2).T
        return low, high

    def _push_best(self, i: int) -> None:
        short, until = self._short.pop(i, ([], 0.0))
        if self._linkage.size(i) < until:
            rows = [j for j in short if j in self._linked[i]]
            if rows and self._push_best_of(i, rows):
                self._short[i] = rows, until
                return
        self._push_best_of(i, sorted(self._linked[i]))

    def _push_best_of(self, i: int, near: list[int]) -> bool:
        """Whether one of these neighbours is within the bar."""
        rows = np.array(near, np.int64)
        if not len(rows):
            return False
        margins = self._linkage.margins(np.full(len(rows), i), rows)
        for j in rows[margins < -self._linkage.reach].tolist():
            self._unlink(i, j)
        if len(rows) > _MANY:
            best = np.argsort(-margins, kind="stable")[: _MANY // 2]
            self._short[i] = np.sort(rows[best]).tolist(), self._linkage.size(i) * _AS_BEFORE
        at = int(margins.argmax())
        if margins[at] < 0:
            return False
        j = int(rows[at])
        entry = (-float(margins[at]), i, j, self._changes.get(i, 0), self._changes.get(j, 0), True)
        heapq.heappush(self._heap, entry)
        return True

    def _unlink(self, i: int, j: int) -> None:
        self._linked[i].discard(j)
        self._linked[j].discard(i)


class _Pairs:
    """Pairs of groups that are not far below their bars, the lower row first, with their margins: (m,) each. A pair
    that is barred has the margin -inf as long as it is looked at, and is never joined."""

    def __init__(self, linkage: Linkage, low: Rows, high: Rows) -> None:
        self._linkage = linkage
        self.replace(low, high, linkage.margins(low, high))

    def replace(self, low: Rows, high: Rows, margins: Margins) -> None:
        """Other pairs in place of these, without those that are out of reach."""
        near = margins > -self._linkage._bar.reach
        self.low, self.high, self.margins = low[near], high[near], margins[near]
        self._is_barred = np.zeros(len(self.low), bool)

    def in_reach(self) -> Iterator[tuple[float, int, int, int, int, bool]]:
        """Those that reach their bar, as the heap holds them: the best one is the least."""
        over = np.flatnonzero(self.margins >= 0)
        rows = zip(self.low[over].tolist(), self.high[over].tolist(), self.margins[over].tolist(), strict=True)
        return ((-margin, low, high, 0, 0, False) for low, high, margin in rows)

    def mutual(self, count: int) -> tuple[Rows, Rows]:
        """Of the pairs that reach their bar those that are the best of both groups, each group once."""
        over = np.flatnonzero((self.margins >= 0) & ~self._is_barred)
        low, high, margins = self.low[over], self.high[over], self.margins[over]
        best = np.full(count, -1.0, np.float32)
        np.maximum.at(best, low, margins)
        np.maximum.at(best, high, margins)
        is_mutual = (margins == best[low]) & (margins == best[high])
        low, high = low[is_mutual], high[is_mutual]  # ascending: of equal ones the first stays
        return _once(low, high)

    def bar(self, low: Rows, high: Rows, count: int) -> None:
        """These are never to be joined."""
        if len(low):
            self._is_barred |= np.isin(self.low * count + self.high, low * count + high)

    def follow(self, kept: Rows, gone: Rows, count: int) -> None:
        """What was a pair with a group that is gone is one with that which it went into."""
        into = np.full(count, -1, np.int64)
        into[kept], into[gone] = kept, kept
        touched = (into[self.low] >= 0) | (into[self.high] >= 0)
        low, high = self.low[touched], self.high[touched]
        low, high = self._linkage._distinct(
            np.where(into[low] >= 0, into[low], low), np.where(into[high] >= 0, into[high], high)
        )
        margins = self._linkage.margins(low, high)
        near = margins > -self._linkage._bar.reach
        self.low = np.concatenate([self.low[~touched], low[near]])
        self.high = np.concatenate([self.high[~touched], high[near]])
        self.margins = np.concatenate([self.margins[~touched], margins[near]])
        self._is_barred = np.concatenate([self._is_barred[~touched], np.zeros(int(near.sum()), bool)])


def _once(low: Rows, high: Rows) -> tuple[Rows, Rows]:
    """Of pairs in which a group occurs twice those that come first."""
    order = np.lexsort((high, low))
    low, high = low[order], high[order]
    taken: set[int] = set()
    chosen = []
    ends, counts = np.unique(np.concatenate([low, high]), return_counts=True)
    twice = set(ends[counts > 1].tolist())
    if not twice:
        return low, high
    for at, (i, j) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        if i in taken or j in taken:
            continue
        chosen.append(at)
        taken |= {i, j} & twice
    return low[chosen], high[chosen]
