"""Tests of matching, encoding and pixel data."""
