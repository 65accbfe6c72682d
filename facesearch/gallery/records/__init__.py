"""What a gallery gives its callers: frozen records."""
