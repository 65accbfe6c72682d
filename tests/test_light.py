"""What serves needs no training framework, and what only benchmarks and training use is not even imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_TRAINING = ("tensorflow", "keras", "sklearn", "scipy", "matplotlib", "h5py")
_CLUSTERS = ("ray", "pymilvus", "pandas", "pyarrow")  # with what they bring
_ONLY_ELSEWHERE = (*_TRAINING, *_CLUSTERS)
_COMMANDS = ("index PHOTOS", "query PHOTO", "verify PHOTO PHOTO", "info", "check", "forget PHOTO --yes")
_PROGRAM = """
import sys
sys.argv = ["facesearch", *sys.argv[1:]]
from facesearch.__main__ import main
code = 0
try:
    main()
except SystemExit as ended:
    code = ended.code
print("ended with", code, "having imported", sorted(set({names!r}) & set(sys.modules)), file=sys.stderr)
"""
# Makes an import of some packages fail as where they are not installed.
_ABSENT = "import sys\nfor name in {names!r}: sys.modules[name] = None\n"


def _run(home: Path, program: str, *words: str) -> str:
    """What a command says on the standard error; packages that `home / "site"` makes absent are absent."""
    environment = os.environ | {"FACESEARCH_HOME": str(home), "PYTHONPATH": str(home / "site")}
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=home, env=environment, timeout=300
    )
    return done.stderr


def test_no_usual_command_imports_what_trains_or_draws(tmp_path: Path, astronaut_file: Path) -> None:
    """From the first run on, in which the networks are prepared."""
    photos = tmp_path / "photos"
    photos.mkdir()
    photo = photos / "astronaut.jpg"
    photo.write_bytes(astronaut_file.read_bytes())
    for command in _COMMANDS:
        words = command.replace("PHOTOS", str(photos)).replace("PHOTO", str(photo)).split()
        said = _run(tmp_path, _PROGRAM.format(names=_ONLY_ELSEWHERE), *words)
        assert "ended with 0 having imported []" in said, (command, said)


@pytest.mark.parametrize(
    ("absent", "words", "sentence"),
    [
        ("keras", "train PHOTOS --out mine", "TensorFlow is not installed; install it with: pip install tensorflow"),
        ("h5py", "models add WEIGHTS", "h5py is not installed; install it with: pip install h5py"),
        ("onnx", "index PHOTOS", "onnx is not installed; install it with: pip install onnx"),
    ],
)
def test_a_command_whose_package_is_absent_says_what_to_install(
    absent: str, words: str, sentence: str, tmp_path: Path, astronaut_file: Path
) -> None:
    for person in "abcd":
        folder = tmp_path / "photos" / person
        folder.mkdir(parents=True)
        for number in range(2):
            (folder / f"{number}.jpg").write_bytes(astronaut_file.read_bytes() + f"{person}{number}".encode())
    (tmp_path / "own.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_ABSENT.format(names=[absent]))
    given = words.replace("PHOTOS", str(tmp_path / "photos")).replace("WEIGHTS", str(tmp_path / "own.h5")).split()
    said = _run(tmp_path, _PROGRAM.format(names=()), *given)
    assert sentence in said, said
    assert "ended with 3" in said, said
