"""Tests with the programs of others."""
