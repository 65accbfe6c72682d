"""A run of `index`: what is new is found, analysed and written by the one writer, once or again and again."""
