"""Experiments from the command line: selection of runs, training, baselines, progress."""
