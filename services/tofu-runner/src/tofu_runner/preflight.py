"""Everything about a request that can be known before money is spent: findings, all at once. Pure.

The cloud's API tells neither a project's limits nor how much room a location has: what cannot be known is said to be
not checked, with what the request needs, so that a person can compare.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from contracts.errors import trouble
from contracts.fit import fit
from contracts.identity import slug_of
from contracts.kit import Kit
from contracts.questions import Finding
from contracts.request import Shape
from tofu_runner.cost import BALANCER_TYPE, server_types
from tofu_runner.probe import Verdict
from tofu_runner.survey import Survey
from tofu_runner.variables import servers_of

ATTEMPTED = "check the request before anything is created"
_RSA_BITS = 2048
"""Shorter RSA keys are refused by the cloud, and by OpenSSH's own defaults to come."""


def failed(check: str, code: str, on: str, message: str) -> Finding:
    """Something that would end the run, or will."""
    why = trouble(code, attempted=ATTEMPTED, on=on, message=message)
    return Finding(check=check, verdict="failed", detail=message, trouble=why)


def of_token(verdict: Verdict) -> tuple[Finding, ...]:
    """What the token's probe showed."""
    reads = Finding(check="token-reads", verdict="passed" if verdict.reads else "failed")
    writes = Finding(check="token-writes", verdict="passed" if verdict.writes else "failed")
    if verdict.reads:
        return reads, writes.model_copy(update={"trouble": verdict.trouble})
    return (
        reads.model_copy(update={"trouble": verdict.trouble}),
        Finding(check="token-writes", verdict="not-checked", detail="it does not even read"),
    )


def of_project(
    sovereign: str, shape: Shape, seen: Survey, *, image: str, limits: Mapping[str, int], now: datetime | None = None
) -> tuple[Finding, ...]:
    """What project and catalogue say to the request."""
    return (
        *_types(shape, seen, now or datetime.now(UTC)),
        *_images(shape, seen, image),
        _key(sovereign, shape, seen),
        _names(sovereign, shape, seen),
        *_limits(sovereign, shape, seen, limits),
    )


def of_user_data(size: int, limit: int) -> Finding:
    """Whether what the first server is told fits into what the cloud takes."""
    check, told = "user-data", f"at most about {size} of the {limit} bytes that the cloud takes"
    if size > limit:
        return failed(check, "user-data-too-large", "user data", told)
    return Finding(check=check, verdict="passed", detail=told)


def of_kit(kit: Kit, shape: Shape, seen: Survey) -> Finding:
    """Whether the selection of components fits the chosen servers."""
    check, sizes = "kit-fits", {name: found.size for name, found in seen.types.items()}
    known = all(kit.named(name) for name in shape.components) and set(sizes).issuperset(server_types(shape))
    if not known:
        return Finding(check=check, verdict="not-checked", detail="a component or a server type is not known")
    found = fit(kit, shape.components, shape.topology, sizes)
    if found.fits:
        return Finding(check=check, verdict="passed", detail=found.message)
    return failed(check, "kit-does-not-fit", "topology", found.message)


def _types(shape: Shape, seen: Survey, now: datetime) -> Iterator[Finding]:
    region = shape.topology.region
    for name in sorted(server_types(shape)):
        check = f"server-type {name}"
        place = seen.types[name].places.get(region) if name in seen.types else None
        if place is None:
            where = "in no location" if name not in seen.types else f"not in {region}"
            yield failed(check, "unsupported_server_type", name, f"{name} is offered {where}")
        elif place.ends_at is not None and place.ends_at <= now:
            told = f"{name} is retired in {region} since {place.ends_at:%Y-%m-%d}: no new server of it is made"
            yield failed(check, "unsupported_server_type", name, told)
        elif not place.available:
            told = f"{name} is sold out in {region} at this moment: the run waits for it, or takes another as allowed"
            why = trouble("resource_unavailable", attempted=ATTEMPTED, on=name, message=told)
            yield Finding(check=check, verdict="warning", detail=told, trouble=why)
        else:
            yield Finding(check=check, verdict="passed", detail=f"offered in {region}")
    if BALANCER_TYPE not in seen.balancer_types:
        told = f"the load balancer type {BALANCER_TYPE} is not offered any more"
        yield failed(f"load-balancer-type {BALANCER_TYPE}", "unsupported_server_type", BALANCER_TYPE, told)


def _images(shape: Shape, seen: Survey, image: str) -> Iterator[Finding]:
    for architecture in sorted({"arm" if name.startswith("cax") else "x86" for name in server_types(shape)}):
        check = f"image {image}/{architecture}"
        if (image, architecture) in seen.images:
            yield Finding(check=check, verdict="passed")
        else:
            yield failed(check, "image-missing", image, f"the cloud offers no image {image} for {architecture}")


def _key(sovereign: str, shape: Shape, seen: Survey) -> Finding:
    check, key = "ssh-key", shape.ssh_public_key
    bits = rsa_bits(key)
    if bits is not None and bits < _RSA_BITS:
        return failed(check, "ssh-key-weak", "ssh_public_key", f"an RSA key of {bits} bits; {_RSA_BITS} at least")
    mark = fingerprint(key)
    owner = next((item for item in seen.there.get("ssh_keys", ()) if item.fingerprint == mark), None)
    told = f"{key.split()[0]}, {mark}"
    if owner is not None and owner.sovereign != sovereign:
        told = f"{told}; the project holds it already, as {owner.name!r}: that one is used, and left"
    return Finding(check=check, verdict="passed", detail=told)


def _names(sovereign: str, shape: Shape, seen: Survey) -> Finding:
    taken = [
        f"{kind} {item.name}"
        for kind, names in names_of(sovereign, shape).items()
        for item in seen.there.get(kind, ())
        if item.name in names and item.sovereign != sovereign
    ]
    if taken:
        return failed("names", "name-in-use", ", ".join(taken), f"in the project there is already {', '.join(taken)}")
    return Finding(check="names", verdict="passed", detail="free in the project, or ours")


def names_of(sovereign: str, shape: Shape) -> dict[str, frozenset[str]]:
    """The names that the module gives, by kind as the API calls it."""
    slug, topology = slug_of(sovereign), shape.topology
    groups = (f"{slug}-pg", *(f"{slug}-pg-w{n + 1}" for n in range((topology.worker_count + 9) // 10)))
    return {
        "servers": frozenset(servers_of(sovereign, shape)),
        "load_balancers": frozenset({f"{slug}-lb"}),
        "networks": frozenset({f"{slug}-net"}),
        "firewalls": frozenset({f"{slug}-fw"}),
        "placement_groups": frozenset(groups),
        "ssh_keys": frozenset({f"{slug}-key"}),
    }


def _limits(sovereign: str, shape: Shape, seen: Survey, limits: Mapping[str, int]) -> Iterator[Finding]:
    for kind, names in names_of(sovereign, shape).items():
        check, there = f"{kind.rstrip('s').replace('_', '-')}-limit", seen.there.get(kind, ())
        more = len(names) - sum(item.name in names for item in there)
        told = f"{more} more {kind.replace('_', ' ')} beside the {len(there)} that the project holds"
        if kind not in limits:
            detail = f"{told}; the API does not tell the limit: compare with the Hetzner console, Limits"
            yield Finding(check=check, verdict="not-checked", detail=detail)
        elif len(there) + more > limits[kind]:
            yield failed(check, "resource_limit_exceeded", kind, f"{told}; its limit is {limits[kind]}")
        else:
            yield Finding(check=check, verdict="passed", detail=f"{told}; its limit is {limits[kind]}")


def fingerprint(public_key: str) -> str:
    """The MD5 fingerprint of a key in OpenSSH notation, as the cloud's API shows it."""
    digest = hashlib.md5(_blob(public_key), usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def rsa_bits(public_key: str) -> int | None:
    """Size of an RSA key in bits; None for another algorithm. The body is algorithm, exponent, modulus (RFC 4253)."""
    fields, blob = [], _blob(public_key)
    while len(blob) > 4:  # noqa: PLR2004 - a length of four bytes before each field
        size = int.from_bytes(blob[:4], "big")
        fields.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    if len(fields) < 3 or fields[0] != b"ssh-rsa":  # noqa: PLR2004 - the three fields above
        return None
    return int.from_bytes(fields[2], "big").bit_length()


def _blob(public_key: str) -> bytes:
    try:
        return base64.b64decode(public_key.split()[1])
    except (IndexError, binascii.Error):
        return b""
