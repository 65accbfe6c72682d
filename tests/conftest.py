"""Photos of faces and real networks for all tests; one home for the whole session: networks are exported once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import settings

from facesearch.arrays import Pixels
from facesearch.faces.analyser import Analyser
from facesearch.models.cards import detector_card, embedder_card
from facesearch.models.export import prepare
from facesearch.photos.pixels import decode
from tests.kept import decoders_kept, end_idle, networks_kept
from tests.portraits import Faces, MadeFaces, made_lights
from tests.web.galleries import family
from tests.web.opened import Opened, copied, opened
from tests.web.trial import browsing

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_CHECKOUT = Path(__file__).parent.parent
settings.register_profile("any machine", deadline=None)  # 200 milliseconds for a try are too few where much else runs
settings.load_profile("any machine")


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


Cli = Callable[..., Said]


@pytest.fixture(scope="session", autouse=True)
def session_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home for the whole session, so that no test ever touches the user's own; empty until a test asks for more."""
    path = tmp_path_factory.mktemp("home")
    os.environ["FACESEARCH_HOME"] = str(path)
    yield path
    del os.environ["FACESEARCH_HOME"]


@pytest.fixture(scope="session", autouse=True)
def decoders_ended() -> Iterator[None]:
    """None is left behind."""
    yield
    end_idle()


@pytest.fixture(scope="module", autouse=True)
def kept() -> Iterator[None]:
    """Decoders and networks are started once for many tests; a module whose tests are about their start takes the
    place of this fixture with one of its own."""
    with decoders_kept(), networks_kept():
        yield


@pytest.fixture(scope="session")
def models_home(session_home: Path) -> Path:
    """A home with the default models exported, made once."""
    prepare([detector_card("mtcnn"), embedder_card("dlib-resnet")], lambda _: None)
    return session_home


@pytest.fixture
def home(models_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of the test's own: no gallery yet, the models there. What a test puts there is its owner's alone."""
    before = os.umask(0o077)
    own = tmp_path / "home"
    own.mkdir(mode=0o700)
    (own / "models").mkdir(mode=0o700)
    for model in (models_home / "models").iterdir():
        (own / "models" / model.name).symlink_to(model)
    monkeypatch.setenv("FACESEARCH_HOME", str(own))
    yield own
    os.umask(before)


@pytest.fixture(scope="session")
def analyser(models_home: Path) -> Analyser:
    """In 32 bits, whatever the machine has."""
    return Analyser.load(detector_card("mtcnn"), embedder_card("dlib-resnet"), "cpu", precision="float32")


@pytest.fixture(scope="session")
def astronaut_file() -> Path:
    """Eileen Collins, photographed by NASA: a real face in the public domain, which facesearch ships."""
    return Path(str(resources.files("facesearch"))) / "astronaut.jpg"


@pytest.fixture(scope="session")
def astronaut(astronaut_file: Path) -> Pixels:
    return decode(astronaut_file.read_bytes())


DATA = Path(os.environ.get("FACESEARCH_TEST_DATA", _CHECKOUT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder with LFW, Yale B and models of others, for what only they can show."""
    if not (DATA / "lfw" / "images").is_dir():
        pytest.skip(f"LFW is not in {DATA}; set FACESEARCH_TEST_DATA to the folder that holds lfw/")
    return DATA


@pytest.fixture(scope="session")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    """Photos of many people: Labeled Faces in the Wild where it is at hand, made ones elsewhere."""
    if (DATA / "lfw" / "images").is_dir():
        return Faces(DATA / "lfw" / "images", DATA / "lfw" / "pairs.txt")
    return MadeFaces(tmp_path_factory.mktemp("lfw"))


@pytest.fixture(scope="session")
def photo_of(portraits: Faces) -> Callable[..., Path]:
    """The path of a photo by a person's name and the photo's number."""
    return portraits.photo


@pytest.fixture(scope="session")
def lights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of 22 people in eight lights: of Yale B where it is at hand, made ones elsewhere."""
    folder = tmp_path_factory.mktemp("lights")
    if not (DATA / "yaleb").is_dir():
        return made_lights(folder)
    for person in sorted((DATA / "yaleb").iterdir())[:22]:  # its ten folds share nobody
        for photo in sorted(person.glob("*.pgm"))[::9]:
            shutil.copy(photo, folder)
    return folder


@pytest.fixture
def album(tmp_path: Path, photo_of: Callable[..., Path]) -> Path:
    """Nine photos of three people, a folder each."""
    folder = tmp_path / "album"
    for person in ("Abdullah_Gul", "Angelina_Jolie", "Tiger_Woods"):
        (folder / person).mkdir(parents=True)
        for number in (1, 2, 3):
            shutil.copy(photo_of(person, number), folder / person)
    return folder


@pytest.fixture
def cli(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command in this process."""
    from facesearch import cli as command_line

    def run(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["facesearch", *map(str, words)])
        capsys.readouterr()
        code = command_line.run()
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def process(home: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs a command in a process of its own, from a directory that is not the checkout."""

    def run(*words: object) -> "subprocess.CompletedProcess[str]":
        command = [str(Path(sys.executable).with_name("facesearch")), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=home, timeout=300)

    return run


Write = Callable[..., Path]


@pytest.fixture(scope="session")
def write() -> Write:
    """Writes an RGB picture in the format that the name ends with."""

    def to(path: Path, pixels: Pixels) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        done, encoded = cv2.imencode(path.suffix, np.ascontiguousarray(pixels[..., ::-1]))
        assert done
        path.write_bytes(encoded.tobytes())
        return path

    return to


@pytest.fixture(scope="session")
def names_of_any_kind(astronaut_file: Path) -> Callable[[Path], list[str]]:
    """Fills a folder with copies of the astronaut under names that trip programs up; the names."""

    def fill(folder: Path) -> list[str]:
        names = [
            "with space.jpg",
            "line\nbreak.jpg",
            "smile 😀.jpg",
            "李雷.jpg",
            os.fsdecode(b"latin1-\xe9.jpg"),
            "-k.jpg",
            "'; DROP TABLE photos; --.jpg",
            "esc\x1b[31m.jpg",
        ]
        for i, name in enumerate(names):
            # The byte at the end makes each file's content its own.
            (folder / name).write_bytes(astronaut_file.read_bytes() + bytes([i]))
        return names

    return fill


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with browsing() as found:
        yield found


@pytest.fixture(scope="session")
def family_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a gallery that no test changes."""
    home = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACESEARCH_HOME", str(home))
        family("family", home / "photos")
    return home


@pytest.fixture
def there(browser: "Browser", family_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """The page of a family that has not been named, on a home of its own."""
    copied(family_home, tmp_path / "home", monkeypatch)
    with opened(browser, "family") as found:
        yield found
