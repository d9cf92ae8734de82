"""From a recorded event to the end of its handlers: queues, order, limits, tries."""
