"""Every number that a command takes has limits, and what is outside of them is refused with the usage code."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from facesearch import Gallery, cli
from facesearch.errors import UsageError


@pytest.fixture(scope="module", autouse=True)
def kept() -> None:
    """Nothing: decoders that fail here are started here."""


def _numbers(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All options that take a number, with the command's words."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from _numbers(inner, (*words, name))
    for parameter in command.params:
        if parameter.type_descriptor.annotation in (int, float, int | None, float | None):
            yield words, parameter


_NUMBERS = list(_numbers(typer.main.get_command(cli.app)))


@pytest.mark.parametrize(
    ("words", "parameter"), _NUMBERS, ids=[" ".join((*words, parameter.name)) for words, parameter in _NUMBERS]
)
def test_every_number_has_both_limits_and_nothing_else_is_taken(
    words: tuple[str, ...], parameter: Any, cli: Callable[..., Any], tmp_path: Path
) -> None:
    least, most = parameter.type_descriptor.parameter_info.min, parameter.type_descriptor.parameter_info.max
    assert least is not None
    assert most is not None
    assert math.isfinite(least)
    assert math.isfinite(most)
    arguments = {"index": ["x"], "query": ["x"], "align": ["x", "y"], "train": ["x", "--out", "new"]}
    given = [*words, *arguments.get(words[-1], []), *(["--data", "x"] if words[-1] == "yaleb" else [])]
    for value in (most + 1, least - 1, "1" + "0" * 20, "nan", "inf", "-inf", "1e30", "9" * 5000, "x"):
        assert cli(*given, f"{parameter.opts[0]}={value}").code == 2, value


@pytest.mark.parametrize(
    "question",
    [{"k": 10**20}, {"k": 0}, {"threshold": math.nan}, {"threshold": math.inf}, {"face": 0}, {"face": 10**20}],
)
def test_python_is_told_of_numbers_out_of_range(question: dict[str, Any], home: Path) -> None:
    with pytest.raises(UsageError):
        Gallery.open().query("photo.jpg", **question)


@pytest.mark.parametrize(
    "option",
    [
        {"max_side": 10**20},
        {"max_megapixels": math.inf},
        {"max_megapixels": math.nan},
        {"threads": 10**9},
        {"batch": 10**12},
        {"min_face_px": 1e30},
    ],
)
def test_python_is_told_of_options_out_of_range(option: dict[str, Any], home: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Gallery.open().index([tmp_path], **option)
