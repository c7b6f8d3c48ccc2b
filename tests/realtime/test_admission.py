"""Who is let in and how fast they may speak, on real sockets; the bucket by itself."""

from __future__ import annotations

from typing import cast

import pytest
from websockets.exceptions import InvalidStatus

from realtime.admission import Admission, AdmissionLimits, Bucket, Rate
from tests.realtime.hub_process import Tuning, running_hubs
from tests.realtime.stage import SPARK, Stage
from tests.realtime.support import Valkey


class TestBucket:
    def test_lets_the_burst_through_and_then_says_how_long_to_wait(self) -> None:
        bucket = Bucket(Rate(10, 3))
        assert [bucket.take() for _ in range(3)] == [0, 0, 0]
        waits = [bucket.take() for _ in range(3)]
        assert waits == sorted(waits)
        assert 0 < waits[0] <= 0.1
        assert waits[2] > 0.2

    def test_take_if_due_owes_nothing(self) -> None:
        bucket = Bucket(Rate(0.001, 2))
        assert [bucket.take_if_due() for _ in range(5)] == [True, True, False, False, False]


class TestAdmission:
    def test_too_many_arrivals_at_once_are_sent_away_for_a_moment(self) -> None:
        admission = Admission(AdmissionLimits(arrivals=Rate(0.001, 2)))
        assert [admission.refusal("a") for _ in range(3)] == [0, 0, 503]

    def test_a_full_process_takes_nobody(self, stage: Stage) -> None:
        admission = Admission(AdmissionLimits(sockets=1))
        who = stage.person()
        assert admission.admit("a", who.user_id)
        assert admission.refusal("b") == 503
        admission.release("a", who.user_id)
        assert admission.refusal("b") == 0


class TestConnections:
    async def test_of_one_person_are_limited(self, shared_valkey: Valkey, stage: Stage) -> None:
        async with running_hubs(shared_valkey.url, Tuning(per_user=2)) as hubs:
            strict = Stage(hubs, stage.redis)
            who = strict.person()
            async with strict.client(who=who), strict.client(), strict.client():
                async with strict.client(who=who):
                    with pytest.raises(InvalidStatus) as refused:
                        async with strict.client(who=who):
                            pass
                    assert refused.value.response.status_code == 429
                    assert "Retry-After" in refused.value.response.headers
                while (await hubs[0].counters())["open"] > 3:
                    pass
                async with strict.client(who=who):
                    pass

    async def test_of_one_address_are_limited(self, shared_valkey: Valkey, stage: Stage) -> None:
        async with running_hubs(shared_valkey.url, Tuning(per_address=1)) as hubs:
            strict = Stage(hubs, stage.redis)
            async with strict.client():
                with pytest.raises(InvalidStatus) as refused:
                    async with strict.client():
                        pass
                assert refused.value.response.status_code == 429


class TestCommands:
    async def test_over_the_rate_wait_and_none_is_lost(self, shared_valkey: Valkey, stage: Stage) -> None:
        async with running_hubs(shared_valkey.url, Tuning(command_rate=40)) as hubs:
            strict = Stage(hubs, stage.redis)
            async with strict.client() as client:
                await client.subscribe(SPARK)
                for number in range(80):
                    await client.perform(SPARK, "echo", number=number)
                answers = [await client.message() for _ in range(80)]
                assert answers == [{"echo": {"number": number}, "name": "main"} for number in range(80)]
                assert (await hubs[0].counters())["commands_throttled"] > 30

    async def test_whispers_over_the_rate_are_dropped(self, shared_valkey: Valkey, stage: Stage) -> None:
        async with running_hubs(shared_valkey.url, Tuning(command_rate=20)) as hubs:
            strict = Stage(hubs, stage.redis)
            async with strict.client() as sender, strict.client() as other:
                for client in (sender, other):
                    await client.subscribe(SPARK)
                for number in range(60):
                    await sender.send(command="whisper", identifier=SPARK, data=number)
                await sender.settled()
                heard = [cast("int", frame["message"]) for frame in await other.settled()]
                assert heard == sorted(heard)
                assert heard
                assert (await hubs[0].counters())["whispers_dropped"] == 60 - len(heard)
