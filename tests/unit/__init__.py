"""Tests of single modules: no database, no network, seconds in all."""
