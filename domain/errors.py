"""Expected refusals, one class each: a stable code, an HTTP status and whether trying again can help.

The API renders them in the documented envelope, activities map them to Temporal failures; nobody matches on text.
"""

from __future__ import annotations


class PowernodeError(Exception):
    """Base of all expected refusals; the message may be shown to the caller and holds no secret."""

    code = "INTERNAL_ERROR"
    http_status = 500
    retryable = False

    def __init__(self, message: str = "", *, details: dict[str, object] | None = None) -> None:
        super().__init__(message or self.code)
        self.message = message or self.code
        self.details = details or {}


class NotFoundError(PowernodeError):
    """Nothing with this id in the caller's account (a foreign id looks the same)."""

    code, http_status = "NOT_FOUND", 404


class InvalidInputError(PowernodeError):
    """The caller's input does not fit; `details.errors` says where."""

    code, http_status = "VALIDATION_ERROR", 422


class ConflictError(PowernodeError):
    """Somebody else changed it first."""

    code, http_status = "CONFLICT", 409


class AuthenticationError(PowernodeError):
    """No, or no valid, proof of who is calling. `expired` tells a client that refreshing may help."""

    code, http_status = "UNAUTHORIZED", 401

    def __init__(self, message: str = "Authentication required", *, expired: bool = False) -> None:
        super().__init__(message)
        self.expired = expired


class PermissionDeniedError(PowernodeError):
    """The caller is known but lacks the named permission."""

    code, http_status = "FORBIDDEN", 403


class SignatureError(PowernodeError):
    """A webhook that its platform did not sign, or signed too long ago."""

    code, http_status = "INVALID_SIGNATURE", 401


class PayloadError(PowernodeError):
    """A verified webhook body that cannot be understood; it is stored as quarantined with this message as reason."""

    code, http_status = "UNREADABLE_PAYLOAD", 422


class PayloadTooLargeError(PowernodeError):
    """A body over the route's cap."""

    code, http_status = "PAYLOAD_TOO_LARGE", 413


class RateLimitedError(PowernodeError):
    """Too many tries; `retry_after_s` says when the next is welcome."""

    code, http_status, retryable = "RATE_LIMITED", 429, True

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnavailableError(PowernodeError):
    """A part that we need does not answer just now; nothing was changed."""

    code, http_status, retryable = "SERVICE_UNAVAILABLE", 503, True


class ModelError(PowernodeError):
    """A model provider refused or broke; `retryable` says whether the same request may succeed later."""

    code, http_status = "MODEL_ERROR", 502

    def __init__(self, message: str, *, retryable: bool, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class ForbiddenAddressError(PowernodeError):
    """An address that a stranger named and that we do not go to: it is private, or not one of the web."""

    code, http_status = "FORBIDDEN_ADDRESS", 422


class FileRefusedError(PowernodeError):
    """A file that we do not take; the message says why, in words that fit after "the file is" or stand alone."""

    code, http_status = "FILE_REFUSED", 422


class FileTooLargeError(FileRefusedError):
    """A file over the limit."""

    code, http_status = "FILE_TOO_LARGE", 413


class FileGoneError(PowernodeError):
    """The platform does not hand a file out (any more)."""

    code, http_status = "FILE_GONE", 410
