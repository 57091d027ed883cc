"""What a migration brought, for people and for programs: HTML, JSON and CSV."""
