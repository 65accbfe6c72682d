"""The benchmark runs from end to end on a handful of photos: that it runs counts, not what it measures there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from facesearch.photos.view import read

_RUN = Path(__file__).parents[2] / "benchmarks" / "run.py"


def test_the_benchmark_runs(tmp_path: Path, astronaut_file: Path, models_home: Path) -> None:
    face = cv2.resize(read(str(astronaut_file)), (250, 250))
    for i in range(8):
        folder = tmp_path / "photos" / f"person{i // 2}"
        folder.mkdir(parents=True, exist_ok=True)
        darker = (face * (1 - i / 20)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{i}.jpg"), darker[..., ::-1])
    command = [
        sys.executable,
        str(_RUN),
        str(tmp_path / "photos"),
        "--tiny",
        "--json",
        str(tmp_path / "figures.json"),
    ]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"TMPDIR": str(tmp_path)}
    )
    assert ran.returncode == 0, ran.stderr
    rows = {row["what"]: row for row in json.loads((tmp_path / "figures.json").read_text())}
    assert rows["embedding alone, mirrored chips"]["value"] > 0
    assert rows["of ONNX Runtime's bare rate"]["target"] == "95 or more"
    assert rows["recall@1"]["met"]
    assert all(np.isfinite(row["value"]) for row in rows.values())
