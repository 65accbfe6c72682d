"""Who is in a photo."""
