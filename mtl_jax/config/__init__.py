"""Configuration of experiments: runs, tasks, optimizers and execution."""
