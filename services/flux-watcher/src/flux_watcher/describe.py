"""Answers what one object of a cluster looks like in detail: conditions, last events, last log lines."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bus import Answer
from bus.journal import Journal
from contracts.errors import trouble
from contracts.history import History
from contracts.questions import Asker, ClusterEventsReply, Describe, DescribeReply, KeysReply, Nothing, OfSovereign
from flux_watcher.api import ApiTrouble, NotServed
from flux_watcher.cluster import Cluster, kind_of
from flux_watcher.handlers import Door, NoAccess
from flux_watcher.masking import masked
from flux_watcher.objects import FLUX_SYSTEM

LOG_LINES: Final = 100
LAST_EVENTS: Final = 100
_READ_EVENTS: Final = 500
"""A list is in the order of names, so more are read than are told."""
_CONTROLLERS: Final = {
    "GitRepository": "source-controller",
    "OCIRepository": "source-controller",
    "HelmRepository": "source-controller",
    "HelmChart": "source-controller",
    "Kustomization": "kustomize-controller",
    "HelmRelease": "helm-controller",
}


async def cluster_events(
    request: OfSovereign, asker: Asker | None, *, journal: Journal, door: Door
) -> ClusterEventsReply:
    """What the runbook's escalation asks for: the last events of ``flux-system``, masked."""
    history = await journal.fold(request.sovereign)
    _authorise(request, asker, history)
    try:
        async with door.open(history) as cluster:
            items = await cluster.events(FLUX_SYSTEM, limit=_READ_EVENTS)
    except NoAccess as none:
        problem = trouble("not-now", attempted="read cluster events", on=request.sovereign, message=str(none))
        raise Answer(problem) from None
    except ApiTrouble as error:
        problem = trouble("cluster-unreachable", attempted="read events", on=request.sovereign, message=str(error))
        raise Answer(problem) from None
    return ClusterEventsReply(events=_lines(items)[-LAST_EVENTS:])


async def describe(request: Describe, asker: Asker | None, *, journal: Journal, door: Door) -> DescribeReply:
    """One object, as the cluster shows it now."""
    history = await journal.fold(request.sovereign)
    _authorise(request, asker, history)
    kind = kind_of(request.kind)
    if kind is None:
        problem = trouble("invalid-request", attempted="describe", on=request.kind, message="no kind that is watched")
        raise Answer(problem)
    try:
        async with door.open(history) as cluster:
            found = await cluster.get(kind, request.name, "" if kind.name == "Node" else request.namespace)
            return DescribeReply(
                kind=kind.name,
                name=request.name,
                conditions=_conditions(found),
                events=await _events(cluster, request),
                log=await _log(cluster, kind.name, request.name),
            )
    except NoAccess as none:
        raise Answer(trouble("not-now", attempted="describe", on=request.sovereign, message=str(none))) from None
    except NotServed:
        problem = trouble("invalid-request", attempted="describe", on=request.name, message="there is no such object")
        raise Answer(problem) from None
    except ApiTrouble as error:
        raise Answer(
            trouble("cluster-unreachable", attempted="describe", on=request.name, message=str(error))
        ) from None


def _authorise(request: OfSovereign, asker: Asker | None, history: History) -> None:
    """Whose Sovereign it is; one of another owner is as good as none."""
    allowed = asker is None or "admin" in asker.roles or asker.owner == history.owner
    if history.owner is None or not allowed:
        raise Answer(trouble("unknown-sovereign", attempted="describe", on=request.sovereign))


def _conditions(found: Mapping[str, Any]) -> tuple[dict[str, str], ...]:
    status = found.get("status")
    listed = status.get("conditions") if isinstance(status, Mapping) else None
    rows = [row for row in listed if isinstance(row, Mapping)] if isinstance(listed, list) else []
    fields = ("type", "status", "reason", "message", "lastTransitionTime")
    return tuple({field: masked(str(row.get(field, ""))) for field in fields} for row in rows[:40])


async def _events(cluster: Cluster, request: Describe) -> tuple[str, ...]:
    try:
        items = await cluster.events(request.namespace or FLUX_SYSTEM, about=request.name)
    except ApiTrouble as error:
        return (f"events cannot be read: {error}",)
    return _lines(items)[-50:]


def _lines(items: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """One line per event, oldest first."""
    timed = sorted((str(item.get("lastTimestamp") or item.get("eventTime") or ""), i) for i, item in enumerate(items))
    return tuple(masked(f"{at} {_words(items[number])}") for at, number in timed)


def _words(event: Mapping[str, Any]) -> str:
    about = event.get("involvedObject")
    subject = f"{about.get('kind', '')}/{about.get('name', '')} " if isinstance(about, Mapping) else ""
    return f"{event.get('type', '')} {subject}{event.get('reason', '')}: {event.get('message', '')}"


async def _log(cluster: Cluster, kind: str, name: str) -> tuple[str, ...]:
    """The controller's lines that name the object, newest last; all of its last lines if none does."""
    controller = _CONTROLLERS.get(kind)
    if controller is None:
        return ()
    try:
        lines: list[str] = []
        for pod in await cluster.pods(FLUX_SYSTEM, f"app={controller}"):
            lines.extend(await cluster.log_lines(FLUX_SYSTEM, pod, tail=1000))
    except ApiTrouble as error:
        return (f"the log of {controller} cannot be read: {error}",)
    about = [line for line in lines if name in line] or lines
    return tuple(masked(line) for line in about[-LOG_LINES:])


async def keys(_request: Nothing, _asker: Asker | None, *, reply: KeysReply) -> KeysReply:
    """The public keys to seal a kubeconfig to."""
    return reply
