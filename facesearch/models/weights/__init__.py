"""Readers that turn files of weights into plain arrays. Each module is one format and has a function `read(path)`,
that returns float32 arrays: a list in the file's own order, or a mapping by name."""
