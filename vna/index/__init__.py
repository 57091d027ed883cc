"""The index in Postgres: the only package that speaks SQL."""
