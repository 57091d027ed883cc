"""Everything the archive does, free of any protocol: store, query, retrieve, describe, probe."""
