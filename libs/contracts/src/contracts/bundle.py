"""The support bundle of the runbook's escalation: one archive whose list of files is signed.

``digests.json`` lists every other file; its signature (``contracts.proof``, by the gateway's key) is over that text, so
whoever gets the archive sees that nothing in it was changed or left out.
"""

from typing import Final

from pydantic import AwareDatetime, Field

from contracts.event import Model
from contracts.identity import Actor, Digest

DIGESTS: Final = "digests.json"
ISSUE: Final = "https://github.com/openova-io/openova/issues/new?labels=area/platform,kind/provisioning"
"""Where the runbook's escalation is filed, with its two labels."""


class BundleFile(Model):
    """One file of the archive."""

    name: str
    sha256: Digest
    bytes: int


class BundleList(Model):
    """What the archive holds, when and for whom it was made."""

    sovereign: str
    fqdn: str
    region: str
    run: int
    upto: str = Field(description="The newest fact in it: <stream epoch>-<sequence>.")
    made_at: AwareDatetime
    made_for: Actor
    files: tuple[BundleFile, ...]
