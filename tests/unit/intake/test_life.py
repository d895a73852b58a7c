"""The life cycle in every order that is consistent with causation and with each writer's own order."""

import itertools
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import About, Event, Fact, History
from contracts.dns import DnsDelegated, DnsPublished, DnsRefused, DnsReleased, DnsReserved
from contracts.errors import trouble
from contracts.flux import FluxConverged, FluxDiverged, FluxReleased, ProbeFailed, ProbePassed
from contracts.request import Domain, Organisation, SecretRef, Shape, Topology
from contracts.sovereign import (
    SovereignCancelled,
    SovereignCancelRequested,
    SovereignDecommissioned,
    SovereignDecommissionRequested,
    SovereignFailed,
    SovereignHandedOver,
    SovereignReady,
    SovereignRequested,
)
from contracts.tofu import TofuApplied, TofuFailed, TofuInterrupted, TofuStarted
from intake.life import next_facts, next_life, standing
from tests.deliver import said
from tests.requests import SSH_KEY

ABOUT = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)
TOKEN = SecretRef(reader="tofu-runner", name="cloud-token", kid="1", sha256="0" * 64)
WHY = trouble("internal", attempted="test", on="test")
SHAPE = Shape(
    organisation=Organisation(name="Omantel"),
    topology=Topology(region="fsn1"),
    domain=Domain(fqdn="demo.omani.works"),
    ssh_public_key=SSH_KEY,
)
REQUESTED = SovereignRequested(
    request_id=uuid4(), kind="new", shape=SHAPE, body_digest="0" * 64, admin_ref="demo_omani_works.1.admin"
)
APPLIED = TofuApplied(
    add=1,
    change=0,
    destroy=0,
    nodes=(),
    load_balancer_id=1,
    load_balancer_ipv4="127.0.0.1",
    network_id=1,
    state_serial=1,
)
STARTED = TofuStarted(action="apply", fencing_token=1)
CONVERGED = FluxConverged(revision="main", releases=(), stable_s=30)
DIVERGED = FluxDiverged(missing=("bp-gitea",), trouble=WHY)

# Each writer's own facts, in its own order; what starts a writer stands in BEGUN_BY.
DNS = (
    DnsReserved(zone="demo.omani.works.", nameservers=()),
    DnsPublished(zone="z", serial=1, records=()),
    DnsDelegated(servers=()),
)
TOFU = (STARTED, APPLIED)
FLUX = (CONVERGED, ProbePassed(hosts=()))


def history(*facts: Fact | Event[Fact], run: int = 1) -> History:
    about = About(sovereign="demo_omani_works", owner="acme", life=1, run=run)
    events = [fact if isinstance(fact, Event) else said(fact, about) for fact in facts]
    return History.of("demo_omani_works", zip(itertools.count(1), events, strict=False))


def settle(start: History) -> History:
    """Say what follows until nothing does."""
    now = start
    for _ in range(10):
        facts = next_facts(now)
        if not facts:
            return now
        assert len(facts) == 1, f"two ways out at once: {facts}"
        about = About(sovereign=now.sovereign, owner="acme", life=now.life, run=now.run)
        now = now.with_appended(now.upto + 1, said(facts[0], about))
    raise AssertionError("it never settles")


def fold(whole: History) -> History:
    """The last event per subject."""
    last = {item.event.nats_subject: item for item in whole.recorded}
    return History(whole.sovereign, tuple(last.values()), whole.upto)


@st.composite
def interleavings(draw: st.DrawFn, *sequences: tuple[Fact, ...]) -> list[Fact]:
    """All facts of all sequences, each sequence in its own order."""
    left = [list(sequence) for sequence in sequences]
    merged: list[Fact] = []
    while any(left):
        choice = draw(st.sampled_from([index for index, sequence in enumerate(left) if sequence]))
        merged.append(left[choice].pop(0))
    return merged


@given(interleavings(DNS, TOFU, FLUX))
def test_every_order_ends_in_one_ready(order: list[Fact]) -> None:
    now = history(REQUESTED)
    for fact in order:
        about = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)
        now = settle(now.with_appended(now.upto + 1, said(fact, about)))
    assert sum(isinstance(item.event.data, SovereignReady) for item in now) == 1
    assert standing(now).stage == "ready"


@given(interleavings(DNS, TOFU, FLUX))
def test_the_fold_says_the_same_as_the_whole_story(order: list[Fact]) -> None:
    for length in range(len(order) + 1):
        whole = history(REQUESTED, *order[:length])
        assert next_facts(fold(whole)) == next_facts(whole)


@given(st.lists(st.booleans(), min_size=1, max_size=8))
def test_toggles_never_end_in_a_false_ready(converged: list[bool]) -> None:
    facts = [CONVERGED if holds else DIVERGED for holds in converged]
    facts_so_far = history(REQUESTED, *DNS, *TOFU, ProbePassed(hosts=()), *facts)
    following = next_facts(facts_so_far)
    assert any(isinstance(fact, SovereignReady) for fact in following) == converged[-1]


@pytest.mark.parametrize("missing", range(4))
def test_ready_needs_everything_at_once(missing: int) -> None:
    needed = [DNS[1], DNS[2], APPLIED, CONVERGED, ProbePassed(hosts=())]
    del needed[missing]
    assert next_facts(history(REQUESTED, STARTED, *needed)) == []


def test_a_failed_probe_after_a_passed_one_is_not_ready() -> None:
    failed = ProbeFailed(hosts=(), trouble=WHY)
    assert next_facts(history(REQUESTED, *DNS, *TOFU, CONVERGED, ProbePassed(hosts=()), failed)) == []


@pytest.mark.parametrize("cause", [DnsRefused(trouble=WHY), TofuFailed(trouble=WHY)], ids=["dns", "tofu"])
def test_a_failure_ends_the_run_once(cause: Fact) -> None:
    now = settle(history(REQUESTED, STARTED, cause))
    assert standing(now).stage == "failed"
    assert next_facts(now) == []


def test_a_later_attempt_takes_a_failure_back() -> None:
    again = TofuStarted(action="apply", fencing_token=2)
    assert next_facts(history(REQUESTED, STARTED, TofuFailed(trouble=WHY), again)) == []


def test_cancelled_only_after_the_runner_said_that_it_stopped() -> None:
    waiting = history(REQUESTED, STARTED, SovereignCancelRequested())
    assert next_facts(waiting) == []
    stopped = TofuInterrupted(why="cancelled", fencing_token=1)
    assert isinstance(
        next_facts(history(REQUESTED, STARTED, SovereignCancelRequested(), stopped))[0], SovereignCancelled
    )
    assert isinstance(next_facts(history(REQUESTED, SovereignCancelRequested()))[0], SovereignCancelled)


ENDS = (
    (),
    (STARTED,),
    (STARTED, TofuFailed(trouble=WHY), SovereignFailed(cause=uuid4(), trouble=WHY)),
    (SovereignCancelRequested(), SovereignCancelled(cause=uuid4())),
    (*DNS, *TOFU, *FLUX, SovereignReady(urls=())),
    (*DNS, *TOFU, *FLUX, SovereignReady(urls=()), FluxReleased(verified=True), SovereignHandedOver()),
)


@pytest.mark.parametrize("before", ENDS, ids=range(len(ENDS)))
def test_every_state_has_a_way_to_decommissioned(before: tuple[Fact, ...]) -> None:
    now = settle(history(REQUESTED, *before, SovereignDecommissionRequested(), DnsReleased(zone="z")))
    assert standing(now).stage == "decommissioned"
    assert isinstance(now.recorded[-1].event.data, SovereignDecommissioned)


def test_nothing_of_the_first_life_counts_in_the_second() -> None:
    first = settle(history(REQUESTED, *DNS, *TOFU, *FLUX, SovereignDecommissionRequested(), DnsReleased(zone="z")))
    second = About(sovereign="demo_omani_works", owner="rival", life=2, run=2)
    now = first.with_appended(first.upto + 1, said(REQUESTED, second))
    assert standing(now).stage == "running"
    assert now.owner == "rival"
    assert next_facts(now) == []


@pytest.mark.parametrize("before", ENDS, ids=range(len(ENDS)))
def test_a_reprovisioned_life_is_followed_by_the_next_as_it_was_asked_for(before: tuple[Fact, ...]) -> None:
    asked = said(SovereignDecommissionRequested(reprovision=True, secrets=(TOKEN,)), ABOUT)
    ended = settle(history(REQUESTED, *before, asked))
    assert next_life(ended) is None, "not while anything of it is left"
    ended = settle(ended.with_appended(ended.upto + 1, said(DnsReleased(zone="z", kept=True), ABOUT)))
    following = next_life(ended)
    assert following is not None
    request, about = following
    assert (about.life, about.run, about.owner) == (2, 2, "acme")
    assert (request.kind, request.shape, request.secrets) == ("new", SHAPE, (TOKEN,))
    assert next_life(fold(ended)) == following, "the same whenever it is asked again"
    begun = ended.with_appended(ended.upto + 1, said(request, about))
    assert (standing(begun).stage, next_facts(begun), next_life(begun)) == ("running", [], None)


def test_a_plain_decommission_after_a_reprovision_that_failed_is_followed_by_nothing() -> None:
    asked = (SovereignDecommissionRequested(reprovision=True), TofuFailed(trouble=WHY))
    ended = settle(history(REQUESTED, *asked, SovereignDecommissionRequested(), DnsReleased(zone="z")))
    assert standing(ended).stage == "decommissioned"
    assert next_life(ended) is None
