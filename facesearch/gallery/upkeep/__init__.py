"""What keeps a gallery sound, saved and small: check, repair, backup, moving, forgetting."""
