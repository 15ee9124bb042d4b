"""Multi-task architectures around a trunk."""
