"""What tofu-runner answers: its keys, and everything about a token and a request that can be known beforehand.

Nothing is made in the cloud and nothing kept here: a token that comes with a question is opened, used and forgotten.
"""

import asyncio
from pathlib import Path

import yaml

from bus import Answer, CannotOpen
from contracts.catalogue import TOFU
from contracts.errors import Trouble, trouble
from contracts.identity import sovereign_id
from contracts.kit import BadKit
from contracts.questions import (
    Asker,
    Finding,
    KeysReply,
    Nothing,
    Preflight,
    PreflightReply,
    PricesReply,
    Token,
    TokenReply,
)
from contracts.request import SealedSecret, Shape
from tofu_runner import classify, preflight, survey
from tofu_runner.bench import World
from tofu_runner.cost import BALANCER_TYPE, cost_of, server_types
from tofu_runner.inventory import Cloud, CloudRefused
from tofu_runner.keep import CLOUD_TOKEN
from tofu_runner.kit import options_of
from tofu_runner.plan import calls_for
from tofu_runner.probe import try_token
from tofu_runner.userdata import LIMIT_BYTES, user_data_bytes
from tofu_runner.variables import deployment_of


async def tell_keys(_request: Nothing, _asker: Asker | None, *, world: World) -> KeysReply:
    """Public keys to seal to, and those that verify what we sign."""
    vault = world.bus.vault
    return KeysReply(service=TOFU, keys=vault.public_keys(), signing=vault.signing_keys())


async def judge_token(request: Token, _asker: Asker | None, *, world: World) -> TokenReply:
    """Whether a cloud token reads and writes."""
    verdict = await try_token(world.session, world.settings.hcloud_endpoint, _opened(world, request.secret))
    return TokenReply(valid=verdict.reads, can_write=verdict.writes, trouble=verdict.trouble)


async def tell_prices(request: Token, _asker: Asker | None, *, world: World) -> PricesReply:
    """What the account behind a token pays."""
    token = _opened(world, request.secret)
    try:
        rows = await Cloud(world.settings.hcloud_endpoint, token).look("read prices", survey.prices)
    except CloudRefused as refused:
        raise Answer(_refused(refused, token)) from None
    return PricesReply(prices=rows, sample_prices=world.settings.sample_prices)


async def look_ahead(request: Preflight, _asker: Asker | None, *, world: World) -> PreflightReply:
    """Everything about a request that can be known before money is spent, all at once."""
    shape, sovereign = Shape.model_validate(request.model_dump()), sovereign_id(request.domain.fqdn)
    budget = calls_for(shape)
    secret = next((secret for secret in request.secrets if secret.purpose == CLOUD_TOKEN), None)
    if secret is None:
        told = "no cloud token was given: project and catalogue were not looked at"
        return PreflightReply(
            findings=(Finding(check="token-reads", verdict="not-checked", detail=told),), call_budget=budget
        )
    token = _opened(world, secret)
    verdict = await try_token(world.session, world.settings.hcloud_endpoint, token)
    findings = preflight.of_token(verdict)
    if not verdict.reads:
        return PreflightReply(findings=findings, call_budget=budget)
    cloud = Cloud(world.settings.hcloud_endpoint, token)
    try:
        seen = await cloud.look("look at project and catalogue", survey.survey)
        said = await of_survey(world, sovereign, shape, seen)
        findings = (*findings, *said, preflight.of_kit(world.kit, shape, seen))
        prices = await cloud.prices(shape.topology.region, frozenset(server_types(shape)), BALANCER_TYPE)
    except CloudRefused as refused:
        raise Answer(_refused(refused, token)) from None
    cost = cost_of(shape, prices, sample=world.settings.sample_prices)
    return PreflightReply(findings=findings, cost=cost, call_budget=budget)


async def of_project(world: World, sovereign: str, shape: Shape, cloud: Cloud) -> tuple[Finding, ...]:
    """What project and catalogue say; CloudRefused when they cannot be looked at."""
    seen = await cloud.look("look at project and catalogue", survey.survey)
    return await of_survey(world, sovereign, shape, seen)


async def of_survey(world: World, sovereign: str, shape: Shape, seen: survey.Survey) -> tuple[Finding, ...]:
    """The same, from what was seen."""
    limits, image = world.settings.project_limits, pinned_image(world.settings.module)
    found = preflight.of_project(sovereign, shape, seen, image=image, limits=limits)
    try:
        options = options_of(world.kit, shape.components)
    except BadKit as lacks:
        return (*found, preflight.failed("kit", "kit-lacks-component", "the kit", str(lacks)))
    settings = world.settings
    size = await asyncio.to_thread(
        lambda: user_data_bytes(settings.module, deployment_of(settings), shape, sovereign, options)
    )
    return (*found, preflight.of_user_data(size, LIMIT_BYTES))


def pinned_image(module: Path) -> str:
    """The image that every node boots, from the installation's pins."""
    pins = yaml.safe_load((module.parent.parent / "pins.yaml").read_text())
    return str(pins["image"])


def _opened(world: World, secret: SealedSecret) -> str:
    try:
        opened = world.bus.vault.open_sealed(secret, bound_to=secret.bound_to, purpose=CLOUD_TOKEN)
    except CannotOpen as error:
        why = trouble("invalid-request", attempted=preflight.ATTEMPTED, on="the sealed token", message=str(error))
        raise Answer(why) from None
    return opened.decode(errors="replace").strip()


def _refused(refused: CloudRefused, token: str) -> Trouble:
    return classify.trouble_of(refused.code, refused.message, attempted=refused.what, on="the cloud", secrets=[token])
