"""Object stores behind one contract: immutable objects under write-once keys."""
