"""The columns of a gallery's tables, in a database of whichever facesearch."""

import sqlite3

from facesearch.gallery.tables.sqlite import columns

FACE = "box_left, box_top, box_right, box_bottom, score, landmarks, embedding, {checksum}"
WITHOUT_EMBEDDING = "box_left, box_top, box_right, box_bottom, score, landmarks, {checksum}"
_WHOSE = "id, photo_id, person_id, {named_by}, {margin}, {is_face}, {quality}"
BEFORE_FACE = _WHOSE.count(",") + 1  # columns in both tables of faces
TABLES = {  # in an order in which what is referred to comes first
    "settings": "only, model, detector, dim, min_face_px, {max_side}, {identity}",
    "roots": "path",
    "runs": "id, pid, started_at, ended_at, photos, faces, {worked_on}, {seconds}, {engine}, {precision}, "
    "{newest_photo}, {newest_face}",
    "exclusions": "only, patterns, defaults",
    "calibration": "only, similarity, far, strangers, learned_at, {judged}",
    "people": "id, name, {kind}, {hidden}, {cover_face}, {made_by}, {joined_into}",
    "photos": "id, path, size, mtime_ns, digest, status, reason, width, height, {taken}, {cause}, {needs}, "
    "{ctime_ns}, {face_count}",
    "faces": f"{_WHOSE}, {FACE}",
    "set_aside": f"{_WHOSE}, {WITHOUT_EMBEDDING}, reason",
    "apart": "face_id, person_id",
    "strangers": "a, b",
    "repeats": "photo_id",
    "marks": "id, photo_id, box_left, box_top, box_right, box_bottom, person_id",
    "awaited": "digest, box_left, box_top, box_right, box_bottom, person_id, named_by, is_face, apart",
    "changes": "id, at, verb, words, undone_at, made_by",
    "changed": "id, change_id, table_name, row_id, before, after",
}
OF_DECISIONS = ("apart", "strangers", "repeats", "marks", "changes", "changed")  # of these an earlier one had none
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
    "kind": "'person'",
    "hidden": "0",
    "cover_face": "NULL",
    "made_by": "'folder'",
    "joined_into": "NULL",
    "named_by": "iif(person_id IS NULL, NULL, 'folder')",
    "margin": "NULL",
    "is_face": "1",
    "worked_on": "NULL",
    "seconds": "NULL",
    "engine": "NULL",
    "precision": "NULL",
    "newest_photo": "NULL",
    "newest_face": "NULL",
}


def tables_in(conn: sqlite3.Connection) -> set[str]:
    """Which of these tables the database has."""
    found = {row[0] for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return found & set(TABLES)


def present(conn: sqlite3.Connection, table: str, wanted: str) -> str:
    """The wanted columns for a SELECT; a value in place of each that an earlier facesearch's table lacks."""
    there = columns(conn, table)
    return wanted.format(**{name: name if name in there else otherwise for name, otherwise in ABSENT.items()})
