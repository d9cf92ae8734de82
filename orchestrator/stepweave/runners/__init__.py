"""Child processes that run the steps: one pool per language, long-lived, replaced."""
