"""All limits and periods of a hub in one place, with what production runs on as defaults. Read by realtime/hub.py."""

from __future__ import annotations

from dataclasses import dataclass, field

from realtime.admission import AdmissionLimits, CommandRates
from realtime.broker import BrokerTiming
from realtime.connection import ConnectionLimits
from realtime.fanout import GateLimits


@dataclass(frozen=True, slots=True)
class HubSettings:
    """Limits and periods of a hub; times in seconds. `pongs_required`: from extended clients, even if none ever came."""

    ping_interval_s: float = 3.0
    pongs_required: bool = False
    authenticate_timeout_s: float = 5.0
    authorize_timeout_s: float = 5.0
    authorizations: int = 64
    max_subscriptions: int = 128
    max_malformed: int = 3
    session_ttl_s: float = 300.0
    presence_ttl_s: float = 15.0
    connection: ConnectionLimits = field(default_factory=ConnectionLimits)
    gate: GateLimits = field(default_factory=GateLimits)
    admission: AdmissionLimits = field(default_factory=AdmissionLimits)
    rates: CommandRates = field(default_factory=CommandRates)
    broker: BrokerTiming = field(default_factory=BrokerTiming)
