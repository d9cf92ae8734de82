"""Ratios of Stepweave against bare baselines that run beside it, in the same run."""
