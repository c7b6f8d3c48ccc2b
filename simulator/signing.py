"""How each platform proves that a webhook is its own.

Telegram repeats the secret given to setWebhook in a header (https://core.telegram.org/bots/api#setwebhook, platforms.md
§2.3). Slack signs "v0:{timestamp}:{body}" with HMAC-SHA256 (https://docs.slack.dev/authentication/verifying-requests-from-slack,
§4.4) and says in two more headers that and why it tries again (§4.3). Called by webhooks.py for each attempt anew.
"""

from __future__ import annotations

import hashlib
import hmac
import time

from simulator.channel import Channel
from simulator.records import Delivery


def slack_signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the value of X-Slack-Signature."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def request_headers(
    channel: Channel, delivery: Delivery, body: bytes, retry: int, reason: str | None
) -> dict[str, str]:
    """Return the headers of one attempt. `retry` 0 is the first; `reason` is why the one before failed."""
    headers = {"Content-Type": delivery.content_type}
    if channel.platform == "telegram":
        if channel.webhook.secret:
            headers["X-Telegram-Bot-Api-Secret-Token"] = channel.webhook.secret
        return headers
    timestamp = str(int(time.time()))
    headers["User-Agent"] = "Slackbot 1.0 (+https://api.slack.com/robots)"
    headers["X-Slack-Request-Timestamp"] = timestamp
    headers["X-Slack-Signature"] = slack_signature(channel.webhook.secret, timestamp, body)
    if retry:
        headers["X-Slack-Retry-Num"] = str(retry)
        headers["X-Slack-Retry-Reason"] = reason or "unknown_error"
    return headers
