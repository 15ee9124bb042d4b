"""Trunks for one kind of input, and their building blocks."""
