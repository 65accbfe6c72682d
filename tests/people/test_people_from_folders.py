"""Names from folders: whom a folder means, and who is only there too. The rule needs no gallery, and the gallery no
network."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from facesearch.errors import UsageError
from facesearch.gallery.database import Database
from facesearch.gallery.indexing.people_from_folders import PeopleFromFolders
from facesearch.gallery.indexing.updating import Part
from facesearch.people.folders import FolderFaces, level_of, name_at, of_the_person
from tests.made_up_gallery import SETTINGS, add_photo, people

_ANN, _BOB, _CAT = np.eye(3, dtype=np.float32)


def _which(photos: Sequence[int], who: Sequence[np.ndarray], **more: Sequence[float]) -> list[bool]:
    n = len(photos)
    no = [False] * n
    faces = FolderFaces(
        np.array(who, np.float32),
        np.array(more.get("shifts", [0.0] * n), np.float32),
        np.array(photos),
        np.array(more.get("contents", photos)),
        np.array(more.get("said_is", no), bool),
        np.array(more.get("said_not", no), bool),
    )
    found: list[bool] = of_the_person(faces, 0.5).tolist()
    return found


def test_who_is_alone_is_the_person_and_of_several_the_one_who_looks_alike() -> None:
    assert _which([1, 2, 2, 3, 3], [_ANN, _BOB, _ANN, _BOB, _CAT]) == [True, False, True, False, False]


def test_one_photo_of_a_bystander_alone_does_not_name_that_bystander_everywhere() -> None:
    """Against the mean of the best three Bob has 1/3, and Ann 2/3."""
    assert _which([1, 2, 3, 4, 4], [_ANN, _ANN, _BOB, _BOB, _ANN])[3:] == [False, True]


def test_a_photo_counts_once_however_often_it_was_copied() -> None:
    copied = {"contents": [1, 2, 3, 3, 3, 4, 4]}
    assert _which([1, 2, 3, 4, 5, 6, 6], [_ANN, _ANN, _BOB, _BOB, _BOB, _BOB, _ANN], **copied)[5:] == [False, True]


def test_where_nobody_is_alone_it_is_whom_most_photos_show() -> None:
    assert _which([1, 1, 2, 2, 3, 3], [_ANN, _BOB, _CAT, _ANN, _ANN, -_BOB]) == [
        True,
        False,
        False,
        True,
        True,
        False,
    ]


def test_of_two_who_are_always_together_nobody_is_named() -> None:
    assert not any(_which([1, 1, 2, 2], [_ANN, _BOB, _ANN, _BOB]))
    assert not any(_which([1, 1], [_ANN, _BOB]))


def test_what_somebody_said_counts_more() -> None:
    assert _which([1, 2, 2], [_ANN, _ANN, _BOB], said_not=[0, 1, 0]) == [True, False, False]
    assert _which([1, 1, 2, 2], [_ANN, _BOB, _ANN, _BOB], said_is=[1, 0, 0, 0]) == [True, False, True, False]


def test_the_level_of_the_folders_that_have_names() -> None:
    assert [level_of(words) for words in ("none", "folder", "folder:1", "folder:12")] == [None, 0, 1, 12]
    for words in ("stars", "folder:0", "folder:", "folder:-1", "Folder"):
        with pytest.raises(UsageError, match="folder:1"):
            level_of(words)
    assert name_at("/p/Ann/2019/x.jpg", "/p", 0) == "2019"
    assert name_at("/p/Ann/2019/x.jpg", "/p", 1) == "Ann"
    assert name_at("/p/Ann/2019/x.jpg", "/p", 2) == "2019"
    assert name_at("/p/Ann/2019/x.jpg", "/p", 3) is None
    assert name_at("/p/x.jpg", "/p", 1) is None


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with Database.create(tmp_path / "faces.db") as made:
        with made.transaction():
            made.settings.write(SETTINGS)
            made.roots.add(["/p"])
        ann, bob = people(5, 4)
        for i in range(3):
            add_photo(made, f"/p/Ann/2019/{i}.jpg", ann[i : i + 1])
        add_photo(made, "/p/Ann/party.jpg", np.stack([bob[0], ann[3]]))
        add_photo(made, "/p/Bob/1.jpg", bob[1:2])
        yield made


def _run(db: Database, level: int = 1, folder: str = "/p") -> int:
    names = PeopleFromFolders(db, [Part("/p", folder)], level)
    return names.name_alone() + names.name(SETTINGS)


def _named(db: Database, photo: str = "%") -> list[tuple[int, str | None, str | None]]:
    return db.connection.execute(
        "SELECT faces.id, name, named_by FROM faces JOIN photos ON photos.id = photo_id "
        "LEFT JOIN people ON people.id = person_id WHERE path LIKE ? ORDER BY faces.id",
        (photo,),
    ).fetchall()


def test_a_bystander_has_no_name_and_a_second_run_reads_no_embedding(db: Database) -> None:
    assert _run(db) == 5
    assert _named(db, "%party%") == [(4, None, None), (5, "Ann", "folder")]
    with db.transaction():
        db.connection.execute("UPDATE faces SET embedding = x''")  # whoever reads one fails
    assert _run(db) == 0


def test_the_photo_s_own_folder_is_another_one(db: Database) -> None:
    _run(db, 0)
    assert {name for _, name, _ in _named(db)} == {"2019", "Bob", None}
    assert db.people.named_at("/p") == 0
    _run(db, 1)
    assert {name for _, name, _ in _named(db)} == {"Ann", "Bob", None}
    assert db.people.named_at("/p") == 1


def test_what_an_earlier_run_named_is_put_right(db: Database) -> None:
    with db.transaction():
        ann = db.people.id_of("Ann")
        db.connection.execute("UPDATE faces SET person_id = ?, named_by = 'folder' WHERE id <= 5", (ann,))
    assert _run(db) == 2  # the bystander, and Bob
    assert _named(db, "%party%") == [(4, None, None), (5, "Ann", "folder")]


def test_what_the_user_said_stays_and_a_later_photo_is_named(db: Database) -> None:
    _run(db)
    ann, bob = db.people.of_folder("Ann"), db.people.of_folder("Bob")
    with db.transaction():
        db.connection.execute("UPDATE faces SET person_id = ?, named_by = 'user' WHERE id IN (1, 4)", (bob,))
        db.connection.execute("INSERT INTO apart VALUES (5, ?)", (ann,))
    assert _run(db) == 1
    assert _named(db)[:5] == [
        (1, "Bob", "user"), (2, "Ann", "folder"), (3, "Ann", "folder"), (4, "Bob", "user"), (5, None, None),
    ]  # fmt: skip
    add_photo(db, "/p/Ann/2020/late.jpg", people(5, 4)[0][4:])
    assert _run(db, folder="/p/Ann/2020") == 1
    assert _named(db, "%late%")[0][1:] == ("Ann", "folder")


def test_a_folder_follows_its_person_into_another_name(db: Database) -> None:
    _run(db)
    ann = db.people.of_folder("Ann")
    with db.transaction():
        db.connection.execute("UPDATE people SET name = 'Anna Berg' WHERE id = ?", (ann,))
        db.connection.execute("UPDATE faces SET named_by = 'user' WHERE person_id = ?", (ann,))
    add_photo(db, "/p/Ann/late.jpg", people(5, 4)[0][4:])
    assert _run(db) == 1
    assert _named(db, "%late%")[0][1:] == ("Anna Berg", "folder")


def test_a_moved_photo_is_named_after_its_new_folder(db: Database) -> None:
    _run(db)
    with db.transaction():
        db.connection.execute("UPDATE photos SET path = '/p/Ann/9.jpg' WHERE path = '/p/Bob/1.jpg'")
    _run(db)
    assert _named(db, "%9.jpg")[0][1:] == ("Ann", "folder")
