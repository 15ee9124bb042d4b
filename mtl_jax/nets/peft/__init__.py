"""Parameter-efficient fine-tuning of a trunk."""
