"""A sample of the official LFW pairs: wrong channels, crops or orders would be seen here at once."""

from pathlib import Path

import numpy as np
import pytest

from facesearch import Gallery, verify
from facesearch.faces.analyser import Analyser
from facesearch.gallery.search.probes import Probe, embed_probes

_EACH = 150


def _pairs(data: Path) -> list[tuple[str, str, bool]]:
    """The first pairs of the same person and of different people of the first fold."""
    images = data / "lfw" / "images"

    def photo(person: str, number: str) -> str:
        return str(images / person / f"{person}_{int(number):04d}.jpg")

    same, different = [], []
    for line in (data / "lfw" / "pairs.txt").read_text().splitlines()[1:601]:
        words = line.split()
        if len(words) == 3:
            same.append((photo(words[0], words[1]), photo(words[0], words[2]), True))
        else:
            different.append((photo(words[0], words[1]), photo(words[2], words[3]), False))
    return same[:_EACH] + different[:_EACH]


def test_the_default_threshold_tells_pairs_of_lfw_apart(data: Path, analyser: Analyser) -> None:
    pairs = _pairs(data)
    photos = sorted({photo for a, b, _ in pairs for photo in (a, b)})
    found = {}
    for part in embed_probes(photos, lambda: analyser, analyser.max_side):
        for item in part:
            assert isinstance(item, Probe)
            found[item.sighting.photo] = item.embedding
    similarities = np.array([found[a] @ found[b] for a, b, _ in pairs])
    same = np.array([same for _, _, same in pairs])
    assert ((similarities >= 0.914) == same).mean() >= 0.97
    # At the card's threshold strangers almost never pass (1 in 1,000), at the price of some true pairs.
    assert (similarities[~same] >= 0.929).sum() <= 1
    assert (similarities[same] >= 0.929).mean() >= 0.88


def test_the_python_api_as_the_readme_shows_it(home: Path, album: Path, photo_of: object) -> None:
    gallery = Gallery.open("family")
    summary = gallery.index([album], people_from="folder")
    assert summary.photos["ok"] == 9
    answer = gallery.query(album / "Tiger_Woods" / "Tiger_Woods_0001.jpg", k=3)
    assert answer.matches[0].person == "Tiger_Woods"
    verdict = verify(album / "Tiger_Woods" / "Tiger_Woods_0001.jpg", album / "Abdullah_Gul" / "Abdullah_Gul_0001.jpg")
    assert verdict.same is False
    assert verdict.threshold is not None
    assert verdict.similarity < verdict.threshold


def test_the_package_costs_nothing_to_import() -> None:
    import subprocess
    import sys

    program = (
        "import facesearch, sys; print(sorted({'numpy', 'cv2', 'typer'} & set(sys.modules)), facesearch.__version__)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("[]")
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        __import__("facesearch").nonsense  # noqa: B018
