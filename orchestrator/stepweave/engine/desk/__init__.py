"""What people see of events and state, and do to them by hand."""
