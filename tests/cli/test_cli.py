"""The command line: what each command prints, and the exit code of each outcome."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import pytest
from PIL import Image

from facesearch.arrays import Pixels
from tests.started import Started


class Said(Protocol):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


Cli = Callable[..., Said]
_ASTRONAUT_BOX = (148, 62, 234, 178)


@pytest.fixture
def wall(tmp_path: Path) -> Path:
    """A photo without a face."""
    path = tmp_path / "wall.png"
    path.write_bytes(cv2.imencode(".png", np.full((200, 300, 3), 127, np.uint8))[1].tobytes())
    return path


@pytest.fixture
def gallery(cli: Cli, album: Path) -> Path:
    """The album, indexed with names."""
    assert cli("index", album, "--people-from", "folder").code == 0
    return album


def _photo(album: Path, person: str, number: int = 1) -> Path:
    return album / person / f"{person}_{number:04d}.jpg"


# index


def test_index_prints_a_summary(cli: Cli, album: Path) -> None:
    said = cli("index", album)
    assert said.code == 0
    assert re.search(r"with faces\s+9", said.out)
    assert re.search(
        r"\d+ new faces in gallery 'default': [\d.]+ s, [\d.]+ photos/s once the networks were loaded\.", said.out
    )
    again = cli("index", album)
    assert re.search(r"unchanged\s+9", again.out)
    assert "Nothing is new in gallery" in again.out


def test_index_json(cli: Cli, album: Path) -> None:
    (album / "text.jpg").write_text("no photo")
    (album / "empty.jpg").write_bytes(b"")
    said = cli("index", album, "--json", "--gallery", "other")
    assert said.code == 7
    answer = json.loads(said.out)
    assert answer["photos"] == {"ok": 9, "unreadable": 1, "unsupported": 1}
    assert answer["faces"] >= 9
    assert answer["gallery"] == "other"
    assert answer["seconds"] > 0
    assert answer["photos_per_second"] > 0
    assert answer["failing"] == {"unreadable": 1}
    assert answer["unsupported"] == {"its content is not an image of a known format": 1}
    assert answer["failures"] == [
        {"photo": str(album / "empty.jpg"), "status": "unreadable", "reason": "the file is empty", "cause": "file"}
    ]


def test_index_names_what_could_not_be_read_and_ends_with_7(cli: Cli, album: Path) -> None:
    (album / "empty.jpg").write_bytes(b"")
    said = cli("index", album)
    assert said.code == 7
    assert f"unreadable: {album / 'empty.jpg'}: the file is empty" in said.err
    again = cli("index", album)
    assert again.code == 7  # it still cannot be read
    assert "Nothing is new" in again.out
    assert "1 photo cannot be read: 1 unreadable." in again.err
    assert "the file is empty" in again.err
    said = cli("info")
    assert (said.code, "1 photo cannot be read: 1 unreadable." in said.err) == (0, True)
    said = cli("info", "--failures")
    listed = f"unreadable: {album / 'empty.jpg'}: the file is empty (until the file changes)\n"
    assert (said.code, said.out) == (0, listed)


@pytest.mark.parametrize("made", [False, True])
def test_index_of_an_absent_or_empty_folder_is_3(cli: Cli, tmp_path: Path, made: bool) -> None:
    folder = tmp_path / "photos"
    if made:
        folder.mkdir()
    said = cli("index", folder)
    assert said.code == 3
    assert said.err.count("\n") == 1
    assert str(folder) in said.err
    assert not said.out


def test_a_locked_gallery_is_8_and_names_the_process(cli: Cli, gallery: Path, home: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from facesearch import Gallery; g = Gallery.open()\n"
            "with g.writing() as s:\n"
            "    with s.transaction(): s.runs.begin()\n"
            "    print('held', flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        said = cli("index", gallery)
        assert said.code == 8
        assert f"process {holder.pid}, which started at 20" in said.err
    finally:
        holder.kill()
        holder.wait()
    assert cli("index", gallery).code == 0  # the lock of a dead process is nobody's


def test_ctrl_c_is_130_and_the_next_run_goes_on(album: Path, home: Path) -> None:
    for i in range(120):  # fifteen batches, of which three are in hand at a time
        source = _photo(album, "Tiger_Woods", 1 + i % 3)
        (album / f"{i:03d}.jpg").write_bytes(source.read_bytes() + i.to_bytes(2, "big"))
    command = [str(Path(sys.executable).with_name("facesearch")), "index", str(album), "--json"]
    command += ["--threads", "2", "--batch", "8"]
    run = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what runs in the background deaf to Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    database = home / "indexes" / "default" / "faces.db"
    deadline = time.monotonic() + 60
    while _stored(database) == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 130
    assert "goes on from there" in err
    assert "Traceback" not in err
    stored = _stored(database)
    assert 0 < stored < 129
    rest = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(rest.stdout)["photos"] == {"unchanged": stored, "ok": 129 - stored}


def _stored(database: Path) -> int:
    import sqlite3

    if not database.exists():
        return 0
    with sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True) as conn:
        try:
            return int(conn.execute("SELECT count(*) FROM photos").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def test_names_of_any_bytes_are_indexed_and_found(
    cli: Cli, tmp_path: Path, names_of_any_kind: Callable[[Path], list[str]], astronaut_file: Path
) -> None:
    folder = tmp_path / "names"
    folder.mkdir()
    names = names_of_any_kind(folder)
    said = cli("index", folder, "--json")
    assert said.code == 0
    assert json.loads(said.out)["photos"] == {"ok": len(names)}
    assert json.loads(cli("index", folder, "--json").out)["photos"] == {"unchanged": len(names)}
    answer = json.loads(cli("query", astronaut_file, "--k", 20, "--faces", "--json").out)
    assert sorted(match["photo"] for match in answer["matches"]) == sorted(str(folder / name) for name in names)
    table = cli("query", astronaut_file, "--k", 20, "--faces")
    assert "\x1b" not in table.out
    assert "smile 😀.jpg" in table.out
    for name in names:
        json.loads(cli("query", folder / name, "--json").out)


# query


def test_query_prints_a_table(cli: Cli, gallery: Path) -> None:
    photo = _photo(gallery, "Tiger_Woods", 2)
    said = cli("query", photo, "--k", 9)
    assert said.code == 0
    rows = [line.split() for line in said.out.splitlines() if line.startswith(" ") and ".jpg" in line]
    assert rows[0][1:] == ["1.000", "yes", "Tiger_Woods", "Tiger_Woods/Tiger_Woods_0002.jpg"]
    assert 0.95 < float(rows[0][0]) < 1  # by all photos of his, and not by this one alone
    people = [row[3] for row in rows if row[3] != "-"]  # which stands for who is nobody's
    assert sorted(people) == ["Abdullah_Gul", "Angelina_Jolie", "Tiger_Woods"]


def test_query_json_is_as_documented(cli: Cli, gallery: Path) -> None:
    photo = _photo(gallery, "Angelina_Jolie", 2)
    said = cli("query", photo, "--k", 2, "--json")
    answer = json.loads(said.out)
    assert said.out.count("\n") == 1
    assert answer["model"] == "dlib-resnet"
    assert answer["query"]["photo"] == str(photo)
    assert len(answer["query"]["box"]) == 4
    best, other = answer["matches"]
    keys = {"person", "similarity", "judged", "same", "quality", "photo", "taken", "alike", "box", "face_id"}
    assert set(best) == keys | {"person_id", "label", "stranger", "faces", "photo_id"}
    assert (best["person"], best["similarity"], best["photo"]) == ("Angelina_Jolie", 1.0, str(photo))
    assert best["box"] == answer["query"]["box"]
    assert other["similarity"] < 0.95


def test_query_of_another_photo_finds_the_person(cli: Cli, gallery: Path, photo_of: Callable[..., Path]) -> None:
    for person in ("Tiger_Woods", "Angelina_Jolie", "Abdullah_Gul"):
        answer = json.loads(cli("query", photo_of(person, 4), "--k", 1, "--json").out)
        assert answer["matches"][0]["person"] == person


def test_nobody_above_the_threshold_is_1(cli: Cli, gallery: Path, astronaut_file: Path) -> None:
    said = cli("query", astronaut_file, "--threshold", 0.97)
    assert said.code == 1
    assert "Nobody in the gallery reaches 0.97." in said.err
    assert json.loads(cli("query", astronaut_file, "--threshold", 0.97, "--json").out)["matches"] == []
    assert cli("query", astronaut_file).code == 0  # without a threshold the nearest are shown


def test_no_face_is_4_no_photo_is_3(cli: Cli, gallery: Path, wall: Path, tmp_path: Path) -> None:
    said = cli("query", wall)
    assert (said.code, said.out) == (4, "")
    assert "There is no face in" in said.err
    assert cli("query", tmp_path / "absent.jpg").code == 3
    (tmp_path / "text.jpg").write_text("no photo")
    assert cli("query", tmp_path / "text.jpg").code == 3


def test_query_without_a_gallery_is_5(cli: Cli, astronaut_file: Path, home: Path) -> None:
    said = cli("query", astronaut_file, "--gallery", "none")
    assert said.code == 5
    assert "There is no gallery 'none'; make it with: facesearch index PHOTOS --gallery none." in said.err
    (home / "indexes" / "broken").mkdir(parents=True)
    (home / "indexes" / "broken" / "faces.db").write_text("no database " * 1000)
    assert cli("query", astronaut_file, "--gallery", "broken").code == 5
    assert cli("info", "--gallery", "broken").code == 5


def test_several_photos_or_a_folder_give_a_line_each(cli: Cli, gallery: Path, wall: Path) -> None:
    said = cli("query", gallery / "Tiger_Woods", wall, _photo(gallery, "Abdullah_Gul"), "--k", 1, "--json")
    assert said.code == 4
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [line.get("matches", [{}])[0].get("person") for line in lines] == [
        "Tiger_Woods",
        "Tiger_Woods",
        "Tiger_Woods",
        None,
        "Abdullah_Gul",
    ]
    assert lines[3] == {"query": {"photo": str(wall)}, "status": "no_face", "reason": "no face was found"}


def test_an_empty_folder_of_queries_is_3(cli: Cli, gallery: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = cli("query", tmp_path / "empty")
    assert said.code == 3
    assert "There is no photo in the folder" in said.err


def test_the_note_says_that_there_are_more_faces(cli: Cli, gallery: Path, tmp_path: Path) -> None:
    both = [Image.open(_photo(gallery, person)) for person in ("Tiger_Woods", "Angelina_Jolie")]
    Image.fromarray(np.hstack([np.asarray(image) for image in both])).save(tmp_path / "both.png")
    said = cli("query", tmp_path / "both.png", "--k", 1)
    assert "the largest was taken (--face 2 takes the next, --face all every one)" in said.err
    found = {
        json.loads(cli("query", tmp_path / "both.png", "--k", 1, "--face", i, "--json").out)["matches"][0]["person"]
        for i in (1, 2)
    }
    assert found == {"Tiger_Woods", "Angelina_Jolie"}
    assert cli("query", tmp_path / "both.png", "--face", 9).code == 2
    assert cli("query", gallery, "--face", 1).code == 2


def test_the_contact_sheet_shows_the_faces(cli: Cli, gallery: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    said = cli("query", _photo(gallery, "Tiger_Woods"), _photo(gallery, "Abdullah_Gul"), "--k", 3, "--sheet", sheet)
    assert said.code == 0
    assert str(sheet) in said.err
    with Image.open(sheet) as image:
        pixels = np.asarray(image.convert("RGB"))
    height, width = pixels.shape[:2]
    assert width == 4 * 196 + 40
    query, best = pixels[20:196, 20:196], pixels[20:196, 236:412]
    assert abs(query.astype(int) - best).mean() < 2  # the photo itself is its own best match
    assert abs(query.astype(int) - pixels[height // 2 + 20 : height // 2 + 196, 20:196]).mean() > 20
    skin = query[60:120, 60:120].reshape(-1, 3).mean(axis=0)
    assert skin[0] > skin[2] + 15  # red before blue
    assert (pixels[20:196, 20 : 20 + 176] != 255).mean() > 0.8


@pytest.mark.parametrize("name", ["sheet.txt", "sheet", "absent/sheet.jpg"])
def test_a_sheet_that_cannot_be_written_is_2_before_anything_is_done(
    cli: Cli, tmp_path: Path, name: str, astronaut_file: Path
) -> None:
    assert cli("query", astronaut_file, "--sheet", tmp_path / name).code == 2


# verify


def test_verify_same_and_different(cli: Cli, photo_of: Callable[..., Path]) -> None:
    same = cli("verify", photo_of("Tiger_Woods", 1), photo_of("Tiger_Woods", 3))
    assert same.code == 0
    assert re.search(
        r"same person: similarity 0\.9\d+, threshold 0\.929 \(1 in 1,000 pairs of strangers are this similar\)",
        same.out,
    )
    different = cli("verify", photo_of("Tiger_Woods"), photo_of("Angelina_Jolie"))
    assert different.code == 1
    assert re.match(r"different people: similarity 0\.[78]\d\d, threshold 0\.929", different.out)


def test_verify_json_is_as_documented(cli: Cli, photo_of: Callable[..., Path], astronaut_file: Path) -> None:
    said = cli("verify", astronaut_file, photo_of("Tiger_Woods"), "--json")
    assert said.code == 1
    answer = json.loads(said.out)
    keys = {"same", "similarity", "judged", "cohort", "threshold", "model", "pairs", "chance", "a", "b"}
    assert set(answer) == keys
    assert answer["same"] is False
    assert answer["similarity"] < answer["threshold"] == 0.929
    assert answer["a"]["photo"] == str(astronaut_file)
    np.testing.assert_allclose(answer["a"]["box"], _ASTRONAUT_BOX, atol=8)
    assert 0.9 < answer["b"]["score"] <= 1


@pytest.mark.parametrize("mode", ["CMYK", "L", "RGBA", "P", "16"])
def test_verify_knows_a_face_in_every_kind_of_photo(
    cli: Cli, tmp_path: Path, astronaut: Pixels, astronaut_file: Path, mode: str
) -> None:
    path = tmp_path / ("photo.jpg" if mode == "CMYK" else "photo.png")
    if mode == "16":
        cv2.imwrite(str(path), astronaut[..., ::-1].astype(np.uint16) * 257)
    else:
        Image.fromarray(astronaut).convert(mode).save(path)
    answer = json.loads(cli("verify", path, astronaut_file, "--json").out)
    assert answer["same"]
    assert answer["similarity"] > 0.97


@pytest.mark.parametrize("orientation", range(1, 9))
def test_verify_turns_photos_upright(
    cli: Cli, tmp_path: Path, astronaut_file: Path, astronaut: Pixels, orientation: int
) -> None:
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation to the transposition that the camera did
    image = Image.fromarray(astronaut)
    if orientation in turns:
        image = image.transpose(Image.Transpose(turns[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "turned.jpg", exif=exif, quality=92)
    answer = json.loads(cli("verify", tmp_path / "turned.jpg", astronaut_file, "--json").out)
    assert answer["similarity"] > 0.99
    np.testing.assert_allclose(answer["a"]["box"], answer["b"]["box"], atol=6)


def test_verify_without_a_face_is_4(cli: Cli, wall: Path, astronaut_file: Path) -> None:
    assert cli("verify", astronaut_file, wall).code == 4
    assert cli("verify", wall, astronaut_file).code == 4


def test_an_unknown_model_is_6(cli: Cli, astronaut_file: Path, album: Path) -> None:
    said = cli("verify", astronaut_file, astronaut_file, "--model", "nobody")
    assert said.code == 6
    assert "There is no model named 'nobody'. Available: " in said.err
    assert cli("index", album, "--model", "nobody").code == 6
    assert cli("models", "show", "nobody").code == 6


# models, info, doctor


def test_models_are_listed_and_shown(cli: Cli) -> None:
    said = cli("models", "list")
    assert said.code == 0
    assert re.search(r"dlib-resnet\s+embedder\s+128\s+0\.99\d\d\s+CC0-1\.0\s+yes", said.out)
    assert max(map(len, said.out.split("\n"))) <= 80
    listed = {card["name"]: card for card in json.loads(cli("models", "list", "--json").out)}
    assert listed["dlib-resnet"]["ready"] == "yes"
    assert listed["mtcnn"]["kind"] == "detector"
    shown = cli("models", "show", "dlib-resnet")
    assert "7,485 people" in shown.out
    assert json.loads(cli("models", "show", "dlib-resnet", "--json").out)["threshold"]["far"] == 0.001


def test_info_says_what_the_gallery_holds(cli: Cli, gallery: Path) -> None:
    facts = json.loads(cli("info", "--json").out)
    assert facts["photos"] == {"ok": 9}
    assert facts["people"] == 3
    assert facts["folders"] == [str(gallery)]
    assert facts["index"] == {"recipe": "flat", "count": facts["faces"], "recall_at_1": None}
    said = cli("info")
    assert re.search(r"photos\s+9 ok", said.out)
    assert re.search(r"index\s+flat, \d+ faces, exact", said.out)


def test_doctor_tests_the_machine(cli: Cli) -> None:
    report = json.loads(cli("doctor", "--json").out)
    assert report["test"].startswith("passed: one face")
    assert report["device"] == "cpu"
    assert re.fullmatch(r"\d+ photos/s of 384 x 384 pixels", report["speed"])
    assert report["onnxruntime"][0].isdigit()


def test_a_gpu_that_is_not_there_is_3_and_never_a_silent_cpu(
    cli: Cli, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    said = cli("index", album, "--device", "gpu")
    assert said.code == 3
    assert "No GPU can be used here" in said.err


# the command itself


def test_usage_errors_are_2(cli: Cli) -> None:
    for words in (["index"], ["query"], ["nonsense"], ["verify", "a"], ["index", "x", "--people-from", "stars"]):
        assert cli(*words).code == 2


def test_the_version_is_told(cli: Cli) -> None:
    import importlib.metadata

    assert cli("--version").out == f"facesearch {importlib.metadata.version('facesearch')}\n"


def test_a_gallery_that_does_not_exist_is_answered_with_those_that_do(cli: Cli, gallery: Path) -> None:
    assert "There is no gallery 'famly' (available: default); make it" in cli("info", "--gallery", "famly").err


def test_help_imports_nothing_heavy_and_does_little() -> None:
    """Twice what it does today is too much; numpy alone has 150 modules."""
    help_ = Started.of("--help")
    assert "index" in help_.out
    assert help_.heavy() == []
    assert len(help_.modules) < 500
    assert help_.calls < 400_000


@pytest.mark.parametrize(("module", "package"), [("onnxruntime", "onnxruntime"), ("faiss", "faiss-cpu")])
def test_without_an_engine_one_sentence_says_what_to_install(
    module: str, package: str, album: Path, home: Path, tmp_path: Path
) -> None:
    """As in an environment without either extra: the import fails."""
    (tmp_path / "block").mkdir()
    (tmp_path / "block" / f"{module}.py").write_text(f"raise ImportError('no {module}')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "block")}
    said = subprocess.run(
        [str(Path(sys.executable).with_name("facesearch")), "index", str(album), "--precision", "float32"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert said.returncode == 3
    assert f"pip install {package}" in said.stderr.splitlines()[-1]
    assert "Traceback" not in said.stderr


def test_a_reader_who_leaves_early_is_no_error(gallery: Path, home: Path) -> None:
    command = f"{Path(sys.executable).with_name('facesearch')} query {gallery} --json | head -n 1"
    said = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert json.loads(said.stdout)
    assert "Traceback" not in said.stderr
