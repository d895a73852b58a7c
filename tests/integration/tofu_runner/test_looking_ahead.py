"""What can be known before money is spent: asked alone, and looked at by every run before its first change."""

import os
from pathlib import Path
from typing import Any

from bus import seal
from contracts.questions import Preflight, PreflightReply, Token
from contracts.request import SealedSecret
from contracts.tofu import TofuFailed
from sandbox.hetzner.tokens import NewToken
from tests.integration.tofu_runner.stand import Stand, new_token, shape
from tofu_runner import asking


def sealed(here: Stand, token: str) -> SealedSecret:
    to = here.intake.public_keys_of("tofu-runner")[0]
    return seal(token.encode(), to=to, reader="tofu-runner", purpose="cloud-token", bound_to="draft")


async def looked(here: Stand, token: str | None, **topology: Any) -> PreflightReply:
    secrets = (sealed(here, token),) if token else ()
    request = Preflight(**shape(**topology).model_dump(), secrets=secrets)
    return await asking.look_ahead(request, None, world=here.world())


async def test_preflight_tells_all_findings_with_cost_and_calls_and_makes_nothing(here: Stand) -> None:
    reply = await looked(here, here.token)
    assert {finding.verdict for finding in reply.findings} == {"passed", "not-checked"}
    checks = {finding.check.split()[0] for finding in reply.findings}
    assert checks >= {"token-reads", "token-writes", "server-type", "image", "ssh-key", "names", "server-limit"}
    assert checks >= {"user-data", "kit-fits"}
    assert reply.cost is not None
    assert reply.call_budget > 0
    assert here.mutations() == 0

    read_only = new_token()
    here.cloud.simulation.tokens.add(NewToken.model_validate({"token": read_only, "project": "acme", "access": "read"}))
    await here.ask("POST", "/servers", {"name": "demo-omani-works-cp1", "server_type": "cpx22", "image": "debian-12"})
    wrong = await looked(here, read_only, worker_type="cx22")
    failed = {f.check: f.trouble.code for f in wrong.findings if f.verdict == "failed" and f.trouble}
    assert failed == {
        "token-writes": "token_readonly",
        "server-type cx22": "unsupported_server_type",
        "names": "name-in-use",
    }


async def test_without_a_token_it_says_what_was_not_looked_at(here: Stand) -> None:
    reply = await looked(here, None)
    assert [finding.verdict for finding in reply.findings] == ["not-checked"]
    (unknown, _) = (await looked(here, new_token())).findings
    assert unknown.trouble is not None
    assert unknown.trouble.code == "unauthorized"


async def test_the_prices_are_the_accounts_own_and_named_as_samples(here: Stand) -> None:
    reply = await asking.tell_prices(Token(secret=sealed(here, here.token)), None, world=here.world())
    assert reply.sample_prices
    rows = {(row.kind, row.name, row.location): row for row in reply.prices}
    assert float(rows["server", "cpx22", "fsn1"].monthly) > 0
    assert rows["server", "cx22", "fsn1"].deprecated
    assert ("load-balancer", "lb11", "ash") in rows


async def test_a_run_that_cannot_end_well_ends_before_its_first_change(here: Stand, tmp_path: Path) -> None:
    await here.ask("POST", "/networks", {"name": "demo-omani-works-net", "ip_range": "10.0.0.0/16"})
    before = here.mutations()
    chain = tmp_path / "chain.pem"
    chain.write_text(f"-----BEGIN CERTIFICATE-----\n{os.urandom(30_000).hex()}\n-----END CERTIFICATE-----\n")
    world = here.world(project_limits={"servers": 1}, node_door_ca_file=chain)
    await here.provision(await here.request(), world)
    failed = (await here.history()).data(TofuFailed)
    assert failed is not None
    assert {failed.trouble.code, *(other.code for other in failed.others)} == {
        "name-in-use",
        "resource_limit_exceeded",
        "user-data-too-large",
    }
    assert failed.trouble.owner == "user"
    assert failed.resources == 0
    assert here.mutations() == before
