"""The services over a real index and real stores."""
