"""The columns of a gallery's tables, in a database of whichever facesearch."""

import sqlite3

from facesearch.gallery.sqlite import columns

FACE = "box_left, box_top, box_right, box_bottom, score, landmarks, embedding, {checksum}"
WITHOUT_EMBEDDING = "box_left, box_top, box_right, box_bottom, score, landmarks, {checksum}"
TABLES = {  # in an order in which what is referred to comes first
    "settings": "only, model, detector, dim, min_face_px, {max_side}, {identity}",
    "roots": "path",
    "runs": "id, pid, started_at, ended_at, photos, faces, {worked_on}, {seconds}, {engine}, {precision}",
    "exclusions": "only, patterns, defaults",
    "calibration": "only, similarity, far, strangers, learned_at, {judged}",
    "people": "id, name",
    "photos": "id, path, size, mtime_ns, digest, status, reason, width, height, {taken}, {cause}, {needs}, "
    "{ctime_ns}, {face_count}",
    "faces": f"id, photo_id, person_id, {{quality}}, {FACE}",
    "set_aside": f"id, photo_id, person_id, {{quality}}, {WITHOUT_EMBEDDING}, reason",
}
ABSENT = {  # columns in an earlier facesearch's database, and what stands for them
    "max_side": "0",
    "identity": "''",
    "face_count": "-1",
    "checksum": "NULL",
    "taken": "NULL",
    "cause": "NULL",
    "needs": "NULL",
    "ctime_ns": "0",
    "judged": "0",
    "quality": "NULL",
    "worked_on": "NULL",
    "seconds": "NULL",
    "engine": "NULL",
    "precision": "NULL",
}


def tables_in(conn: sqlite3.Connection) -> set[str]:
    """Which of these tables the database has."""
    found = {row[0] for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return found & set(TABLES)


def present(conn: sqlite3.Connection, table: str, wanted: str) -> str:
    """The wanted columns for a SELECT; a value in place of each that an earlier facesearch's table lacks."""
    there = columns(conn, table)
    return wanted.format(**{name: name if name in there else otherwise for name, otherwise in ABSENT.items()})
