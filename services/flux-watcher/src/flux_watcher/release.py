"""Hand-off: giving up our access to a cluster, and proving it.

Our namespace is deleted with the ServiceAccount and its token in it; then calls with that very token are made until one
is refused with 401. Only that refusal is proof: an answer to the deletion may be lost, and a cluster takes a
moment to forget. Then the sealed kubeconfig is erased.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from flux_watcher.api import ApiTrouble, Denied

NAMESPACE = "catalyst-zero"


class Revocable(Protocol):
    """What is called in the cluster."""

    async def delete_namespace(self, name: str) -> None:
        """Delete a namespace; absent is fine."""
        ...

    async def namespace_uid(self, name: str) -> str:
        """Any call that needs a good credential."""
        ...


class NotYet(Exception):
    """The access could not be given up, or is still good; the message says why."""


@dataclass(frozen=True)
class Patience:
    """How long the cluster may take to forget us."""

    for_s: float = 15.0
    every_s: float = 0.25


async def revoke(
    cluster: Revocable,
    patience: Patience | None = None,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> tuple[str, ...]:
    """Delete what is ours; what was removed, once a call was refused. NotYet otherwise."""
    patience = patience or Patience()
    try:
        await cluster.delete_namespace(NAMESPACE)
    except Denied:
        return REMOVED
    except ApiTrouble as error:
        # The deletion may have been done though its answer was lost: only a refused call tells.
        why = str(error)
    else:
        why = "the credential is still good"
    waited = 0.0
    while True:
        try:
            await cluster.namespace_uid("kube-system")
        except Denied:
            return REMOVED
        except ApiTrouble as error:
            why = str(error)
        if waited >= patience.for_s:
            raise NotYet(why)
        await sleep(patience.every_s)
        waited += patience.every_s


REMOVED = (f"Namespace/{NAMESPACE}", f"ServiceAccount/{NAMESPACE}/watcher", f"Secret/{NAMESPACE}/watcher-token")
