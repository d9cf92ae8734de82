"""Where events and state are kept: one contract, and a file per way of keeping it."""
