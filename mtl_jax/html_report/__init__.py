"""One page of HTML about an experiment: table, findings, figures, learning curves, settings."""
