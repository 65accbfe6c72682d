"""Another model for a gallery: every known face is embedded anew and keeps its id."""
