"""A ledger as a signed file: written, and checked without the archive."""
