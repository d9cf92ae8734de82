"""Bus, state, streams, cron and the invoker: what happens between an event and its handler."""
