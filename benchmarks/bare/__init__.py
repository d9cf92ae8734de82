"""The bare baselines: what the same work costs with nothing of Stepweave in between."""
