"""The api's fixtures: activities are tested on rows that people and webhooks made."""

from __future__ import annotations

from tests.api.conftest import app, login, server

__all__ = ["app", "login", "server"]
