"""Data sources for users' own files."""
