"""The wire: frames, the three message shapes, and nothing about steps."""
