"""What a reader sees: the only serialiser, for REST and WebSocket alike, so that their payloads are equal by construction.

Every view that can change carries a monotonic `version`: a late event never overwrites a newer view (VIEW).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.file_views import AttachmentView, View


class ChannelSummaryView(View):
    """A channel in a list."""

    id: UUID
    platform: str
    name: str
    status: str
    message_count: int
    session_count: int
    default_agent: str | None
    connected_at: datetime | None
    last_message_at: datetime | None
    version: int


class ConnectionView(View):
    """How a channel's socket stands, on platforms that speak over one: `connecting`, `connected`, `lost`, `refused`.

    `heard_at`: when the place to go on from last moved.
    """

    state: str
    last_error: str | None
    last_error_at: datetime | None
    connected_at: datetime | None
    heard_at: datetime | None


class ChannelView(ChannelSummaryView):
    """A channel in full; credentials are never part of it, only which of them are set."""

    configuration: dict[str, object]
    rate_limit_per_minute: int
    credentials_set: list[str]
    default_agent_id: UUID | None
    last_error: str | None
    last_error_at: datetime | None
    webhook_url: str
    connection: ConnectionView | None
    created_at: datetime
    updated_at: datetime


class SessionView(View):
    """A session, in lists and events alike."""

    id: UUID
    channel_id: UUID
    platform: str
    platform_user_id: str
    platform_username: str | None
    status: str
    owner: str
    message_count: int
    assigned_agent: str | None
    ai_conversation_id: UUID
    last_activity_at: datetime
    created_at: datetime
    version: int


class SessionDetailsView(SessionView):
    """A session in full. `reply_window_until`: until when one may write freely; null where the platform sets no such limit."""

    channel_name: str
    conversation_id: str
    agent_handoff_count: int
    user_metadata: dict[str, object]
    owner_user_id: UUID | None
    owner_version: int
    closed_at: datetime | None
    last_inbound_at: datetime | None
    reply_window_until: datetime | None = None


class PartView(View):
    """One part of an outbound message: the finer truth behind its status."""

    part: int
    status: str
    attempts: int
    platform_message_id: str | None
    error_code: str | None
    error: str | None


class MessageView(View):
    """A chat message, in lists and events alike. `delivery_detail` is empty for inbound ones.

    `late`: said while nobody listened, and too long ago to be answered.
    """

    id: UUID
    session_id: UUID
    direction: str
    message_type: str
    content: str
    delivery_status: str
    delivery_detail: list[PartView]
    attachments: list[AttachmentView]
    generation: int
    arrival_no: int | None
    late: bool
    platform_message_id: str | None
    ai_message_id: UUID | None
    trace_id: str
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    created_at: datetime
    version: int


class MessageDetailsView(MessageView):
    """A chat message in full."""

    raw_content: str
    sanitized_content: str
    platform_metadata: dict[str, object]


class SenderInfoView(View):
    """Who speaks in a conversation."""

    id: str | None = None
    name: str | None = None


class MessageMetadataView(View):
    """What the front end shows beside a conversation message."""

    streaming: bool = False
    tokens_used: int = 0
    processing: bool = False
    error: bool = False
    error_message: str | None = None


class ConversationMessageView(View):
    """A message of an AI conversation, as both `AiConversationChannel` and REST spell it."""

    id: str
    content: str
    sender_type: str
    sender_info: SenderInfoView
    sequence_number: int
    created_at: datetime
    metadata: MessageMetadataView


class BudgetView(View):
    """A cap on AI spend, in tokens: of one agent, or of the whole account (`agent_id` is null).

    `reserved` is set aside for model requests under way; nothing `remaining` means that the next one is refused.
    `resets_at`: when a new period begins, in UTC; null for `total`.
    """

    id: UUID
    agent_id: UUID | None
    agent: str | None
    period: str
    cap_tokens: int
    spent: int
    reserved: int
    remaining: int
    resets_at: datetime | None
    created_at: datetime
    version: int


class QuarantinedView(View):
    """A verified webhook that could not be understood, kept raw with the reason."""

    id: UUID
    channel_id: UUID
    reason: str
    trace_id: str
    received_at: datetime
    size_bytes: int
    body_preview: str


class TroubledPartView(View):
    """A part that ended `dead` or `unknown`: the operators' list (NO-LOSS-OUT)."""

    message_id: UUID
    session_id: UUID
    channel_id: UUID
    part: int
    status: str
    error_code: str | None
    error: str | None
    attempts: int
    body_preview: str
    created_at: datetime


class BlacklistView(View):
    """A block of one person; `active` is false once its time is over."""

    id: UUID
    platform_user_id: str
    block_type: str
    reason: str | None
    channel_id: UUID | None
    channel_name: str | None
    account_wide: bool
    expires_at: datetime | None
    active: bool
    blocked_by: str | None
    created_at: datetime


class TracedItemView(View):
    """One item of a webhook, as it was understood."""

    dedup_key: str
    kind: str
    state: str
    reason: str | None


class TracedWebhookView(View):
    """A webhook in the story of a trace."""

    id: UUID
    channel_id: UUID
    outcome: str
    reason: str | None
    received_at: datetime
    items: list[TracedItemView]


class TracedStepView(View):
    """A model request or tool call of a turn; what was said stays in the conversation."""

    step: int
    kind: str
    name: str
    input_tokens: int
    output_tokens: int
    created_at: datetime


class TracedTurnView(View):
    """An agent's turn in the story of a trace."""

    id: UUID
    session_id: UUID | None
    agent: str | None
    status: str
    reason: str | None
    input_tokens: int
    output_tokens: int
    created_at: datetime
    finished_at: datetime | None
    steps: list[TracedStepView]


class TracedEventView(View):
    """Something that still waits in the outbox."""

    kind: str
    name: str
    aggregate: str
    created_at: datetime


class TraceView(View):
    """One story from webhook to delivery; `workflow_id` finds the session in the Temporal UI."""

    trace_id: str
    workflow_ids: list[str]
    webhooks: list[TracedWebhookView]
    messages: list[MessageView]
    turns: list[TracedTurnView]
    waiting: list[TracedEventView]


SENDER_TYPES = {"user": "user", "assistant": "ai", "system": "system"}
"""A stored role -> what the front end calls it; other roles keep their name."""
