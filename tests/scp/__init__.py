"""Tests of the DIMSE door."""
