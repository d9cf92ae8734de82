"""What a step is: its file, its config, its schemas, and how the steps of a project fit together.

Nothing here knows runners: what a runner read from a file is handed in as plain data.
"""
