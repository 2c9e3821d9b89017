"""What fsspec and the stores behind it raise, in our words: told apart is what may come right when asked again."""

from __future__ import annotations

from typing import Any

from statehouse.scripts.errors import ChangedObjectError, StoreAwayError, StoreError, StoreRefusedError
from statehouse.scripts.store.address import without_credentials

CONFLICT = 409
NOT_NOW = (408, 429, 500, 502, 503, 504)
SPOILT = ("BadDigest", "InvalidDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "RequestTimeout")


def our_error(address: str, what: str, error: Exception) -> StoreError:
    """Return what to raise when a store did not do ``what`` it was asked."""
    kind = type(error).__name__
    said = without_credentials(str(error)).rstrip(". ") or kind
    if kind == "FileExpired":
        return ChangedObjectError(f"{address}: what was being read was replaced meanwhile ({what}).")
    if isinstance(error, PermissionError) or "Credential" in kind or status_of(error) in (401, 403):
        return StoreRefusedError(
            f"{address} refuses to let us {what}: {said}. Credentials come from the environment "
            "(AWS_ACCESS_KEY_ID, AWS_PROFILE, …) or your ~/.aws files, the endpoint from AWS_ENDPOINT_URL."
        )
    if isinstance(error, (NotImplementedError, TypeError, ValueError)):
        # Its fsspec package, or its server, cannot.
        return StoreRefusedError(f"{address} has no way to {what}: {said}.")
    if code_of(error) in SPOILT:
        return StoreAwayError(f"{address} did not get what was sent (to {what}): {said}.")
    status = status_of(error)
    if status is not None and status not in (*NOT_NOW, CONFLICT):
        return StoreRefusedError(f"{address} refuses to {what}: {said}.")
    return StoreAwayError(f"{address} does not answer (to {what}): {said}.")


def _response_of(error: BaseException | None) -> dict[str, Any]:
    """Return what S3 answered, where such an answer is behind an error of fsspec's."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            return response
        error = error.__cause__
    return {}


def code_of(error: BaseException) -> str | None:
    """Return the code in what S3 answered, such as ``NoSuchBucket``."""
    code: str | None = _response_of(error).get("Error", {}).get("Code")
    return code


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status behind an error of fsspec's, where there is one."""
    status = getattr(error, "status", None)  # aiohttp's
    if isinstance(status, int):
        return status
    answered: int | None = _response_of(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    return answered
