"""A migration rehearsed: silos with planted oddities are moved by the real commands, and every promise is checked."""
