"""Stored pixels as images for people to look at (PS3.18 8.3.5)."""
