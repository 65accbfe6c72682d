"""Boxes, landmarks and chips: arrays in, arrays out."""
