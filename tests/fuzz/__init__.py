"""Inputs that nobody thought of, for everything that reads what a stranger sent."""
