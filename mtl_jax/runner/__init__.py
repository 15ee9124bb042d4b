"""Runs experiments from the command line: run selection, training, baselines, progress."""
