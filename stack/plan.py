"""What a stack consists of: settings → services, jobs, addresses. Nothing is started here.

Where DATABASE_URL, REDIS_URL or TEMPORAL_ADDRESS is set, that service is used and nothing is embedded for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from config import StackSettings
from stack import programs, seed
from stack.keys import StackKeys
from stack.paths import VarDir
from stack.ports import Ports
from stack.postgres import APP, OWNER, Postgres
from stack.programs import Launch
from stack.service import Service, StartError
from stack.state import Admin, StackState
from stack.supervisor import Job, Stage
from stack.temporal import Temporal, TemporalPorts
from stack.valkey import Valkey

_EVERYWHERE: Final = ("0.0.0.0", "::", "")  # noqa: S104 - recognised, not bound
ADMIN_EMAIL: Final = "admin@powernode.test"


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages in the order of their start, and what stack.json will say."""

    stages: Sequence[Stage]
    state: StackState
    ports: Ports


Programs = Callable[[Launch, StackState, Ports], Sequence[Stage]]
"""What runs on top of the services; `powernode_programs` for the product, something small in the supervisor's tests."""


def _embedded(settings: StackSettings, var: VarDir, keys: StackKeys, ports: Ports) -> tuple[list[Service], StackState]:
    services: list[Service] = []
    owner_url, app_url = settings.owner_url(), settings.database_url
    if app_url is None:
        postgres = Postgres(var, keys, ports.pick("postgres"))
        services.append(postgres)
        owner_url, database_url = postgres.url(OWNER), postgres.url(APP)
    else:
        database_url = app_url.get_secret_value()
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    if not redis_url:
        valkey = Valkey(var, keys, ports.pick("valkey"))
        services.append(valkey)
        redis_url = valkey.url()
    temporal_address, ui_url = settings.temporal_address, settings.temporal_ui_url
    if not temporal_address:
        chosen = TemporalPorts(
            ports.pick("temporal"), ports.pick("temporal_http", preferred=0), ports.pick("temporal_ui")
        )
        temporal = Temporal(var, chosen, settings.temporal_namespace)
        services.append(temporal)
        temporal_address, ui_url = temporal.address, ui_url or temporal.ui_url
    api_port = ports.pick("api", preferred=settings.port, host=settings.host)
    reached_at = f"{'127.0.0.1' if settings.host in _EVERYWHERE else settings.host}:{api_port}"
    state = StackState(
        api_url=f"http://{reached_at}",
        cable_url=f"ws://{reached_at}/cable",
        temporal_address=temporal_address,
        temporal_namespace=settings.temporal_namespace,
        temporal_ui_url=ui_url,
        database_url=database_url,
        database_owner_url=owner_url or database_url,
        redis_url=redis_url,
        simulated=_simulated(settings),
        simulator_url=f"http://127.0.0.1:{ports.pick('simulator')}",
        admin=Admin(email=ADMIN_EMAIL, password=keys.admin_password),
    )
    return services, state


def _simulated(settings: StackSettings) -> list[str]:
    unknown = sorted(set(settings.real_platforms) - set(seed.SIMULATED))
    if unknown:
        raise StartError(f"POWERNODE_REAL_PLATFORMS names unknown platforms: {', '.join(unknown)}")
    return [name for name in seed.SIMULATED if name not in settings.real_platforms]


def environment(settings: StackSettings, var: VarDir, keys: StackKeys, state: StackState) -> dict[str, str]:
    """Return what our processes run with: what the person set wins, the rest is this stack's."""
    env = programs.inherited()
    env |= {
        "DATABASE_URL": state.database_url,
        "REDIS_URL": state.redis_url,
        "TEMPORAL_ADDRESS": state.temporal_address,
        "TEMPORAL_NAMESPACE": state.temporal_namespace,
        "POWERNODE_VAR_DIR": str(var.root),
        "POWERNODE_HOST": settings.host,
        "POWERNODE_PORT": state.api_url.rpartition(":")[2],
    }
    env.pop("POWERNODE_DATABASE_OWNER_URL", None)  # only `migrate` and the seed act as the owner
    simulator = state.simulator_url or ""
    for name, value in {
        "POWERNODE_PUBLIC_URL": state.api_url,
        "POWERNODE_TEMPORAL_UI_URL": state.temporal_ui_url or "",
        "POWERNODE_JWT_SECRET": keys.jwt_secret,
        "POWERNODE_CREDENTIALS_KEY": keys.credentials_key,
        "POWERNODE_SIMULATOR_URL": simulator,
        "POWERNODE_PLATFORM_API_BASE": json.dumps(dict.fromkeys(state.simulated, simulator)),
    }.items():
        env.setdefault(name, value)
    return env


def powernode_programs(launch: Launch, state: StackState, ports: Ports) -> Sequence[Stage]:
    """Return the product: schema and login first, then the processes, then the channels through the api itself."""
    return (
        (
            Job("Schema", lambda: seed.migrate(state)),
            programs.simulator(launch, ports.pick("simulator")),
        ),
        (Job("Demo account", lambda: seed.people(state)),),
        (programs.api(launch, state.api_url), programs.worker(launch, state.database_url)),
        (Job("Demo channels", lambda: seed.channels(launch.var, state)),),
    )


def make(settings: StackSettings, var: VarDir, build: Programs = powernode_programs) -> Plan:
    """Return the plan, with ports chosen and secrets made."""
    keys, ports = StackKeys.keep(var), Ports(var)
    services, state = _embedded(settings, var, keys, ports)
    launch = Launch(var, environment(settings, var, keys, state))
    stages: list[Stage] = [services] if services else []
    return Plan([*stages, *build(launch, state, ports)], state, ports)
