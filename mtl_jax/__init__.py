"""Learning from few labels: multi-task, semi-supervised and transfer learning in one step."""
