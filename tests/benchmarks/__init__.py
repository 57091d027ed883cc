"""Benchmarks: figures and ratios, never assertions of time; `make bench` runs them."""
