"""Trunks of one kind of input, and the blocks that they are made of."""
