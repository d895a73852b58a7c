"""The table of lifetimes: every secret that rests sealed, who opens it, and when it ends at the latest.

Readers erase their own as soon as they need it no more. What nobody ended so, because a life just stopped moving, ends
by a timer of intake's: it stores what comes from outside, so it may take it away, though it can read none of it.
"""

from dataclasses import dataclass
from typing import Final

from contracts.catalogue import DNS, FLUX, GATEWAY, TOFU

EDGE: Final = "the edge"
"""Browser, CLI or gateway: where what comes from outside is sealed."""


@dataclass(frozen=True)
class SecretRow:
    """One kind of secret; its key in bucket ``sealed`` is ``<reader>.<id>.<life>.<name>``."""

    name: str
    reader: str
    sealed_by: str
    ends: str
    """What ends it in the ordinary course, for people."""
    ends_with_a_failed_run: bool = False
    """Whether it also ends some days after a run failed or was cancelled and nobody tried again."""


SECRETS: Final[tuple[SecretRow, ...]] = (
    SecretRow("cloud-token", TOFU, EDGE, "handed over or decommissioned", ends_with_a_failed_run=True),
    SecretRow("registrar-token", DNS, EDGE, "handed over or decommissioned", ends_with_a_failed_run=True),
    SecretRow("zone-credential", TOFU, DNS, "decommissioned, where it is revoked"),
    SecretRow("node-secrets", TOFU, TOFU, "handed over"),
    SecretRow("kubeconfig", FLUX, GATEWAY, "handed over, where it is revoked"),
    SecretRow("state-key", TOFU, TOFU, "some days after the decommission: the state is unreadable from then on"),
)
