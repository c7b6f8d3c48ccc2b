"""The token in what Mattermost posts: read from a form, from JSON or from the address, and only where it stands once.

Called by the adapter's `verify`, before anything else is read. There is no signature and no time.
"""

from __future__ import annotations

import hmac
import json
from urllib.parse import parse_qsl

from adapters.base import WebhookRequest
from domain.errors import SignatureError

FIELDS_MAX = 200
FORM = "application/x-www-form-urlencoded"


def verify_token(request: WebhookRequest, expected: list[str]) -> None:
    """Compare the token with each that may be used, in constant time. Raises SignatureError."""
    known = [_encoded(token) for token in expected if token]
    if not known:
        raise SignatureError("the channel has no token of a webhook or a command, so nothing can be verified")
    token = _encoded(_only(_tokens(request)))
    _same_in_header(request, token)
    if not sum(hmac.compare_digest(token, one) for one in known):
        raise SignatureError("the token is wrong")


def _only(tokens: list[object]) -> str:
    if len(tokens) != 1 or not isinstance(tokens[0], str) or not tokens[0]:
        raise SignatureError("the token is missing or repeated")
    return tokens[0]


def _tokens(request: WebhookRequest) -> list[object]:
    """Return every value that is called `token`."""
    try:
        if request.method == "GET":
            return [request.query["token"]] if "token" in request.query else []
        if FORM in (request.header("content-type") or ""):
            pairs = parse_qsl(request.body.decode("utf-8"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
            return [value for name, value in pairs if name == "token"]
        return _tokens_of_json(request.body)
    except (ValueError, RecursionError) as error:
        raise SignatureError("the body cannot be read, so no token can be found in it") from error


def _tokens_of_json(body: bytes) -> list[object]:
    outermost: list[tuple[str, object]] = []

    def keep(pairs: list[tuple[str, object]]) -> None:
        # Called for inner objects first: what is left at the end is the outermost one, with repeated names.
        outermost[:] = pairs

    found: object = json.loads(body.decode("utf-8-sig"), object_pairs_hook=keep)
    return [value for name, value in outermost if name == "token"] if found is None else []


def _same_in_header(request: WebhookRequest, token: bytes) -> None:
    """Commands repeat their token in a header; where it stands there, it must be the same."""
    given = request.headers.get("authorization", ())
    if not given:
        return
    scheme, _, value = given[0].partition(" ")
    if len(given) != 1 or scheme != "Token" or not hmac.compare_digest(_encoded(value), token):
        raise SignatureError("the token in the header is another one")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
