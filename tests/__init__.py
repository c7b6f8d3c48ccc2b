"""Tests mirror the packages: `tests/<package>/test_<file>.py`, a class per function, a method per scenario."""
