"""Nothing leaves this machine, and nothing is written outside of the home: every command once, in a process whose
network calls are watched, with an empty HOME."""

import ast
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import packages_distributions
from pathlib import Path

import cv2
import pytest

_CHECKOUT = Path(__file__).parents[2]
_FACESEARCH = str(Path(sys.executable).with_name("facesearch"))
_MUST = "FACESEARCH_TEST_STRACE"  # set where a skipped test would be a lie
_FAMILY = re.compile(r"sa_family=(AF_\w+)")
_ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]*)"')
_INSIDE = {"AF_UNIX", "AF_NETLINK", "AF_UNSPEC"}  # other processes, the kernel, and a connection taken back
_NAME_SERVERS = ("53", "853", "5353", "5355")  # their ports: one of this machine asks others in turn
_RESOLVED = "/systemd/resolve"  # so does this one
_CALLS = ("connect(", "sendto(", "sendmsg(", "sendmmsg(")


@pytest.fixture(scope="session")
def strace() -> str:
    found = shutil.which("strace")
    works = (
        found
        and not subprocess.run(
            [found, "-f", "--seccomp-bpf", "-qq", "true"], capture_output=True, check=False
        ).returncode
    )
    if not works:
        reason = "strace is not installed, or may not watch processes here"
        if os.environ.get(_MUST):
            pytest.fail(reason)
        pytest.skip(reason)
    return str(found)


class Place:
    """A machine's corner of its own: HOME, TMPDIR and FACESEARCH_HOME, where commands run and are watched."""

    def __init__(self, top: Path, strace: str) -> None:
        self._top, self._strace = top, strace
        for name in ("user", "tmp", "work"):
            (top / name).mkdir()
        self.home, self.work, self._log = top / "facesearch", top / "work", top / "log"
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", _MUST)}
        self.settings = kept | {
            "HOME": str(top / "user"),
            "TMPDIR": str(top / "tmp"),
            "FACESEARCH_HOME": str(self.home),
        }

    def run(self, *command: object, code: int | tuple[int, ...] = 0, **settings: str) -> str:
        """Runs it and returns what it said, and what the network heard of it."""
        watched = [
            self._strace,
            "-f",
            "--seccomp-bpf",
            "-qq",
            "-e",
            "trace=network",
            "-o",
            str(self._log),
            *map(str, command),
        ]
        before = os.umask(0)
        try:
            done = subprocess.run(
                watched,
                env=self.settings | settings,
                cwd=self.work,
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
        finally:
            os.umask(before)
        codes = code if isinstance(code, tuple) else (code,)
        assert done.returncode in codes, (command, done.stderr)
        assert not re.search(r"Warning|WARNING|oneDNN|cuda|I0000|E0000", done.stderr), done.stderr
        return done.stdout

    def sent(self) -> list[str]:
        """Calls of the newest command that go beyond this machine."""
        return [line for line in self._log.read_text(errors="replace").splitlines() if _goes_beyond(line)]

    def strays(self) -> list[str]:
        """What lies where it was not asked for."""
        return sorted(
            str(path.relative_to(self._top)) for name in ("user", "tmp") for path in (self._top / name).rglob("*")
        )


def _goes_beyond(line: str) -> bool:
    if not any(call in line for call in _CALLS):
        return False
    if all(family in _INSIDE for family in _FAMILY.findall(line)):
        return _RESOLVED in line
    found = _ADDRESS.findall(line)
    return not found or any(
        port in _NAME_SERVERS or not (address.startswith("127.") or address == "::1") for port, address in found
    )


def _wide(home: Path) -> list[str]:
    return [
        f"{path.relative_to(home)}: {stat.S_IMODE(path.lstat().st_mode):o}"
        for path in (home, *home.rglob("*"))
        if not path.is_symlink() and path.stat().st_mode & 0o077
    ]


@pytest.fixture
def place(tmp_path: Path, strace: str) -> Place:
    return Place(tmp_path, strace)


@pytest.fixture
def photos(place: Place, astronaut_file: Path) -> Path:
    """Photos of two "people", who are one in truth: what matters here is what is written and sent."""
    picture = cv2.imread(str(astronaut_file))
    assert picture is not None
    for number, person in ((1, "Ann"), (2, "Ann"), (1, "Bob"), (2, "Bob")):
        folder = place.work / "photos" / person
        folder.mkdir(parents=True, exist_ok=True)
        changed = cv2.convertScaleAbs(picture, alpha=1 - 0.1 * number, beta=10.0 * (person == "Bob"))
        cv2.imwrite(str(folder / f"{person}_{number:04d}.jpg"), changed)
    return place.work / "photos"


@pytest.fixture
def elsewhere(place: Place, photos: Path, lights: Path, data: Path) -> Path:
    """What other commands measure and add: lists of pairs, photos of Yale B, a foreign model with its card."""
    files = place.work / "given"
    (files / "yaleb").mkdir(parents=True)
    rows = [f"{photos}/{a}/{a}_000{i}.jpg,{photos}/{b}/{b}_000{j}.jpg,{int(a == b)}" for a, i, b, j in _PAIRS]
    (files / "pairs.csv").write_text("a,b,same\n" + "\n".join(rows) + "\n")
    (files / "pairs.txt").write_text("10\t1\n" + 10 * "Ann\t1\t2\nAnn\t1\tBob\t1\n")
    for photo in lights.iterdir():
        shutil.copy(photo, files / "yaleb")
    shutil.copy(data / "models" / "mobilefacenet.onnx", files / "own.onnx")
    (files / "own.toml").write_text(_CARD)
    return files


_CARD = """
kind = "embedder"
name = "own"
title = "A network of one's own"
network = "onnx_graph"
licence = "CC0-1.0"
source = "this test"
dim = 128
chip_px = 112
mean = [127.5, 127.5, 127.5]
scale = 0.0078125
weights = [{ path = "own.onnx", format = "onnx" }]
[alignment]
kind = "landmarks"
[alignment.templates]
mtcnn = [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
"""


def _commands(photos: Path, given: Path) -> Iterator[tuple[tuple[object, ...], int | tuple[int, ...]]]:
    """Every command but those that train, with the code that it must end with."""
    ann, bob = photos / "Ann" / "Ann_0001.jpg", photos / "Bob" / "Bob_0001.jpg"
    yield ("doctor", "--device", "cpu"), 0  # exports the networks
    yield ("index", photos, "--people-from", "folder"), 0
    yield ("query", ann, "--sheet", "sheet.jpg"), 0
    yield ("verify", ann, bob), 0
    yield ("calibrate",), 3  # too few strangers
    yield ("info", "--failures"), 0
    yield ("check", "--photos"), 0
    yield ("repair",), 0
    yield ("forget", bob, "--yes"), 0
    yield ("align", photos, "crops"), 0
    yield ("galleries", "list"), 0
    yield ("galleries", "backup", "kept.backup"), 0
    yield ("galleries", "restore", "kept.backup", "--as", "two"), 0
    yield ("galleries", "rename", "two", "three"), 0
    yield ("galleries", "move", photos, photos, "--gallery", "three"), 0
    yield ("galleries", "delete", "three", "--yes"), 0
    yield ("models", "list"), 0
    yield ("models", "show", "sface"), 0
    yield ("models", "add", given / "own.onnx", "--card", given / "own.toml"), 0
    yield ("bench", "search", "--n", "1000"), 0
    yield ("bench", "pairs", given / "pairs.csv", "--roc", "roc.png", "--errors", "errors.png"), (0, 3)
    yield ("bench", "lfw", "--data", photos, "--pairs", given / "pairs.txt"), 0
    yield ("bench", "yaleb", "--data", given / "yaleb"), 0


_PAIRS = (("Ann", 1, "Ann", 2), ("Bob", 1, "Bob", 2), ("Ann", 1, "Bob", 1), ("Ann", 2, "Bob", 2))


def test_every_command_keeps_to_its_home_and_to_itself(place: Place, photos: Path, elsewhere: Path) -> None:
    asked = {"photos", "given", "kept.backup", "sheet.jpg", "crops", "roc.png", "errors.png"}
    for words, code in _commands(photos, elsewhere):
        place.run(_FACESEARCH, *words, code=code)
        assert place.sent() == [], words
        assert place.strays() == [], words
        assert _wide(place.home) == [], words
    assert {path.name for path in place.work.iterdir()} <= asked


@pytest.mark.slow
def test_training_keeps_to_its_home_and_to_itself(place: Place, photos: Path) -> None:
    place.run(_FACESEARCH, "align", photos, "crops", "--size", 96)
    few = ("--epochs", 1, "--steps", 1, "--size", 64, "--people", 2, "--per-person", 2, "--held-out", 0)
    place.run(_FACESEARCH, "train", "crops", "--out", "mine", *few)
    assert place.sent() == []
    assert place.strays() == []
    assert _wide(place.home) == []


def test_a_download_goes_where_the_user_says_and_nowhere_else(place: Place, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "sface.onnx").write_bytes(b"not that model")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = f"http://127.0.0.1:{server.server_port}/sface.onnx"
        place.run(_FACESEARCH, "models", "pull", "sface", "--from", source, code=(3, 6))
        server.shutdown()
    assert place.sent() == []
    assert place.strays() == []
    assert _wide(place.home) == []


def test_python_without_the_command_line_is_as_quiet(place: Place, photos: Path, models_home: Path) -> None:
    shutil.copytree(models_home / "models", place.home / "models")
    program = (
        "import os, sys\n"
        "before = dict(os.environ)\n"
        "import facesearch\n"
        "assert dict(os.environ) == before\n"
        "from facesearch import Gallery, verify\n"
        "os.environ.pop('LD_LIBRARY_PATH', None)\n"  # OpenCV sets it for itself
        "assert dict(os.environ) == before and 'onnxruntime' not in sys.modules\n"
        f"Gallery.open(device='cpu').index([{str(photos)!r}])\n"
        f"Gallery.open(device='cpu').query({str(photos / 'Ann' / 'Ann_0001.jpg')!r})\n"
        "assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'\n"
        "assert not [name for name, module in sys.modules.items() if 'openvino_telemetry' in name and module]\n"
    )
    place.run(sys.executable, "-c", program)
    assert place.sent() == []
    assert place.strays() == []
    assert _wide(place.home) == []


_VISIT = """
import http.client, json, signal, subprocess, sys, time
command = [sys.argv[1], "web", "--no-browser", "--token-file", "token"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
    host, _, enter = server.stdout.readline().strip().removeprefix("http://").partition("/")
    def ask(method, target, body=None, **headers):
        connection = http.client.HTTPConnection(host)
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        answer.said = answer.read()
        return answer
    entered = ask("GET", "/" + enter)
    cookie = entered.headers["Set-Cookie"].partition(";")[0]
    token = "Bearer " + open("token").read().strip()
    photo = open(sys.argv[2], "rb").read()
    for target in ("/people", "/static/app.js", "/api/people", "/api/state", "/api/faces/1/image",
                   "/api/photos/1/image"):
        assert ask("GET", target, Cookie=cookie).status == 200, target
    kind = {"Content-Type": "image/jpeg"}
    assert ask("POST", "/api/search", photo, Authorization=token, **kind).status == 200
    assert ask("GET", "/people", Host="evil.example").status == 421
    kind = {"Content-Type": "application/json"}
    assert ask("POST", "/api/index", b"{}", Authorization=token, **kind).status == 200
    while not json.loads(ask("GET", "/api/state", Cookie=cookie).said)["run"]["ended"]:
        time.sleep(0.05)
    server.send_signal(signal.SIGINT)
assert server.returncode == 130
"""


def test_the_page_keeps_to_its_home_and_to_this_machine(place: Place, photos: Path, models_home: Path) -> None:
    shutil.copytree(models_home / "models", place.home / "models")
    place.run(_FACESEARCH, "index", photos, "--device", "cpu")
    place.run(sys.executable, "-c", _VISIT, _FACESEARCH, photos / "Ann" / "Ann_0001.jpg")
    assert place.sent() == []
    assert place.strays() == []
    assert _wide(place.home) == []
    assert {path.name for path in place.work.iterdir()} == {"photos"}


def test_it_would_be_noticed(place: Place) -> None:
    """A library that asks a name server, connects, or leaves something in the user's home is caught."""
    program = (
        "import pathlib, socket\n"
        "pathlib.Path.home().joinpath('.cache').mkdir()\n"
        "for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):\n"
        "    with socket.socket(socket.AF_INET, kind) as s:\n"
        "        s.settimeout(0.1)\n"
        "        try:\n"
        "            s.connect(('192.0.2.1', 53))\n"
        "            s.send(b'?')\n"
        "        except OSError: pass\n"
        "for address in ('192.0.2.1', 80), ('127.0.0.53', 53), ('127.0.0.1', 9):\n"
        "    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:\n"
        "        try: s.sendto(b'?', address)\n"
        "        except OSError: pass\n"
    )
    place.run(sys.executable, "-c", program)
    assert len(place.sent()) == 4  # but not the last: that stays on this machine, and no name server listens there
    assert place.strays() == ["user/.cache"]


def test_the_telemetry_of_onnxruntime_would_be_noticed(place: Place) -> None:
    """What it does when nobody has switched it off: from version 1.29 on it leaves an identity in the home at its
    import, and asks for an address some seconds later."""
    import onnxruntime

    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 29):
        pytest.skip("this onnxruntime has no telemetry on this system")
    place.run(sys.executable, "-c", "import onnxruntime", ORT_DISABLE_TELEMETRY="0")
    assert any("Microsoft" in path for path in place.strays())


def test_the_telemetry_of_openvino_would_be_noticed(place: Place) -> None:
    """What its import does when nobody has kept that package from it."""
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    program = "import openvino, sys, time; assert sys.modules['openvino_telemetry']; time.sleep(1)"
    place.run(sys.executable, "-c", program)
    assert place.sent() or place.strays()


def test_a_user_s_own_places_are_kept(place: Place) -> None:
    own = place.work / "own"
    program = (
        "import os; from facesearch.libraries import settle_all; settle_all()\n"
        "print(os.environ['KERAS_HOME'], os.environ['MPLCONFIGDIR'], os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    said = place.run(sys.executable, "-c", program, KERAS_HOME=str(own), ORT_DISABLE_TELEMETRY="0")
    keras, matplotlib, telemetry = said.split()
    assert keras == str(own)
    assert Path(matplotlib).is_relative_to(place.home)
    assert telemetry == "1"


def test_a_home_that_others_could_read_is_narrowed_once(
    home: Path, process: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    for folder in (home, home / "indexes" / "default", home / "models"):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
    (home / "models" / "people.json").write_text("[]")
    (home / "models" / "people.json").chmod(0o644)
    (home / "else").write_text("not ours")
    (home / "else").chmod(0o644)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere").chmod(0o755)
    (home / "indexes" / "link").symlink_to(tmp_path / "elsewhere")
    assert "now its owner alone can" in process("models", "list").stderr
    assert [each for each in _wide(home) if not each.startswith("else:")] == []
    assert (home / "else").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o755
    assert "now its owner alone can" not in process("models", "list").stderr


def test_a_home_that_is_reached_by_a_link_is_narrowed(
    process: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real").chmod(0o755)
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "link"))
    assert "now its owner alone can" in process("models", "list").stderr
    assert _wide(tmp_path / "real") == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_what_cannot_be_narrowed_is_said(
    home: Path, process: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    (home / "indexes").mkdir(mode=0o755)
    (home / "indexes").chmod(0o755)
    os.chown(home / "indexes", 1, 1)
    said = process("models", "list")
    assert said.returncode == 0
    assert "cannot be changed" in said.stderr
    assert (home / "indexes").stat().st_mode & 0o777 == 0o755


def test_importing_sets_nothing_of_other_libraries() -> None:
    program = (
        "import os, sys, warnings, logging, cv2, numpy, PIL.Image, scipy, h5py, importlib\n"
        "def state():\n"
        "    return (list(warnings.filters), cv2.utils.logging.getLogLevel(), PIL.Image.MAX_IMAGE_PIXELS,\n"
        "            os.umask(os.umask(0)), logging.root.manager.disable, dict(os.environ))\n"
        "before = state()\n"
        "for name in ('photos.pool photos.decoding_process gallery.gallery flow.stages models.serving '\n"
        "             'models.adding training.crops gallery.upkeep cli').split():\n"
        "    importlib.import_module('facesearch.' + name)\n"
        "after = state()\n"
        "assert before == after, (before, after)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def _imported(folder: Path) -> set[str]:
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"facesearch"}


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    declared = {re.split(r"[\[<>=;~! ]", each)[0].replace("_", "-").lower() for each in wanted}
    other_backends = {"jax", "torch"}  # of Keras, for those who have them
    known_as = {**packages_distributions(), "google": ["protobuf"], "tensorflow": ["tensorflow"]}
    for module in sorted(_imported(_CHECKOUT / "facesearch") - other_backends):
        names = {name.replace("_", "-").lower() for name in known_as.get(module, [module])}
        assert names & declared, f"{module} is imported, and none of {names} is declared"


def test_constraints_name_versions_alone_and_fit_what_is_declared() -> None:
    lines = [line for line in (_CHECKOUT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
