"""Pure values that pass between the layers."""
