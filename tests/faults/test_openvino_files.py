"""Networks of OpenVINO that lie, end early, or ask for everything: one sentence, exit code 6, and nothing left."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.openvino_files import CARD, Network, small

Cli = Callable[..., Any]
_SECONDS = 30  # for any of them, on a busy machine


def _add(cli: Cli, path: Path) -> Any:
    card = path.with_name("card.toml")
    card.write_text(CARD)
    return cli("models", "add", path, "--card", card)


def _refused(cli: Cli, home: Path, path: Path, why: str) -> None:
    before, started = set((home / "models").iterdir()), time.monotonic()
    said = _add(cli, path)
    assert said.code == 6, said.err
    assert why in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert set((home / "models").iterdir()) == before
    assert time.monotonic() - started < _SECONDS


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda xml: xml[: len(xml) // 2], "cut short"),
        (lambda xml: "", "cut short"),
        (lambda xml: "no XML", "is not XML"),
        (lambda xml: xml.replace('version="11"', 'version="10"'), "it begins with net 10"),
        (lambda xml: "<html></html>", "it begins with html"),
        (lambda xml: xml.replace("Sigmoid", "Loop"), "a layer of the kind 'Loop'"),
        (lambda xml: xml.replace('from-port="0"', 'from-port="7"', 1), "no such layers or ports"),
        (lambda xml: xml.replace('from-layer="0"', 'from-layer="999"', 1), "no such layers or ports"),
        (lambda xml: xml.replace('<layer id="1"', '<layer id="0"', 1), "two layers 0"),
        (lambda xml: xml.replace('<layer id="1"', '<layer id="-1"', 1), "the id of a layer is '-1'"),
        (lambda xml: xml.replace("<dim>8</dim>", "<dim>9</dim>"), "and its card says"),
        (lambda xml: xml.replace("<dim>8</dim>", "<dim>" + "9" * 5000 + "</dim>"), "a size is '99999"),
        (lambda xml: xml.replace('offset="0"', 'offset="999999999999"', 1), "lies at bytes"),
        (lambda xml: xml.replace('offset="0"', 'offset="-4"', 1), "lies at bytes"),
        (lambda xml: xml.replace('shape="4, 3, 3, 3"', 'shape="4, 3, 3, 4"'), "bytes for"),
        (lambda xml: xml.replace('shape="4, 3, 3, 3"', 'shape="99999999, 99999999, 99999999"'), "bytes for"),
        (lambda xml: xml.replace('strides="2, 2"', 'strides="0, 0"'), "cannot be"),
        (lambda xml: xml.replace('strides="2, 2"', 'strides="two"'), "makes no sense"),
        (lambda xml: xml.replace('auto_pad="explicit"', 'auto_pad="same_upper"'), "pads as"),
        (lambda xml: xml.replace("</edges>", '<edge from-layer="0"/></edges>'), "no such layers or ports"),
        (lambda xml: "<a>" * 100_000, "begins with a"),
        (lambda xml: xml.replace("<dim>8</dim>", "<dim>8</dim>" * 300_000, 1), "more than 8 dimensions"),
    ],
)
def test_what_lies_is_refused(change: Callable[[str], str], why: str, cli: Cli, home: Path, tmp_path: Path) -> None:
    path = small().write(tmp_path)
    changed = change(small().xml())
    assert changed != small().xml()
    path.write_text(changed)
    _refused(cli, home, path, why)


def test_numbers_that_end_early_are_refused(cli: Cli, home: Path, tmp_path: Path) -> None:
    path = small().write(tmp_path)
    path.with_suffix(".bin").write_bytes(small().data[:-1])
    _refused(cli, home, path, "lies at bytes")
    path.with_suffix(".bin").write_bytes(small().data + b"more")
    _refused(cli, home, path, "its layers speak of")
    path.with_suffix(".bin").unlink()
    said = _add(cli, path)
    assert said.code == 2
    assert "small.bin" in said.err


def test_a_circle_is_refused(cli: Cli, home: Path, tmp_path: Path) -> None:
    net = Network()
    net.parameter(1, 3, 8, 8)
    for number, other in ((1, 2), (2, 1)):
        net.layer("Sigmoid", "", [0], (1, 4))
        net.edges[-1] = f'<edge from-layer="{other}" from-port="1" to-layer="{number}" to-port="0"/>'
    _refused(cli, home, net.write(tmp_path), "in a circle")


def test_ten_million_layers_are_refused(cli: Cli, home: Path, tmp_path: Path) -> None:
    path = small().write(tmp_path)
    with path.open("w") as file:
        file.write('<net version="11"><layers>')
        for start in range(0, 10_000_000, 100_000):
            file.write("".join(f'<layer id="{i}"/>' for i in range(start, start + 100_000)))
    _refused(cli, home, path, "more than 16 MB")
    layers = "".join(f'<layer id="{i}"/>' for i in range(30_000))
    path.write_text(f'<net version="11"><layers>{layers}</layers></net>')
    _refused(cli, home, path, "more than 20,000 layers")


def test_entities_are_refused(cli: Cli, home: Path, tmp_path: Path) -> None:
    bomb = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    path = small().write(tmp_path)
    path.write_text(small().xml(before=f'<!DOCTYPE net [<!ENTITY e0 "boom">{bomb}]>').replace("small", "&e11;"))
    _refused(cli, home, path, "it declares entities")
    path.write_text(small().xml(before=f'<!DOCTYPE net SYSTEM "{tmp_path}/card.toml">'))
    _refused(cli, home, path, "it declares entities")


def test_an_embedding_without_numbers_is_refused(cli: Cli, home: Path, tmp_path: Path) -> None:
    net = small()
    net.data = np.full(len(net.data) // 2, np.nan, np.float16).tobytes()
    _refused(cli, home, net.write(tmp_path), "without length or number")
