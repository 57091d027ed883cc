"""Bringing what exists elsewhere into the archive."""
