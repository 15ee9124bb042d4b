"""Data sets that are read by name."""
