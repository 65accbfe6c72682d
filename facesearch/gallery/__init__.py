"""A collection of photos, its faces and who they are: one directory with a database and the vectors made from it."""
