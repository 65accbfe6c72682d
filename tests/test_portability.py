"""facesearch needs nothing that POSIX alone has, and its import changes nothing of other libraries. (Windows and
macOS cannot be tried here: a Python without these modules and names stands for them.)"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from facesearch.models.sandbox import TimedOutError, lines_of

_HIDE = """
import os, signal, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "resource", "pwd", "grp", "termios"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Hidden())
for module, names in (
    (signal, ("SIGALRM", "setitimer", "alarm", "SIGHUP")),
    (os, ("sched_getaffinity", "killpg", "geteuid", "sysconf", "O_NONBLOCK", "O_DIRECTORY", "fork")),
):
    for name in names:
        delattr(module, name)
with open(os.environ["HIDDEN_IN"], "a") as log:
    log.write(" ".join(sys.orig_argv) + chr(10))
"""


@pytest.fixture
def without_posix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every Python that is started from now on lacks what POSIX alone has. Each writes its command to this file."""
    hook, log = tmp_path / "hook", tmp_path / "started"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(_HIDE)
    monkeypatch.setenv("PYTHONPATH", str(hook))
    monkeypatch.setenv("HIDDEN_IN", str(log))
    return log


def test_index_query_and_verify_need_nothing_that_posix_alone_has(
    process: Callable[..., "subprocess.CompletedProcess[str]"],
    without_posix: Path,
    astronaut_file: Path,
    tmp_path: Path,
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "astronaut.jpg").write_bytes(astronaut_file.read_bytes())
    for words in (("index", photos), ("query", astronaut_file), ("verify", astronaut_file, photos / "astronaut.jpg")):
        done = process(*words)
        assert done.returncode == 0, (words, done.stderr)
    assert "facesearch.photos.decoding_process" in without_posix.read_text()


def test_a_process_of_its_own_is_ended_in_time_without_groups_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "never_ending.py").write_text("import time; print('begun', flush=True); time.sleep(1000)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delattr(os, "killpg")
    lines = lines_of("never_ending", b"", iter((60, 0.1)))
    assert next(lines) == b"begun"
    with pytest.raises(TimedOutError):
        next(lines)


_COMPARE = """
import importlib, json, logging, os, pkgutil, signal, sys, warnings
from contextlib import suppress
import cv2, PIL.Image, PIL.ImageFile

def state():
    return {
        "environment": dict(os.environ),
        "warnings": [str(each) for each in warnings.filters],
        "Pillow's limit": PIL.Image.MAX_IMAGE_PIXELS,
        "Pillow's formats": sorted(PIL.Image.OPEN),
        "Pillow's leniency": PIL.ImageFile.LOAD_TRUNCATED_IMAGES,
        "OpenCV's log": cv2.utils.logging.getLogLevel(),
        "OpenCV's threads": cv2.getNumThreads(),
        "logging": [logging.root.level, logging.root.manager.disable, len(logging.root.handlers)],
        "signals": [str(signal.getsignal(each)) for each in sorted(signal.valid_signals())],
        "hooks": [str(sys.excepthook), str(sys.unraisablehook)],
        "umask": os.umask(os.umask(0o022)),
    }

for library in sys.argv[1:]:  # what these change when they are imported is their own affair
    with suppress(ImportError):
        importlib.import_module(library)
before = state()
import facesearch
for each in pkgutil.walk_packages(facesearch.__path__, "facesearch."):
    try:
        importlib.import_module(each.name)
    except ImportError as error:
        if error.name is None or error.name.startswith("facesearch"):
            raise  # else an extra is not installed
after = state()
json.dump({name: [before[name], after[name]] for name in before if before[name] != after[name]}, sys.stdout)
"""
_LIBRARIES = (
    "keras",
    "sklearn.model_selection",
    "scipy.optimize",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "h5py",
    "requests",
)


def test_no_import_changes_what_belongs_to_other_libraries() -> None:
    command = [sys.executable, "-c", _COMPARE, *_LIBRARIES]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, "{}"), done.stderr
