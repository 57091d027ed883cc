"""A vendor-neutral archive: receives, keeps, finds and delivers medical images."""

__version__ = "0.1.0"
