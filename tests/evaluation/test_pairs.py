"""Lists of pairs: what pairs.txt and a CSV may say, and what is drawn at random."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facesearch.errors import FaceSearchError
from facesearch.evaluation import lfw, own_pairs, yaleb
from facesearch.evaluation.groups import by_group
from facesearch.evaluation.pairs import random_pairs
from facesearch.people import names

# pairs.txt


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A small LFW: three people, two photos each (their content does not matter here)."""
    for person in ("Ann_Lee", "Bob_Roe", "Cy_Poe"):
        (tmp_path / "lfw" / person).mkdir(parents=True)
        for number in (1, 2):
            (tmp_path / "lfw" / person / f"{person}_{number:04d}.jpg").write_bytes(b"")
    return tmp_path


def _lines() -> list[str]:
    return ["10\t1", *["Ann_Lee\t1\t2", "Ann_Lee\t1\tBob_Roe\t2"] * 10]


def _pairs_file(release: Path, lines: list[str]) -> Path:
    path = release / "pairs.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_official_pairs(data: Path) -> None:
    found = lfw.find(data / "lfw")
    assert found.variant == "deep-funneled"
    pairs = lfw.read_pairs(lfw.find_pairs(data / "lfw", found.images), found.images)
    assert (len(pairs), int(pairs.same.sum()), len(pairs.photos)) == (6000, 3000, 7701)
    assert pairs.folds is not None
    for fold in range(10):
        assert pairs.same[pairs.folds == fold].sum() == 300
    people = np.array([names.of_folder(photo) for photo in pairs.photos])
    assert ((people[pairs.first] == people[pairs.second]) == pairs.same).all()
    # View 2's folds share nobody, so a threshold is never tried on people that it was chosen on.
    per_fold = [
        set(people[pairs.first[pairs.folds == f]]) | set(people[pairs.second[pairs.folds == f]]) for f in range(10)
    ]
    assert sum(len(fold) for fold in per_fold) == len(set().union(*per_fold))


def test_photos_and_pairs_are_found_below_and_beside_the_folder(release: Path) -> None:
    path = _pairs_file(release, _lines())
    for named in (release, release / "lfw"):
        found = lfw.find(named)
        assert (found.images, found.variant) == (release / "lfw", "original")
        assert lfw.find_pairs(named, found.images) == path
    pairs = lfw.read_pairs(path, release / "lfw")
    assert (len(pairs), len(pairs.photos)) == (20, 3)


def test_png_chips_of_an_aligned_set_are_found(release: Path) -> None:
    for photo in list(release.rglob("*.jpg")):
        photo.rename(photo.with_suffix(".png"))
    pairs = lfw.read_pairs(_pairs_file(release, _lines()), release / "lfw")
    assert {Path(photo).suffix for photo in pairs.photos} == {".png"}


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (1, "ten"),
        (1, ""),
        (2, "Ann_Lee\t1"),
        (3, "Ann_Lee\t1\t2"),
        (2, "Ann_Lee\t1\tBob_Roe\t2"),
        (4, "Ann_Lee 1 two"),
    ],
)
def test_a_wrong_line_is_named(release: Path, number: int, line: str) -> None:
    lines = _lines()
    lines[number - 1] = line
    shown = re.escape(line.replace("\t", "\\t"))
    with pytest.raises(FaceSearchError, match=rf"Line {number} of .*pairs\.txt is '{shown}'"):
        lfw.read_pairs(_pairs_file(release, lines), release / "lfw")


def test_a_file_that_ends_early_or_has_other_folds_is_refused(release: Path) -> None:
    with pytest.raises(FaceSearchError, match="ends after line 20"):
        lfw.read_pairs(_pairs_file(release, _lines()[:-1]), release / "lfw")
    with pytest.raises(FaceSearchError, match="has 3 folds"):
        lfw.read_pairs(_pairs_file(release, ["3\t1", *_lines()[1:]]), release / "lfw")
    (release / "pairs.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FaceSearchError, match="is not a list of pairs"):
        lfw.read_pairs(release / "pairs.txt", release / "lfw")


def test_missing_photos_are_counted_and_the_first_named(release: Path) -> None:
    lines = ["10\t1", *[f"Ann_Lee\t1\t{i + 3}\nAnn_Lee\t1\tBob_Roe\t2" for i in range(10)]]
    with pytest.raises(FaceSearchError) as raised:
        lfw.read_pairs(_pairs_file(release, "\n".join(lines).split("\n")), release / "lfw")
    said = str(raised.value)
    assert said.startswith("10 of the photos in pairs.txt are not in")
    assert "Ann_Lee_0003.jpg" in said
    assert "Ann_Lee_0007.jpg and 5 more" in said
    assert "Ann_Lee_0008" not in said


def test_a_folder_without_lfw_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FaceSearchError, match="no photo such as NAME/NAME_0001"):
        lfw.find(tmp_path)
    with pytest.raises(FaceSearchError, match="is not a folder"):
        lfw.find(tmp_path / "absent")


# Random pairs


def _collection(people: int, photos: int) -> tuple[list[str], list[str]]:
    names = [f"p{i:03d}" for i in range(people) for _ in range(photos)]
    return [f"{name}/{i}" for i, name in enumerate(names)], names


def test_random_pairs_share_nobody_between_folds() -> None:
    photos, people = _collection(60, 12)
    pairs = random_pairs(photos, people, seed=5, count=3000)
    assert (len(pairs), int(pairs.same.sum())) == (3000, 1000)
    who = np.array([photo.split("/")[0] for photo in pairs.photos])
    assert ((who[pairs.first] == who[pairs.second]) == pairs.same).all()
    assert (pairs.first != pairs.second).all()
    assert pairs.folds is not None
    folds = [set(who[pairs.first[pairs.folds == f]]) | set(who[pairs.second[pairs.folds == f]]) for f in range(10)]
    assert sum(len(fold) for fold in folds) == len(set().union(*folds))
    unordered = {(min(a, b), max(a, b)) for a, b in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)}
    assert len(unordered) == len(pairs)


def test_the_seed_decides_the_pairs() -> None:
    photos, people = _collection(30, 6)
    first, again, other = (random_pairs(photos, people, seed, count=600) for seed in (1, 1, 2))
    assert (first.first == again.first).all()
    assert first.photos == again.photos
    assert len(first) != len(other) or (first.first != other.first).any()


def test_a_person_with_many_photos_does_not_fill_the_pairs() -> None:
    photos, people = _collection(40, 3)
    photos += [f"p000/more{i}" for i in range(300)]
    people += ["p000"] * 300
    pairs = random_pairs(photos, people, seed=0, count=300)
    who = np.array([photo.split("/")[0] for photo in pairs.photos])
    assert (who[pairs.first[pairs.same]] == "p000").sum() <= 10


def test_few_photos_give_fewer_pairs_in_the_same_proportion() -> None:
    pairs = random_pairs(*_collection(20, 2), seed=0)
    assert (int(pairs.same.sum()), len(pairs)) == (20, 60)


def test_fewer_than_ten_people_are_refused() -> None:
    with pytest.raises(FaceSearchError, match="photos of 9 people, several of 9; 10 folds that share nobody need 20"):
        random_pairs(*_collection(9, 5), seed=0)
    with pytest.raises(FaceSearchError, match=r"photos of 50 people, several of 0; .* and several photos of 10"):
        random_pairs(*_collection(50, 1), seed=0)


# The user's own pairs


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str], Path]:
    for i in range(60):
        (tmp_path / f"{i}.jpg").write_bytes(b"")

    def write(text: str) -> Path:
        path = tmp_path / "pairs.csv"
        path.write_text(text)
        return path

    return write


def test_own_pairs_and_all_words_for_yes_and_no(table: Callable[[str], Path]) -> None:
    words = ["1", "true", "Yes", "y", "same", "0", "False", "no", "N", "different"]
    text = "a,b,same,remark\n" + "".join(f"{i}.jpg,{i + 1}.jpg,{word},x\n" for i, word in enumerate(words))
    pairs = own_pairs.read_pairs(table(text))
    assert pairs.same.tolist() == [True] * 5 + [False] * 5
    assert pairs.folds is None  # they hang together like a chain


def test_own_pairs_may_name_a_group_each(table: Callable[[str], Path]) -> None:
    pairs = own_pairs.read_pairs(
        table("group,a,b,same\n children ,0.jpg,1.jpg,1\n,2.jpg,3.jpg,0\nmen,4.jpg,5.jpg,0\n")
    )
    assert pairs.groups == ("children", None, "men")
    assert own_pairs.read_pairs(table("a,b,same\n0.jpg,1.jpg,1\n2.jpg,3.jpg,0\n")).groups == ()


def test_the_group_with_the_most_errors_comes_first_and_few_pairs_promise_little() -> None:
    similarities = np.array([0.9, 0.2, 0.9, 0.1, 0.1, 0.9, 0.4] + [0.1] * 99)
    same = np.array([False, False, True, True, False, True, False] + [False] * 99)
    groups = ["children"] * 4 + ["men", "one person", None] + [None] * 99
    children, men, nobody, one = by_group(similarities, same, groups, 0.5)
    assert (children.group, children.accepted, children.strangers, children.far) == ("children", 1, 2, 0.5)
    assert (children.same, children.tar) == (2, 0.5)
    # None of one pair errs, and that says next to nothing; of 100 the true share is below 1 - 0.05 ** (1 / 100).
    assert (men.group, men.far, nobody.group, nobody.far) == ("men", 0, None, 0)
    assert men.far_at_most == pytest.approx(0.95)
    assert nobody.far_at_most == pytest.approx(1 - 0.05 ** (1 / 100))
    assert (one.group, one.far, one.far_at_most, one.tar) == ("one person", None, None, 1)


def test_folds_of_own_pairs_share_no_photo(table: Callable[[str], Path]) -> None:
    rows = [f"{i}.jpg,{i + 1}.jpg,{i % 4 // 2}" for i in range(0, 60, 2)]
    pairs = own_pairs.read_pairs(table("a,b,same\n" + "\n".join(rows)))
    assert pairs.folds is not None
    in_fold = [set(pairs.first[pairs.folds == f]) | set(pairs.second[pairs.folds == f]) for f in range(10)]
    assert sum(len(fold) for fold in in_fold) == 60
    assert all(len(np.unique(pairs.same[pairs.folds == f])) == 2 for f in range(10))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not begin with the columns a,b,same"),
        ("x,y\n1,2\n", "does not begin with the columns a,b,same"),
        ("a,b,same\n", "holds 0 pairs"),
        ("a,b,same\n1.jpg,2.jpg,1\n", "not one of two people"),
        ("a,b,same\n1.jpg,2.jpg,0\n", "not one of one person"),
        ("a,b,same\n1.jpg,2.jpg,1\n3.jpg,4.jpg,maybe\n", "Line 3 of .* is not a pair"),
        ("a,b,same\n1.jpg\n", "Line 2 of .* is not a pair"),
        ("a,b,same\n1.jpg,2.jpg,1\n3.jpg,gone.jpg,0\n", "1 of the photos in pairs.csv are not there: .*gone.jpg"),
    ],
)
def test_a_wrong_csv_is_one_sentence(table: Callable[[str], Path], text: str, said: str) -> None:
    with pytest.raises(FaceSearchError, match=said):
        own_pairs.read_pairs(table(text))


# Yale B


def test_yale_b_has_the_usual_subsets_of_lights(data: Path) -> None:
    found = yaleb.find(data / "yaleb")
    assert len(found.photos) == 2414
    assert len(set(found.people)) == 38
    assert np.bincount(found.subsets).tolist() == [263, 456, 455, 526, 714]
    assert all("P00A+000E+00" in found.photos[i] for i in found.enrolled())


def test_the_angle_of_a_light(tmp_path: Path) -> None:
    for name in ("P00A+000E+00", "P00A-050E-40", "P00A+000E+90", "P00_Ambient"):
        (tmp_path / f"yaleB11_{name}.pgm").write_bytes(b"")
    found = yaleb.find(tmp_path)
    # cos 50 * cos 40 = 0.4924, the cosine of 60.5 degrees
    assert found.angles.round(1).tolist() == [0.0, 90.0, 60.5]
    with pytest.raises(FaceSearchError, match="no photo such as yaleB01"):
        yaleb.find(tmp_path / "empty")
