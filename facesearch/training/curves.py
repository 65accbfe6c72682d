"""The course of a training as a table, a picture and TensorBoard's events, updated after each epoch."""

import csv
import importlib.util
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facesearch.files import write_whole
from facesearch.pictures.plots import Series, draw_series

if TYPE_CHECKING:
    from facesearch.evaluation.metrics import Verification
    from facesearch.training.plan import Epoch

_COLUMNS = (
    "epoch",
    "phase",
    "steps",
    "minutes",
    "loss",
    "active",
    "accuracy",
    "auc",
    "pairs_accuracy",
    "pairs_auc",
    "images_per_second",
    "learning_rate",
)


class Curves:
    """Writes curves.csv, curves.png and events for TensorBoard into a folder. `pairs` is what the file of pairs is
    called in the picture, with its mark."""

    def __init__(self, folder: Path, pairs: str) -> None:
        self._folder, self._pairs = folder, pairs
        self._events: Any = None

    def add(self, epoch: "Epoch", is_last: bool) -> None:
        """Adds the newest epoch; what earlier runs wrote stays, as a checkpoint does not hold their evaluations. The
        picture, which takes longest, is drawn again where an epoch was evaluated or is the first or the last. Raises
        OSError."""
        path = self._folder / "curves.csv"
        row = _row(epoch)
        before = [] if epoch.number == 1 or not path.exists() else _read(path)
        _write(path, [*before, row])
        if epoch.number == 1 or is_last or epoch.held_out or epoch.on_pairs:
            self._draw(path)
        self._write_events(row)
        for written in self._folder.glob("events/*"):
            written.chmod(0o600)

    def _draw(self, path: Path) -> None:
        rows = _read(path)
        pairs = self._pairs or "pairs"
        curves = (
            ("softmax", "loss", "loss", "softmax"),
            ("triplets", "loss", "loss", "triplet"),
            ("triplets", "share active", "active", "triplet"),
            ("accuracy", "people held out", "accuracy", ""),
            ("accuracy", pairs, "pairs_accuracy", ""),
            ("AUC", "people held out", "auc", ""),
            ("AUC", pairs, "pairs_auc", ""),
        )
        drawn = []
        for panel, name, column, phase in curves:
            of_phase = [row for row in rows if row[column] and phase in ("", row["phase"])]
            if of_phase:
                drawn.append(Series(panel, name, [(int(row["epoch"]), float(row[column])) for row in of_phase]))
        phases = [row["phase"] for row in rows]
        changes = [int(rows[i]["epoch"]) - 0.5 for i in range(1, len(rows)) if phases[i] != phases[i - 1]]
        draw_series(f"Training of {self._folder.name}", drawn, changes, path.with_suffix(".png"))

    def _write_events(self, row: dict[str, Any]) -> None:
        if importlib.util.find_spec("tensorflow") is None:
            return  # Keras runs on something else
        import tensorflow as tf

        if self._events is None:
            self._events = tf.summary.create_file_writer(str(self._folder / "events"))
        # tf.summary.scalar() would need the package tensorboard to be installed; what it writes is this.
        scalar = tf.compat.v1.SummaryMetadata(data_class="DATA_CLASS_SCALAR", plugin_data={"plugin_name": "scalars"})
        with self._events.as_default(step=row["epoch"]):
            for name, value in row.items():
                if isinstance(value, float):
                    tf.summary.write(name, tf.constant(value, tf.float32), metadata=scalar)
        self._events.flush()


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes the table whole or not at all; None is an empty field."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, _COLUMNS)
    table.writeheader()
    table.writerows(rows)
    write_whole(path, text.getvalue().encode())


def _row(epoch: "Epoch") -> dict[str, Any]:
    accuracy, auc = _figures(epoch.held_out)
    pairs_accuracy, pairs_auc = _figures(epoch.on_pairs)
    return {
        "epoch": epoch.number,
        "phase": epoch.phase,
        "steps": epoch.steps,
        "minutes": round(epoch.seconds / 60, 2),
        "loss": epoch.loss,
        "active": epoch.active,
        "accuracy": accuracy,
        "auc": auc,
        "pairs_accuracy": pairs_accuracy,
        "pairs_auc": pairs_auc,
        "images_per_second": round(epoch.images_per_second, 1),
        "learning_rate": epoch.learning_rate,
    }


def _figures(found: "Verification | None") -> tuple[float | None, float | None]:
    if found is None:
        return None, None
    return found.accuracy.mean if found.accuracy else None, found.auc
