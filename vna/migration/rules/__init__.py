"""Tag rules: what is corrected in all that a campaign brings."""
