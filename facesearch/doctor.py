"""Whether this machine is sound: versions, device, and a test on a real face whose right answer is known."""

import importlib.metadata
import platform
import sqlite3
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facesearch.errors import FaceSearchError, Note
from facesearch.faces.analyser import Analyser
from facesearch.gallery.vectors.index import import_faiss
from facesearch.home import cores, home
from facesearch.models.cards import default_embedder, detector_card, embedder_card, threshold_of
from facesearch.models.device import Device, Precision, choose_device
from facesearch.photos.pixels import decode
from facesearch.photos.view import whole_view

# Eileen Collins, photographed by NASA: in the public domain.
_PHOTO = Path(__file__).with_name("astronaut.jpg")
_PACKAGES = (
    "facesearch",
    "numpy",
    "opencv-python-headless",
    "onnxruntime",
    "openvino",
    "tensorflow",
    "keras",
    "sqlite-utils",
    "pymilvus",
    "ray",
    "s3fs",
)
_ROUNDS = 40  # photos: about a second


def examine(device: Device, precision: Precision, note: Note) -> dict[str, Any]:
    """What this machine has, and how the default models do on it. Raises FaceSearchError when an engine is not
    there or when the test's answer is wrong."""
    faiss = import_faiss()
    report: dict[str, Any] = {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {cores()} cores",
        "home": str(home()),
        "sqlite": sqlite3.sqlite_version,
        "faiss": faiss.__version__,
    }
    report |= {package: _version(package) for package in _PACKAGES}
    report["device"] = choose_device(device)
    return report | _try_models(device, precision, note)


def _try_models(device: Device, precision: Precision, note: Note) -> dict[str, Any]:
    card = embedder_card(default_embedder())
    detector = detector_card(card.detector)
    analyser = Analyser.load(detector, card, device, note=note, precision=precision)
    photo = decode(_PHOTO.read_bytes())
    other = cv2.convertScaleAbs(cv2.resize(photo[:, ::-1], None, fx=0.6, fy=0.6), alpha=0.7)
    (first, second) = analyser.analyse([whole_view(photo), whole_view(np.asarray(other, np.uint8))])
    if (len(first.faces), len(second.faces)) != (1, 1):
        raise FaceSearchError(
            f"The test photo shows one face, but {len(first.faces)} and {len(second.faces)} were found; "
            "install facesearch again."
        )
    similarity = float(first.embeddings[0] @ second.embeddings[0])
    least = threshold_of(card).similarity
    if similarity < least:
        raise FaceSearchError(
            f"One face and its darker mirror image have a similarity of {similarity:.3f}, below the threshold of "
            f"{card.name}, {least}; install facesearch again."
        )
    started = time.perf_counter()
    for _ in range(_ROUNDS // 8):
        analyser.analyse([whole_view(photo)] * 8)
    rate = _ROUNDS / (time.perf_counter() - started)
    engine = analyser.engine
    return {
        "engine": engine.name,
        "precision": engine.precision + (f": {engine.instead}" if engine.instead else ""),
        "models": f"{detector.name}, {card.name}",
        "test": f"passed: one face, similarity {similarity:.3f} with its darker mirror image",
        "speed": f"{rate:.0f} photos/s of {photo.shape[1]} x {photo.shape[0]} pixels",
    }


def _version(package: str) -> str:
    names = (package, f"{package}-cpu") if package == "tensorflow" else (package,)
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"
