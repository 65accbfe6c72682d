"""Readers that turn foreign files of weights into plain arrays. Each module is one format and has one
function, `read(path)`, that returns float32 arrays in the file's own order."""
