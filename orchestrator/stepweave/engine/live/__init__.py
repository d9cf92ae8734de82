"""Streams as their followers see them: rooms, snapshots, changes in order."""
