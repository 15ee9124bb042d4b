"""Files of runs: data, run directories, checkpoints. The only package that touches the disk."""
