"""``bundle``: the support bundle of the runbook's escalation, made and verified."""

import hashlib
import zipfile
from pathlib import Path

import click
from pydantic import ValidationError

from bus.sign import NotVerified, verify
from catalyst.commands.session import json_option, on_the_edge, show, sovereign_argument
from catalyst.commands.signing import signed_file, signing_keys
from catalyst.edge import Edge
from catalyst.failing import Failure
from contracts.bundle import DIGESTS, ISSUE, BundleList
from contracts.catalogue import GATEWAY
from contracts.proof import SignedProof, SigningKey

_SIGNATURE = "signature.json"
_MOST_BYTES = 512 * 1024 * 1024


@click.group()
def bundle() -> None:
    """One redacted file with everything that support asks for."""


@bundle.command(name="get")
@sovereign_argument
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="The file; named for it by default.")
@json_option
def get(sovereign: str, *, output: Path | None, as_json: bool) -> None:
    """Make the bundle of a Sovereign and keep it in a file."""
    file = output or Path(f"catalyst-bundle-{sovereign}.zip")
    file.write_bytes(_archive(sovereign))
    text = f"{file}: secrets and e-mail addresses are withheld; look through it, then attach it to {ISSUE}"
    show({"file": str(file), "issue": ISSUE}, as_json=as_json, text=text)


@on_the_edge
async def _archive(session: Edge, sovereign: str) -> bytes:
    return await session.download(f"/api/v1/sovereigns/{sovereign}/bundle")


@bundle.command(name="verify")
@signed_file(GATEWAY)
@json_option
def verify_(file: Path, *, keys_file: Path | None, as_json: bool) -> None:
    """Verify that nothing in a bundle was changed, added or left out."""
    keys = signing_keys(GATEWAY, keys_file)
    try:
        told = verified(file, keys)
    except (zipfile.BadZipFile, KeyError, ValidationError) as error:
        raise Failure(f"{file} is no bundle: {error}", "give a file that catalyst bundle get made") from None
    except NotVerified as error:
        raise Failure(
            f"NOT verified: {error}", "get it again (catalyst bundle get); do not rely on this file"
        ) from None
    lines = [
        f"Verified: {told.fqdn} ({told.region}), run {told.run}, up to {told.upto}, made {told.made_at:%F %T} UTC."
    ]
    lines += [f"  {row.bytes:>9} {row.name}" for row in told.files]
    show(told.model_dump(mode="json"), as_json=as_json, text="\n".join(lines))


def verified(file: Path, keys: tuple[SigningKey, ...]) -> BundleList:
    """What the bundle's signed list says; NotVerified when the archive is another one than was signed."""
    with zipfile.ZipFile(file) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
            raise NotVerified("it unpacks to more than any bundle holds")
        digests = archive.read(DIGESTS).decode()
        signature = SignedProof.model_validate_json(archive.read(_SIGNATURE))
        verify(signature.model_copy(update={"document": digests}), keys)
        told = BundleList.model_validate_json(digests)
        held = sorted(archive.namelist())
        if held != sorted([DIGESTS, _SIGNATURE, *(row.name for row in told.files)]):
            raise NotVerified("it holds other files than its list names")
        changed = [r.name for r in told.files if hashlib.sha256(archive.read(r.name)).hexdigest() != r.sha256]
        if changed:
            raise NotVerified(f"changed since it was signed: {', '.join(changed)}")
    return told
