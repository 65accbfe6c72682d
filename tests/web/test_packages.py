"""The page is an extra: without its packages the command line works, and `web` says what to install."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import facesearch.web
from facesearch.web.pages import modules
from tests.made_galleries import made

STATIC = Path(facesearch.web.__file__).parent / "static"

_WITHOUT = (
    "import sys; sys.modules |= dict.fromkeys(('starlette', 'uvicorn', 'jinja2'))\n"
    "from facesearch.cli import run\n"
    "sys.argv = ['facesearch', *sys.argv[1:]]\n"
    "sys.exit(run())\n"
)


def _without_the_extra(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", _WITHOUT, *words], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("words", [["--help"], ["web", "--help"], ["info"], ["people"], ["people", "log"]])
def test_the_command_line_works_without_the_page(words: list[str], home: Path) -> None:
    made(photos=["a.jpg"])
    done = _without_the_extra(*words)
    assert done.returncode == 0, done.stderr


def test_the_page_says_what_to_install(home: Path) -> None:
    made(photos=["a.jpg"])
    done = _without_the_extra("web", "--no-browser")
    assert done.returncode == 3
    assert "pip install starlette uvicorn jinja2" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_page_is_told_at_once_of_all_that_it_imports() -> None:
    found = modules("app.js", "people/people.js")
    assert {"app.js", "people/people.js", "grid/grid.js", "grid/tiles.js", "texts.js"} <= set(found)
    imported = {
        (STATIC / module).parent.joinpath(name).resolve()
        for module in found
        for name in re.findall(r'from "(\.[^"]+)"', (STATIC / module).read_text())
    }
    assert imported <= {(STATIC / module).resolve() for module in found}
