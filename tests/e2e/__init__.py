"""The whole archive as its own processes, used through its doors."""
