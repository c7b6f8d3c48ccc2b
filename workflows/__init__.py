"""Decisions, durable: one workflow a file. They name activities and plain shapes; clock, sockets and stores are theirs
only through Temporal.
"""
