"""What somebody sees who looks through a gallery."""
