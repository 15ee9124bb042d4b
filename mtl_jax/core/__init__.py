"""Base classes, views, validation and trees that every other package builds on."""
