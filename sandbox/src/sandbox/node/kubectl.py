"""kubectl of simulated servers: the handful of forms that a boot uses, against the light cluster.

A form that is not known fails and says so: a boot must not pass because its stand-in nodded.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from sandbox.cluster import ApplyRefused
from sandbox.node.k3s import Sovereign
from sandbox.node.ports import Document
from sandbox.node.switchboard import Answer

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SHORT: Final = {"-n": "namespace", "-o": "output", "-f": "filename", "-p": "patch"}
_FLAGS: Final = frozenset({"server-side", "force-conflicts", "all-namespaces"})
_LONGEST_WAIT_S: Final = 20.0
_LOOK_S: Final = 0.1

_KINDS: Final = {
    "clusterrole": "ClusterRole",
    "clusterrolebinding": "ClusterRoleBinding",
    "configmap": "ConfigMap",
    "daemonset": "DaemonSet",
    "deployment": "Deployment",
    "gitrepositories": "GitRepository",
    "kustomizations": "Kustomization",
    "namespace": "Namespace",
    "node": "Node",
    "role": "Role",
    "rolebinding": "RoleBinding",
    "secret": "Secret",
    "storageclass": "StorageClass",
    "validatingadmissionpolicy": "ValidatingAdmissionPolicy",
    "validatingadmissionpolicybinding": "ValidatingAdmissionPolicyBinding",
}
_CLUSTER_SCOPED: Final = frozenset(
    {"ClusterRole", "ClusterRoleBinding", "Namespace", "Node", "StorageClass", "CustomResourceDefinition"}
    | {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "CiliumClusterwideNetworkPolicy"}
)


@dataclass(frozen=True, slots=True)
class Options:
    """A command line, taken apart."""

    words: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)

    def value(self, name: str) -> str:
        """The value of an option, or nothing."""
        return self.values.get(name, "")


def parse(arguments: Sequence[str], flags: frozenset[str]) -> Options:
    """Words, `--name value`, `--name=value` and flags; a single `-` is a value."""
    options = Options()
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name = _SHORT.get(argument) or (argument[2:] if argument.startswith("--") else "")
        if not name:
            options.words.append(argument)
        elif "=" in name:
            key, _, value = name.partition("=")
            options.values[key] = value
        elif name in flags:
            options.flags.add(name)
        elif rest:
            options.values[name] = rest.pop(0)
    return options


async def kubectl(sovereign: Sovereign, arguments: Sequence[str], text: str) -> Answer:
    """Run kubectl with these arguments and this input."""
    options = parse(arguments, _FLAGS)
    if not sovereign.cluster.api_healthy:
        return Answer(1, "Error from server (ServiceUnavailable): the server is currently unable to handle the request")
    try:
        return await _run(sovereign, options, text) or Answer(1, f"error: not simulated: kubectl {' '.join(arguments)}")
    except ApplyRefused as refusal:
        return Answer(1, f"error: {refusal}")


async def _run(sovereign: Sovereign, options: Options, text: str) -> Answer | None:
    answer = None
    match options.words:
        case ["get"] if options.value("raw") in {"/readyz", "/livez", "/healthz"}:
            answer = Answer(0, "ok")
        case ["get", kind, name]:
            answer = _get(sovereign, options, kind, name)
        case ["patch", kind, name]:
            answer = await _patch(sovereign, options, kind, name)
        case ["apply"] if options.value("filename") == "-":
            answer = await _apply(sovereign, options, text)
        case ["rollout", "status", target] if "/" in target:
            answer = await _wait(sovereign, options, target, _rolled_out)
        case ["wait", target] if "/" in target and options.value("for") == "condition=Ready":
            answer = await _wait(sovereign, options, target, _ready)
    return answer


def _kind(word: str) -> str:
    return _KINDS.get(word.partition(".")[0], word)


def _namespace(options: Options, kind: str) -> str | None:
    return None if kind in _CLUSTER_SCOPED else options.value("namespace") or "default"


def _find(sovereign: Sovereign, options: Options, kind: str, name: str) -> Document | None:
    found = sovereign.cluster.get(kind, _namespace(options, kind), name)
    return found[0] if found else None


def _get(sovereign: Sovereign, options: Options, word: str, name: str) -> Answer:
    kind = _kind(word)
    item = _find(sovereign, options, kind, name)
    if item is None:
        return Answer(1, f'Error from server (NotFound): {word} "{name}" not found')
    output = options.value("output")
    if output.startswith("jsonpath="):
        return Answer(0, _at_path(item, output.removeprefix("jsonpath=")))
    return Answer(0, f"{word.lower()}/{name}" if output == "name" else json.dumps(item))


def _at_path(item: Document, expression: str) -> str:
    """The value at a JSON path with escaped dots; nothing when it is not there."""
    value: Any = item
    for step in re.split(r"(?<!\\)\.", expression.strip("{}").removeprefix(".")):
        value = value.get(step.replace("\\.", ".")) if isinstance(value, dict) else None
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


async def _patch(sovereign: Sovereign, options: Options, word: str, name: str) -> Answer:
    kind = _kind(word)
    item = _find(sovereign, options, kind, name)
    if item is None:
        return Answer(1, f'Error from server (NotFound): {word} "{name}" not found')
    if options.value("type") != "merge":
        return Answer(1, f"error: not simulated: a patch of type {options.value('type') or 'strategic'}")
    try:
        patch = json.loads(options.value("patch"))
    except ValueError as error:
        return Answer(1, f"error: unable to parse the patch: {error}")
    await sovereign.cluster.apply([_merged(item, patch)])
    return Answer(0, f"{word}/{name} patched")


def _merged(item: Any, patch: Any) -> Any:
    if not isinstance(item, dict) or not isinstance(patch, dict):
        return patch
    return {**item, **{name: _merged(item.get(name), value) for name, value in patch.items()}}


async def _apply(sovereign: Sovereign, options: Options, text: str) -> Answer:
    try:
        documents = [each for each in yaml.load_all(text, Loader=_LOADER) if each]
    except yaml.YAMLError as error:
        return Answer(1, f"error: error parsing STDIN: {error}")
    if not documents:
        return Answer(1, "error: no objects passed to apply")
    done = []
    for document in documents:
        kind = document["kind"]
        if kind not in _CLUSTER_SCOPED:
            document["metadata"].setdefault("namespace", options.value("namespace") or "default")
        done += await sovereign.cluster.apply([document])
    return Answer(0, "\n".join(done))


async def _wait(sovereign: Sovereign, options: Options, target: str, holds: Any) -> Answer:
    """Look again until it holds; a simulated cluster that takes longer than this is stuck."""
    word, _, name = target.partition("/")
    kind = _kind(word)
    deadline = asyncio.get_running_loop().time() + _LONGEST_WAIT_S
    while asyncio.get_running_loop().time() < deadline:
        item = _find(sovereign, options, kind, name)
        if item is not None and holds(item):
            return Answer(0, f"{target} condition met")
        await asyncio.sleep(_LOOK_S)
    return Answer(1, f"error: timed out waiting for the condition on {target}")


def _rolled_out(item: Document) -> bool:
    status, wanted = item.get("status") or {}, (item.get("spec") or {}).get("replicas", 1)
    if item["kind"] == "DaemonSet":
        scheduled = status.get("desiredNumberScheduled", 0)
        return bool(scheduled) and int(status.get("numberAvailable", 0)) >= int(scheduled)
    return int(status.get("availableReplicas", 0)) >= int(wanted)


def _ready(item: Document) -> bool:
    conditions = (item.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
