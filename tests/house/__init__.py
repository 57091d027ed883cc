"""Tests of the house itself: documents, configuration, sizes and the way in."""
