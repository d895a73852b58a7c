"""One sentence that says what a Sovereign is doing, and which commands fit now.

No clock in it: the screens put "since" and "usual" beside it. Troubled states say whose move it is.
"""

from typing import Final

from contracts.view import Command, Release, View

_WORDS: Final = {
    "requested": "Requested",
    "provisioning": "Provisioning",
    "waiting": "Waiting",
    "ready": "Ready",
    "handed-over": "Handed over",
    "degraded": "Degraded",
    "failed": "Failed",
    "cancelling": "Cancelling",
    "cancelled": "Cancelled",
    "decommissioning": "Decommissioning",
    "decommissioned": "Decommissioned",
}
_COMMANDS: Final[dict[str, tuple[Command, ...]]] = {
    "provisioning": ("cancel",),
    "waiting": ("cancel",),
    "ready": ("reconcile", "reprovision", "decommission"),
    "handed-over": ("reprovision", "decommission"),
    "degraded": ("reconcile", "retry", "reprovision", "decommission"),
    "failed": ("retry", "reprovision", "decommission"),
    "cancelled": ("retry", "reprovision", "decommission"),
}
_WAITS: Final = {
    "throttled": "The cloud project's call limit is used up; the run goes on by itself",
    "capacity": "The cloud has no capacity for this server now; the run tries again by itself",
    "approval": "The plan waits for somebody's approval",
}
_ENDS: Final = {
    "requested": "Waiting for the request to be taken.",
    "ready": "Ready: converged, delegated and every address answers. Handing over.",
    "handed-over": "Handed over: this Sovereign stands on its own, we hold no credentials any more.",
    "cancelling": "Stopping; what exists is kept.",
    "cancelled": "Cancelled; what exists is kept for a retry or a decommission.",
    "decommissioned": "Nothing is left, the name is free.",
}


def word_and_commands(view: View) -> tuple[str, tuple[Command, ...]]:
    """The state in words, and the commands that fit it."""
    commands = _COMMANDS.get(view.state, ())
    if view.state == "waiting" and view.waiting_for == "approval":
        commands = ("approve", *commands)
    if view.state == "provisioning" and any(phase.name == "Flux" and phase.mark != "waiting" for phase in view.phases):
        commands = (*commands, "reconcile")
    if view.state == "decommissioning" and view.trouble is not None:
        commands = ("reprovision", "decommission")
    return _WORDS[view.state], commands


def sentence(view: View) -> str:
    """What is it doing now, in one sentence."""
    if view.state == "waiting":
        return f"{_WAITS.get(view.waiting_for, 'Waiting')}."
    if view.state in ("failed", "degraded") and view.trouble is not None:
        return f"{_WORDS[view.state]}: {view.trouble.attempted}, on {view.trouble.on}."
    if view.state == "decommissioning":
        return _leaving(view)
    if view.state == "decommissioned" and view.reprovisioning:
        return "Nothing is left of the former cluster; the next life begins under the same name."
    if view.state in _ENDS:
        return _ENDS[view.state]
    working = next((phase.name for phase in view.phases if phase.mark == "working"), "")
    return _WORKING[working](view) if working in _WORKING else f"{_WORDS[view.state]}."


def _leaving(view: View) -> str:
    doing = "Reprovisioning" if view.reprovisioning else "Decommissioning"
    if view.trouble is not None:
        return f"{doing} stopped: {view.trouble.attempted}, on {view.trouble.on}; ask for it again."
    if view.gone:
        return f"{doing}: the cloud is empty, the name is being {'kept' if view.reprovisioning else 'released'}."
    if view.dns.state == "withdrawn":
        return f"{doing}: no name points there any more, the cloud resources are being destroyed."
    return f"{doing}: ending the watch and withdrawing the names."


def _applying(view: View) -> str:
    said = f"Creating cloud resources: {view.resources_done} of {view.resources_total} done."
    busy = [row.address for row in view.resources if row.state in ("creating", "updating", "deleting", "working")]
    return f"{said} {busy[-1]} is under way." if busy else said


def _booting(view: View) -> str:
    failed = [(server.name, stage) for server in view.servers for stage in server.stages if stage.state == "failed"]
    if failed:
        name, stage = failed[-1]
        return f"Booting: stage {stage.stage} failed on {name}."
    busy = [f"{server.name} at {server.stages[-1].stage}" for server in view.servers if server.stages]
    return (
        f"Booting {len(view.servers)} servers: {', '.join(busy)}." if busy else "Booting: no server has reported yet."
    )


def _installing(view: View) -> str:
    ready = sum(row.state == "ready" for row in view.releases)
    said = f"Installing the kit: {ready} of {len(view.releases)} ready."
    failed = [row for row in view.releases if row.state in ("failed", "degraded")]
    if failed:
        return f"{said} {failed[0].component} {failed[0].state}: {failed[0].reason or failed[0].message}."
    waiting = next((row for row in view.releases if row.state == "pending" and row.blocked_by), None)
    if waiting is not None:
        return f"{said} {waiting.component} waits for {what_blocks(waiting)}."
    busy = [row.component for row in view.releases if row.state == "installing"]
    return f"{said} {', '.join(busy)} under way." if busy else said


def what_blocks(row: Release) -> str:
    """What a release waits for, in words: another component, or something of its own."""
    kind, _, name = row.blocked_by.rpartition("/")
    bare = _bare(name)
    return f"its {kind}" if bare == row.component and kind else bare


def _bare(name: str) -> str:
    return name.rsplit("/", 1)[-1].removeprefix("bp-")


def _finishing(view: View) -> str:
    if view.dns.state == "awaiting-delegation" and view.dns.registrar:
        return f"Everything is installed; {view.dns.registrar}."
    if view.dns.state == "awaiting-delegation":
        return "Everything is installed; the domain is not delegated to us yet: paste the NS records at the registrar."
    failing = [host.host for host in view.probes if host.reason]
    if failing:
        return f"Everything is installed; {failing[0]} does not answer yet."
    return "Everything is installed; checking the addresses from outside."


_WORKING: Final = {
    "Reserved": lambda view: f"Reserving {view.fqdn}.",
    "Plan": lambda _view: "Planning the cloud resources.",
    "Apply": _applying,
    "Boot": _booting,
    "Flux": lambda _view: "Flux is starting in the new cluster.",
    "Kit": _installing,
    "Ready": _finishing,
}
