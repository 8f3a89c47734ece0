"""Which servers are ours, where nobody tells."""
# ruff: noqa: E501 - a line of mail is one line here

import random
from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sensors.chains import DIRECT, OURS, RELAY, START, forwarded, learned, line, stranger

from whimbrel.model.reading import Hop
from whimbrel.sensors import inference
from whimbrel.sensors.boundary import Trust
from whimbrel.sensors.inference import TrustLearner
from whimbrel.wire.received import parse_received


def test_trust_is_stored_and_read_again() -> None:
    trust = learned([*DIRECT, *(forwarded(number) for number in range(60))])
    assert trust.inferred
    assert Trust.from_json(trust.to_json()) == trust


def test_a_forwarder_is_inferred_with_its_counts() -> None:
    (found,) = learned([*DIRECT, *(forwarded(number) for number in range(60))]).inferred
    assert (found.network, found.name, found.ground) == (f"{RELAY}/32", "relay.example.net", "forwards")
    assert (found.chains, found.days, found.share) == (60, 40, round(60 / 360, 4))


@pytest.mark.parametrize(
    ("why", "chains"),
    [
        ("a smarthost delivers to our own recipient", [forwarded(number, recipient="u@example.org") for number in range(60)]),
        ("a newsletter house takes its mail from few networks", [forwarded(number, fan_in=3) for number in range(60)]),
        ("a spammer's forged lines name changing servers", [forwarded(number, by=f"mx{number}.example.com") for number in range(60)]),
        ("a spammer's address does not last", [forwarded(number, days=10) for number in range(60)]),
        ("too few to tell", [forwarded(number) for number in range(inference.LEAST_CHAINS - 1)]),
        ("a busy spammer sends direct", [[line(RELAY, day=number % 40)] for number in range(200)]),
    ],
)  # fmt: skip
def test_outsiders_are_not_swallowed(why: str, chains: list[list[Hop]]) -> None:
    assert learned([*DIRECT, *chains]).inferred == (), why


def test_a_peer_with_one_of_our_own_names_is_ours_and_a_namesake_by_helo_is_not() -> None:
    own = [
        [line("20.7.7.7", name=OURS, by="second.example.org"), line(stranger(9_000 + number))] for number in range(5)
    ]
    claimed = [
        [line("20.8.8.8", helo=OURS, by="second.example.org"), line(stranger(9_500 + number))] for number in range(5)
    ]
    assert [one.network for one in learned([*DIRECT, *own, *claimed]).inferred] == ["20.7.7.7/32"]


def test_several_collectors_and_relays_behind_relays() -> None:
    outer = [[line("9.9.9.9", by="in.example.com", name="hub.example.com", helo="hub.example.com", recipient="v@example.com", day=n % 40),
              *(line(hop.address or "", by="hub.example.com", name=hop.rdns or "unknown", helo=hop.helo or "", recipient="w@example.edu", day=n % 40)
                for hop in forwarded(n)[:1]),
              forwarded(n)[1]] for n in range(120)]  # fmt: skip
    hub = [[line("9.9.9.9", by="in.example.com", name="hub.example.com", helo="hub.example.com", recipient="v@example.com", day=n % 40),
            line(stranger(n * 11), by="hub.example.com", recipient="w@example.edu", day=n % 40)] for n in range(120)]  # fmt: skip
    found = {one.network for one in learned([*DIRECT, *outer, *hub]).inferred}
    assert found == {"9.9.9.9/32", f"{RELAY}/32"}


def test_a_pool_of_ipv6_servers_is_inferred_as_one_network() -> None:
    def chain(number: int) -> list[Hop]:
        peer, day = f"2603:10b6:{number % 90:x}::{number:x}", START + timedelta(days=number % 40)
        stamp = f"{day:%d %b %Y %H:%M:%S} +0000"
        top = f"from N{number}.prod.example.com ({peer}) by S.prod.example.com with HTTPS; {stamp}"
        own = f"from x ({stranger(number * 13)}) by N{number}.example.com ({peer}) with Microsoft SMTP Server id 15; {stamp}"
        return [parse_received(top.encode()), parse_received(own.encode())]

    (found,) = learned([chain(number) for number in range(80)]).inferred
    assert (found.network, found.ground) == ("2603:10b6::/32", "pool")


@given(st.randoms(use_true_random=False), st.integers(1, 5))
@settings(max_examples=10)
def test_order_split_and_repetition_do_not_matter(chance: random.Random, workers: int) -> None:
    chains = [*DIRECT[:100], *(forwarded(number) for number in range(40))]
    expected = learned(chains)
    shuffled = chains + chance.sample(chains, 30)
    chance.shuffle(shuffled)
    learners = [TrustLearner() for _ in range(workers)]
    for chain in shuffled:
        chance.choice(learners).add(chain)
    for other in learners[1:]:
        learners[0].merge(other)
    assert learners[0].result() == expected


def test_the_sample_is_bounded_and_the_same_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "SAMPLE_CHAINS", 100)
    chains = [*DIRECT, *(forwarded(number) for number in range(300))]
    learner, backwards = TrustLearner(), TrustLearner()
    for chain in chains:
        learner.add(chain)
        assert len(learner._chains) <= 200
    for chain in reversed(chains):
        backwards.add(chain)
    assert learner.result() == backwards.result()
    kept = sorted(sha256(b"".join(hop.trace_sha256 for hop in chain)).digest() for chain in chains)[:100]
    assert sorted(learner._chains) == kept
