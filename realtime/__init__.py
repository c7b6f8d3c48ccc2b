"""The real-time hub: events by Redis to the sockets of `/cable`. It decides nothing and starts no workflow."""
