"""What a migration can take from: one module for each kind of source."""
