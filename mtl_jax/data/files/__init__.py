"""Users' own files as data sources."""
