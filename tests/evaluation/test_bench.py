"""`facesearch bench` on real photos: a small LFW of official pairs, some of Yale B, and made-up identities."""

import csv
import hashlib
import io
import json
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facesearch.arrays import Pixels
from facesearch.errors import FaceSearchError, UsageError
from facesearch.evaluation import lfw as labeled_faces
from facesearch.evaluation import synthetic
from facesearch.evaluation.cache import Cache, Entry, key_of
from facesearch.evaluation.portraits import ExpectedFace, Model, embed_portraits
from facesearch.faces.analyser import Analyser
from facesearch.faces.choosing import most_central
from facesearch.geometry.face import Box, Face
from facesearch.models.cards import Weights, detector_card, embedder_card, index_recipes
from facesearch.photos.view import read_view
from tests.portraits import Faces

Cli = Callable[..., Any]
_EACH = 3  # pairs of each kind in a fold


@pytest.fixture(scope="session")
def small_lfw(portraits: Faces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first official pairs of each fold, and their photos."""
    folder = tmp_path_factory.mktemp("small")
    lines = portraits.pairs.read_text().splitlines()
    per_fold = int(lines[0].split()[1])  # of each kind
    chosen = [f"10\t{_EACH}"]
    for fold in range(10):
        start = 1 + fold * 2 * per_fold
        chosen += lines[start : start + _EACH] + lines[start + per_fold : start + per_fold + _EACH]
    (folder / "pairs.txt").write_text("\n".join(chosen))
    for line in chosen[1:]:
        words = line.split("\t")
        for person, number in ((words[0], words[1]), (words[0] if len(words) == 3 else words[2], words[-1])):
            (folder / "lfw" / person).mkdir(parents=True, exist_ok=True)
            shutil.copy(portraits.photo(person, int(number)), folder / "lfw" / person)
    return folder


def test_view_2_prints_every_choice_and_figure(cli: Cli, small_lfw: Path, tmp_path: Path) -> None:
    roc, errors = tmp_path / "roc.png", tmp_path / "errors.jpg"
    said = cli("bench", "lfw", "--data", small_lfw, "--precision", "float32", "--roc", roc, "--errors", errors)
    assert said.code == 0
    for words in (
        "dlib-resnet",
        "ONNX Runtime",
        "mtcnn",
        "150 pixels",
        "LFW, ",
        "accuracy",
        "TAR at FAR 0.01",
    ):
        assert words in said.out, words
    assert "needs 1,000 pairs of two people; there are 30" in said.out
    picture = cv2.imread(str(roc))
    assert picture is not None
    assert picture.shape[1] > 1000
    assert picture.std() > 10
    assert cv2.imread(str(errors)) is not None


def test_view_2_as_json_and_again_from_what_is_known(cli: Cli, small_lfw: Path) -> None:
    first = json.loads(cli("bench", "lfw", "--data", small_lfw, "--json").out)
    assert first["protocol"] == "view2"
    assert first["pairs"] == 60
    assert first["tp"] + first["tn"] + first["fp"] + first["fn"] == 60
    assert first["accuracy"] >= 0.95
    assert (first["tp"] + first["tn"]) / 60 == pytest.approx(first["accuracy"], abs=1e-6)
    assert 0.85 < first["threshold"] < 0.95
    assert first["auc"] > 0.98
    assert first["tar"]["0.001"] is None
    assert first["computed"] == first["photos"]
    assert first["seconds"]["detect"] > 0
    again = json.loads(cli("bench", "lfw", "--data", small_lfw, "--json").out)
    assert again["computed"] == 0
    assert again["seconds"]["detect"] == 0
    for fact in ("accuracy", "val", "auc", "eer", "threshold", "folds", "card"):
        assert again[fact] == first[fact]


def test_a_photo_without_a_face_is_counted_and_treated_as_asked(
    cli: Cli, small_lfw: Path, tmp_path: Path, write: Callable[[Path, Pixels], Path]
) -> None:
    own = tmp_path / "own"
    shutil.copytree(small_lfw, own)
    first = (own / "pairs.txt").read_text().splitlines()[1].split("\t")  # a pair of one person
    write(own / "lfw" / first[0] / f"{first[0]}_{int(first[1]):04d}.jpg", np.full((250, 250, 3), 90, np.uint8))
    reports = {
        how: json.loads(cli("bench", "lfw", "--data", own, "--json", "--on-missing", how).out)
        for how in ("centre", "skip", "wrong")
    }
    assert {report["missing"] for report in reports.values()} == {1}
    assert reports["skip"]["pairs"] == 60 - reports["skip"]["skipped"]
    assert reports["skip"]["skipped"] >= 1
    assert reports["skip"]["fn"] < reports["wrong"]["fn"] + reports["wrong"]["fp"]
    assert "embedded where the face usually is" in cli("bench", "lfw", "--data", own).out


def test_random_pairs_identification_and_strangers(
    cli: Cli, portraits: Faces, small_lfw: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shutil.copytree(small_lfw, own)
    alone = sorted(path.name for path in portraits.images.iterdir() if len(list(path.iterdir())) == 1)
    strangers = [name for name in alone if not (own / "lfw" / name).exists()][:4]
    for person in strangers:
        shutil.copytree(portraits.images / person, own / "lfw" / person, dirs_exist_ok=True)
    random = json.loads(cli("bench", "lfw", "--data", own, "--protocol", "random", "--seed", 3, "--json").out)
    assert random["pairs"] == 3 * random["same"]
    assert random["accuracy"] > 0.9
    who = json.loads(cli("bench", "lfw", "--data", own, "--protocol", "identify", "--json").out)
    assert who["closed_set"]["enrolled"] == len(list((own / "lfw").iterdir()))
    assert who["closed_set"]["rank1"] > 0.8
    assert who["closed_set"]["rank5"] >= who["closed_set"]["rank1"]
    assert who["open_set"]["unknown"] + who["open_set"]["enrolled"] == who["closed_set"]["enrolled"]
    said = cli("bench", "lfw", "--data", own, "--protocol", "strangers", "--json")
    assert said.code == 0, said.err
    limits = json.loads(said.out)["strangers"]
    assert limits["people"] == 4
    assert limits["thresholds"]["0.001"] is None  # a few pairs tell nothing of one in a thousand


def test_yale_b(cli: Cli, lights: Path, tmp_path: Path) -> None:
    roc, errors = tmp_path / "roc.svg", tmp_path / "errors.png"
    said = cli("bench", "yaleb", "--data", lights, "--roc", roc, "--errors", errors, "--json")
    report = json.loads(said.out)
    assert roc.read_text().lstrip().startswith("<?xml")
    assert report["lights"][0]["rank1"] > 0.9
    # The darker it gets, the worse: the protocol measures light.
    assert report["lights"][0]["rank1"] > report["lights"][-1]["rank1"]
    assert report["across_lights"]["auc"] > 0.9
    assert report["within_lights"]["pairs"] == 3 * report["within_lights"]["same"]


def test_own_pairs_are_measured(cli: Cli, small_lfw: Path) -> None:
    official = labeled_faces.read_pairs(small_lfw / "pairs.txt", small_lfw / "lfw")
    with (small_lfw / "own.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["a", "b", "same"])
        for a, b, same in zip(official.first, official.second, official.same, strict=True):
            table.writerow([*(Path(official.photos[i]).relative_to(small_lfw) for i in (a, b)), int(same)])
    report = json.loads(cli("bench", "pairs", small_lfw / "own.csv", "--json").out)
    view2 = json.loads(cli("bench", "lfw", "--data", small_lfw, "--json").out)
    assert (report["auc"], report["eer"]) == (view2["auc"], view2["eer"])
    assert report["card"] == view2["card"]


def test_few_pairs_are_measured_at_the_cards_threshold(
    cli: Cli, photo_of: Callable[..., Path], tmp_path: Path
) -> None:
    bush, blair = (photo_of(person, 1) for person in ("George_W_Bush", "Tony_Blair"))
    (tmp_path / "p.csv").write_text(f"a,b,same\n{bush},{photo_of('George_W_Bush', 2)},1\n{bush},{blair},0\n")
    roc = tmp_path / "roc.png"
    report = json.loads(cli("bench", "pairs", tmp_path / "p.csv", "--json", "--roc", roc).out)
    assert "accuracy" not in report
    assert report["card"] == {"threshold": 0.929, "far": 0.0, "tar": 1.0}
    assert roc.stat().st_size > 1000


def test_each_group_of_pairs_is_measured(cli: Cli, photo_of: Callable[..., Path], tmp_path: Path) -> None:
    bush, blair = (photo_of(person, 1) for person in ("George_W_Bush", "Tony_Blair"))
    other = photo_of("George_W_Bush", 2)
    rows = [f"{bush},{other},1,one", f"{bush},{blair},0,two", f"{bush},{bush},0,twins", f"{bush},{other},1,"]
    (tmp_path / "p.csv").write_text("a,b,same,group\n" + "\n".join(rows) + "\n")
    report = json.loads(cli("bench", "pairs", tmp_path / "p.csv", "--json").out)
    assert report["groups_threshold"] == report["card"]["threshold"]
    assert [(each["group"], each["far"], each["tar"]) for each in report["groups"]] == [
        ("twins", 1, None),
        ("two", 0, None),
        (None, None, 1),
        ("one", None, 1),
    ]
    shown = cli("bench", "pairs", tmp_path / "p.csv").out
    assert "0 of 1" in shown
    assert "(no group)" in shown


def test_made_up_identities_are_searched(cli: Cli) -> None:
    report = json.loads(cli("bench", "search", "--n", 5000, "--json").out)
    by_name = {recipe["recipe"]: recipe for recipe in report["recipes"]}
    assert set(by_name) == {recipe.name for recipe in index_recipes()}
    assert by_name["flat"]["recall1"] == by_name["flat"]["recall10"] == 1.0
    assert by_name["ivf-pq"]["recall1"] > 0.98
    assert all(0 <= recipe["recall10"] <= 1 for recipe in by_name.values())
    assert by_name["ivf-pq"]["size"] < by_name["flat"]["size"]
    assert "recall@10" in cli("bench", "search", "--n", 1000).out


def test_made_up_identities_are_what_they_are_said_to_be() -> None:
    identities = synthetic.Identities(3000, noise=0.5)
    (_, rows), *_ = identities.embeddings(synthetic.DIM)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    strangers = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
    assert strangers.mean() == pytest.approx(synthetic.STRANGERS, abs=0.01)
    own, queries = identities.queries(500)
    same = np.einsum("ij,ij->i", queries, identities.embeddings_of(own.tolist(), synthetic.DIM)[1])
    # Of the centred vectors 1 / (1 + noise^2) is shared.
    expected = synthetic.STRANGERS + (1 - synthetic.STRANGERS) / (1 + 0.5**2)
    assert same.mean() == pytest.approx(expected, abs=0.01)
    with pytest.raises(UsageError, match=r"need about .* GB of memory"):
        synthetic.Identities(10**12, noise=0.5)


# Bad input


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["lfw", "--data", "{empty}"], 3, "no photo such as NAME/NAME_0001"),
        (["lfw", "--data", "{lfw}", "--pairs", "{empty}/none.txt"], 3, "none.txt cannot be read: No such file"),
        (["lfw", "--data", "{lfw}", "--roc", "x.txt"], 2, "cannot draw"),
        (["lfw", "--data", "{lfw}", "--protocol", "identify", "--roc", "x.png"], 2, "which --protocol identify"),
        (["lfw", "--data", "{lfw}", "--protocol", "random", "--pairs", "x"], 2, "does not use; leave it out"),
        (["lfw", "--data", "{lfw}", "--model", "none"], 6, "no model named 'none'"),
        (["lfw", "--data", "{lfw}", "--protocol", "strangers"], 3, "has no people other than those"),
        (["yaleb", "--data", "{empty}"], 3, "no photo such as yaleB01"),
        (["pairs", "{empty}/none.csv"], 3, "none.csv cannot be read: No such file"),
        (["search", "--n", "1000000000"], 2, "GB of memory"),
    ],
)
def test_bad_input_is_one_sentence(
    cli: Cli, small_lfw: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    found = cli("bench", *[word.format(empty=tmp_path, lfw=small_lfw) for word in words])
    assert found.code == code, found.err
    assert said in found.err
    assert found.err.count("\n") == 1
    assert not found.out


def test_a_pair_whose_file_is_no_image_is_named(cli: Cli, photo_of: Callable[..., Path], tmp_path: Path) -> None:
    good = photo_of("Tony_Blair", 1)
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:2000])
    (tmp_path / "p.csv").write_text(f"a,b,same\n{good},text.jpg,1\n{good},cut.jpg,0\n")
    said = cli("bench", "pairs", tmp_path / "p.csv")
    assert said.code == 3
    assert "text.jpg (its content is not an image of a known format)" in said.err
    assert said.err.startswith("1 photo cannot be read") or "cut.jpg" in said.err
    assert not said.out


# Portraits and their cache


def test_the_most_central_face_counts() -> None:
    points = ((0.0, 0.0),) * 5
    large = Face(Box(0, 0, 80, 100), 1.0, points)  # type: ignore[arg-type]
    central = Face(Box(90, 40, 110, 60), 1.0, points)  # type: ignore[arg-type]
    assert most_central((200, 100), [large, central]) is central


_CENTRE = ExpectedFace("test", ((0.4, 0.4), (0.6, 0.4), (0.5, 0.5), (0.42, 0.6), (0.58, 0.6)))


def test_embeddings_are_those_of_the_pipeline_whatever_the_batches(
    analyser: Analyser, home: Path, photo_of: Callable[..., Path]
) -> None:
    photos = [str(photo_of(person, i)) for person in ("Tony_Blair", "George_W_Bush") for i in range(1, 36)]
    model = Model(embedder_card("dlib-resnet"), detector_card("mtcnn"))
    counted: list[None] = []
    found = embed_portraits([*photos, photos[0]], model, _CENTRE, on_photo=lambda: counted.append(None))
    assert (len(counted), found.computed) == (71, 70)
    for i in (0, 40, 69, 70):
        view = read_view(found.photos[i])
        (analysed,) = analyser.analyse([view])
        own = analysed.faces.index(most_central(view.size, analysed.faces))
        assert found.embeddings[i] @ analysed.embeddings[own] > 0.9999
        np.testing.assert_allclose(found.boxes[i], analysed.faces[own].box, atol=0.1)
    again = embed_portraits(photos[::-1], model, _CENTRE)
    assert again.computed == 0
    np.testing.assert_array_equal(again.embeddings, found.embeddings[:70][::-1])


def test_photos_that_cannot_be_read_are_all_named_at_once(home: Path, tmp_path: Path) -> None:
    for i in range(7):
        (tmp_path / f"{i}.jpg").write_bytes(b"")
    model = Model(embedder_card("dlib-resnet"), detector_card("mtcnn"))
    with pytest.raises(
        FaceSearchError, match=r"7 photos cannot be read: .*0\.jpg \(the file is empty\).* and 2 more"
    ):
        embed_portraits([str(tmp_path / f"{i}.jpg") for i in range(7)], model, _CENTRE)


def _entry() -> Entry:
    return Entry(True, Box(1, 2, 3, 4), np.ones(4, np.float32))


def test_the_cache_survives_damage_and_forgets_earlier_versions(home: Path) -> None:
    for key in ("a" * 16, "b" * 16):
        cache = Cache("model-cpu-set", key, 4)
        assert cache.get(b"0" * 16) is None
        assert cache.put(b"0" * 16, _entry())
        assert not cache.put(b"0" * 16, _entry())
        cache.save()
    (path,) = (home / "cache").iterdir()
    assert path.name == f"model-cpu-set-{'b' * 16}.npz"
    assert Cache("model-cpu-set", "b" * 16, 4).get(b"0" * 16) is not None
    assert Cache("model-cpu-set", "b" * 16, 5).get(b"0" * 16) is None  # another dimension
    whole = path.read_bytes()
    for damaged in (b"", b"nonsense", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        assert Cache("model-cpu-set", "b" * 16, 4).get(b"0" * 16) is None


def test_what_shapes_an_embedding_shapes_the_key() -> None:
    import msgspec

    card, detector = embedder_card("dlib-resnet"), detector_card("mtcnn")
    key = key_of(card, detector, _CENTRE)
    assert key == key_of(msgspec.structs.replace(card, title="another", accuracy={}), detector, _CENTRE)
    assert key != key_of(msgspec.structs.replace(card, mirrored=False), detector, _CENTRE)
    assert key != key_of(card, msgspec.structs.replace(detector, min_face_px=40), _CENTRE)
    assert key != key_of(card, detector, _CENTRE._replace(is_aligned=True))


def test_weights_whose_digest_no_card_names_shape_the_key_too(home: Path) -> None:
    import msgspec

    card, detector = embedder_card("dlib-resnet"), detector_card("mtcnn")
    card = msgspec.structs.replace(card, name="own", weights=(Weights(path="weights.npz", format="tensors"),))
    (home / "models" / "own").mkdir()
    keys = set()
    for content in (b"first", b"second one"):
        (home / "models" / "own" / "weights.npz").write_bytes(content)
        keys.add(key_of(card, detector, _CENTRE))
    assert len(keys) == 2


# Download


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An HTTP server on this machine, and the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", folder
        http.shutdown()


def _serve_lfw(
    server: tuple[str, Path], small_lfw: Path, monkeypatch: pytest.MonkeyPatch, checksum: str | None = None
) -> None:
    """Puts the small LFW in place of the real archive, with its own checksums."""
    from sklearn.datasets import _lfw

    url, folder = server
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(small_lfw / "lfw", "lfw_funneled")
    (folder / "lfw-funneled.tgz").write_bytes(packed.getvalue())
    pairs = (small_lfw / "pairs.txt").read_bytes()
    test_pairs = b"1\n" + b"\n".join(pairs.splitlines()[1 : 1 + 2 * _EACH])
    for name, content in (("pairs.txt", pairs), ("pairsDevTest.txt", test_pairs), ("pairsDevTrain.txt", test_pairs)):
        (folder / name).write_bytes(content)

    def local(remote: Any) -> Any:
        digest = hashlib.sha256((folder / remote.filename).read_bytes()).hexdigest()
        return remote._replace(url=f"{url}/{remote.filename}", checksum=checksum or digest)

    monkeypatch.setattr(_lfw, "FUNNELED_ARCHIVE", local(_lfw.FUNNELED_ARCHIVE))
    monkeypatch.setattr(_lfw, "TARGETS", tuple(local(target) for target in _lfw.TARGETS))


def test_without_data_the_funneled_release_is_downloaded(
    cli: Cli, server: tuple[str, Path], small_lfw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # scikit-learn loads photos by their place in the folder; the whole of each person's is there in the real archive.
    monkeypatch.setattr("sklearn.datasets._lfw._load_imgs", lambda paths, *_: np.zeros((len(paths), 1, 1)))
    monkeypatch.setattr("sklearn.datasets._lfw.listdir", lambda _: [f"{i}.jpg" for i in range(600)])
    _serve_lfw(server, small_lfw, monkeypatch)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "scikit"))
    report = json.loads(cli("bench", "lfw", "--json").out)
    assert report["images"].startswith("LFW, ")
    assert report["pairs"] == 60
    assert report["accuracy"] > 0.9


def test_a_download_with_a_wrong_checksum_is_refused(
    cli: Cli, server: tuple[str, Path], small_lfw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve_lfw(server, small_lfw, monkeypatch, checksum="0" * 64)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "scikit"))
    said = cli("bench", "lfw")
    assert said.code == 3
    assert "could not be downloaded" in said.err
    assert "SHA256 checksum" in said.err
    assert said.err.count("\n") == 1
