"""What an experiment file says: runs, tasks, optimizers, and how they are executed."""
