"""Faces in photos: found, chosen, and embedded."""
