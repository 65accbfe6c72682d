"""Questions to a gallery: the faces asked about, the nearest to them, and what is judged the same."""
