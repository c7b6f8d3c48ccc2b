"""Files to Slack in three steps, and where one was shared (https://docs.slack.dev/messaging/working-with-files).

`files.getUploadURLExternal` takes no JSON, so its arguments go in the address. The file's id is kept before the last step: only
`files.info` can tell later whether a completion whose answer was lost was carried out. Called by the adapter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

import httpx2

from adapters.base import Absent, Accepted, CannotTell, Found, LookupResult, Refused, SendRequest, SendResult, Unknown
from adapters.http import Answer, Call, Form, Outcome, call
from adapters.platform.slack.errors import result_of
from adapters.uploads import NO_BYTES, as_upload, upload_failed

Read = Callable[[str, Mapping[str, str]], Awaitable[Outcome]]
Post = Callable[[str, Mapping[str, object]], Awaitable[Outcome]]


async def send_file(
    http: httpx2.AsyncClient, request: SendRequest, read: Read, post: Post, is_ours: Callable[[str], bool]
) -> SendResult:
    """Upload and complete. `post` is fenced: nobody sees the file before it; `is_ours`: whether an address is Slack's own."""
    file = request.file
    if file is None:
        return NO_BYTES
    asked = {"filename": file.filename, "length": str(file.size_bytes)}
    answer = result_of(await read("files.getUploadURLExternal", asked))
    if not isinstance(answer, dict):
        return upload_failed(answer)
    url, file_id = answer.get("upload_url"), answer.get("file_id")
    if not isinstance(url, str) or not isinstance(file_id, str) or not is_ours(url):
        return upload_failed(Unknown("Slack's answer names no address"))
    form = Form({}, as_upload("file", file))
    outcome = await call(http, Call(url, form=form, timeout_s=request.timeout_s))
    if not isinstance(outcome, Answer) or outcome.status != 200:
        reason = outcome.reason if not isinstance(outcome, Answer) else f"HTTP {outcome.status}"
        return upload_failed(Unknown(f"Slack did not take the bytes ({reason})"))
    if request.keep_ref is not None:
        await request.keep_ref(file_id)
    done = result_of(await post("files.completeUploadExternal", _completion(request, file.filename, file_id)))
    return Accepted(file_id) if isinstance(done, dict) else done


def _completion(request: SendRequest, filename: str, file_id: str) -> dict[str, object]:
    body: dict[str, object] = {
        "files": [{"id": file_id, "title": filename}],
        "channel_id": request.address.chat,
    }
    if request.address.thread is not None:
        body["thread_ts"] = request.address.thread
    return body | ({"initial_comment": request.text} if request.text else {})


async def find_file(read: Read, file_id: str, chat: str) -> LookupResult:
    """Find out whether an upload was completed: then the file is shared in the conversation."""
    answer = result_of(await read("files.info", {"file": file_id}))
    if isinstance(answer, Refused):
        if answer.code in {"file_not_found", "file_deleted"}:
            return Absent()
        return CannotTell(f"{answer.message} ({answer.code})", answer.retry_after_s)
    if not isinstance(answer, dict):
        return CannotTell(answer.reason if isinstance(answer, Unknown) else "")
    shares = _object(_object(answer.get("file")).get("shares"))
    shared = any(chat in _object(shares.get(kind)) for kind in ("public", "private"))
    return Found(file_id) if shared else Absent()


def _object(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
