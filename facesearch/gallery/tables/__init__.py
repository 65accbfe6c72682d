"""The database of a gallery: its schema and its tables, as rows and records. `gallery/database.py` opens them."""
