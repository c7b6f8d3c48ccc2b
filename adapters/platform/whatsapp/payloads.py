"""The Cloud API's webhook bodies, as far as we read them (developers.facebook.com, *WhatsApp Cloud API, Webhooks*).

Called by parsing.py and content.py. Nearly everything is optional: a new field or kind must never cost a message.
Checked against the message and status objects of `facebook/openapi` (business messaging v23.0) and of `pywa`.
"""

from __future__ import annotations

from pydantic import Field

from adapters.foreign import Foreign


class Problem(Foreign):
    """An error object; the same codes as in refused sends."""

    code: int = 0
    title: str | None = None
    message: str | None = None
    error_data: Details | None = None


class Details(Foreign):
    """What an error says beside its title."""

    details: str | None = None


class File(Foreign):
    """Any of the media objects: image, audio, video, document, sticker."""

    id: str
    mime_type: str | None = None
    caption: str | None = None
    filename: str | None = None
    voice: bool = False


class Words(Foreign):
    """A text."""

    body: str = ""


class Place(Foreign):
    """A location."""

    latitude: float = 0.0
    longitude: float = 0.0
    name: str | None = None
    address: str | None = None


class CardName(Foreign):
    """A contact card's name."""

    formatted_name: str | None = None


class CardPhone(Foreign):
    """A contact card's number."""

    phone: str | None = None


class Card(Foreign):
    """A shared contact; not the envelope's `contacts`, which say who writes."""

    name: CardName | None = None
    phones: list[CardPhone] = Field(default_factory=list[CardPhone])


class ReactionTo(Foreign):
    """A reaction; without an emoji it was taken back."""

    message_id: str
    emoji: str = ""


class Reply(Foreign):
    """What was chosen of buttons or a list."""

    id: str = ""
    title: str = ""


class FormReply(Foreign):
    """A filled form; `response_json` is JSON in a string."""

    name: str | None = None
    body: str | None = None
    response_json: str | None = None


class Interactive(Foreign):
    """An answer to buttons, a list or a form."""

    type: str = ""
    button_reply: Reply | None = None
    list_reply: Reply | None = None
    nfm_reply: FormReply | None = None


class QuickReply(Foreign):
    """An answer to a template's button."""

    payload: str | None = None
    text: str | None = None


class Product(Foreign):
    """One product of an order."""

    product_retailer_id: str | None = None
    quantity: int | str | None = None


class Order(Foreign):
    """A shopping cart."""

    text: str | None = None
    product_items: list[Product] = Field(default_factory=list[Product])


class SystemNote(Foreign):
    """A change of who somebody is."""

    type: str = ""
    body: str = ""
    wa_id: str | None = None
    user_id: str | None = None


class Context(Foreign):
    """What a message answers, or that it was forwarded."""

    id: str | None = None
    from_: str | None = Field(default=None, alias="from")
    forwarded: bool = False
    frequently_forwarded: bool = False


class Unsupported(Foreign):
    """What kind the Cloud API does not hand out."""

    type: str | None = None


class Content(Foreign):
    """What a message, or the new form of an edited one, may hold."""

    type: str = ""
    text: Words | None = None
    image: File | None = None
    audio: File | None = None
    video: File | None = None
    document: File | None = None
    sticker: File | None = None
    location: Place | None = None
    contacts: list[Card] = Field(default_factory=list[Card])
    interactive: Interactive | None = None
    button: QuickReply | None = None
    order: Order | None = None
    unsupported: Unsupported | None = None
    errors: list[Problem] = Field(default_factory=list[Problem])


class Edit(Foreign):
    """An edit has an id of its own and names its original."""

    original_message_id: str
    message: Content | None = None


class Revoke(Foreign):
    """A deletion."""

    original_message_id: str


class Message(Content):
    """One inbound message. `from` may be missing: people can hide their number behind `from_user_id`."""

    id: str = Field(min_length=1)
    from_: str | None = Field(default=None, alias="from")
    from_user_id: str | None = None
    to: str | None = None
    group_id: str | None = None
    timestamp: str | int | None = None
    context: Context | None = None
    reaction: ReactionTo | None = None
    system: SystemNote | None = None
    edit: Edit | None = None
    revoke: Revoke | None = None


class Profile(Foreign):
    """How a person calls themselves."""

    name: str | None = None
    username: str | None = None


class Contact(Foreign):
    """Who writes; matched by id, never by position."""

    wa_id: str | None = None
    user_id: str | None = None
    profile: Profile | None = None


class Status(Foreign):
    """A receipt for something that we sent."""

    id: str
    status: str
    timestamp: str | int | None = None
    recipient_id: str | None = None
    recipient_participant_id: str | None = None
    biz_opaque_callback_data: str | None = None
    errors: list[Problem] = Field(default_factory=list[Problem])


class Metadata(Foreign):
    """Which of our numbers a change concerns."""

    phone_number_id: str | None = None
    display_phone_number: str | None = None


class Value(Foreign):
    """A change's content. Items stay raw, so that one odd item costs only itself."""

    metadata: Metadata | None = None
    contacts: list[Contact] = Field(default_factory=list[Contact])
    messages: list[object] = Field(default_factory=list[object])
    message_echoes: list[object] = Field(default_factory=list[object])
    statuses: list[object] = Field(default_factory=list[object])
    errors: list[Problem] = Field(default_factory=list[Problem])
    user_id_update: list[object] = Field(default_factory=list[object])


class UserIds(Foreign):
    """A user id and the one that took its place."""

    previous: str | None = None
    current: str | None = None


class UserIdUpdate(Foreign):
    """Somebody's user id changed."""

    user_id: UserIds
    wa_id: str | None = None
    timestamp: str | int | None = None


class Envelope(Foreign):
    """The outer body; entries and changes stay raw for the same reason."""

    about: str | None = Field(default=None, alias="object")
    entry: list[dict[str, object]] = Field(default_factory=list)
