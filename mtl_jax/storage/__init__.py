"""Data loading, run directories and checkpoints; the only package that accesses the disk."""
