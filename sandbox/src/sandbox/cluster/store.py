"""The objects of one cluster, with the versions and the bounded history that watches live on.

Every write takes the next number of one counter, as etcd does, and leaves a change in the history of its
kind. The history is bounded: what falls out of it is compacted, and a watch that asks for it is told 410.
Listeners (the simulated controllers) hear each change at once, in order.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sandbox.cluster import problems
from sandbox.cluster.objects import BUILT_IN, CRD, FLUX_KINDS, NAMESPACE, Json, Key, Kind, Matches, key_of, timestamp

HISTORY = 256
"""Changes kept per kind before the oldest is compacted."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write: what it made of the object, and what was there before."""

    version: int
    type: str
    kind: Kind
    item: Json
    before: Json | None


Listener = Callable[[Change], None]


class _Shelf:
    """Objects and history of one kind."""

    __slots__ = ("compacted", "history", "items", "waiting")

    def __init__(self, version: int) -> None:
        self.items: dict[Key, Json] = {}
        self.history: deque[Change] = deque()
        self.compacted = version
        self.waiting: set[asyncio.Future[None]] = set()

    def remember(self, change: Change) -> None:
        self.history.append(change)
        if len(self.history) > HISTORY:
            self.compacted = self.history.popleft().version
        self.wake()

    def wake(self) -> None:
        for future in self.waiting:
            if not future.done():
                future.set_result(None)
        self.waiting.clear()


class Store:
    """The objects of one cluster."""

    def __init__(self) -> None:
        self.version = 1
        self.kinds: dict[tuple[str, str, str], Kind] = {}
        self._shelves: dict[Kind, _Shelf] = {}
        self._listeners: list[Listener] = []
        for kind in BUILT_IN:
            self.serve(kind)

    def serve(self, kind: Kind) -> None:
        """Serve a kind from now on (a CRD arrived)."""
        self.kinds[kind.group, kind.version, kind.plural] = kind
        self._shelves.setdefault(kind, _Shelf(self.version))

    def withdraw(self, kind: Kind) -> None:
        """Serve a kind no longer (its CRD is gone); its objects go with it."""
        self.kinds.pop((kind.group, kind.version, kind.plural), None)
        if shelf := self._shelves.pop(kind, None):
            shelf.wake()

    def kind_named(self, api_version: str, kind: str) -> Kind | None:
        """The served kind of a manifest."""
        return next(
            (known for known in self.kinds.values() if known.kind == kind and known.api_version == api_version), None
        )

    def listen(self, listener: Listener) -> None:
        """Tell the listener of every later change."""
        self._listeners.append(listener)

    # -- reading

    def get(self, kind: Kind, namespace: str, name: str) -> Json | None:
        """The object, if it is there."""
        shelf = self._shelves.get(kind)
        return shelf.items.get((namespace, name)) if shelf else None

    def require(self, kind: Kind, namespace: str, name: str) -> Json:
        """The object, or the 404 that says it is not there."""
        found = self.get(kind, namespace, name)
        if found is None:
            raise problems.not_found(kind, name)
        return found

    def select(self, kind: Kind, namespace: str = "", matches: Matches | None = None) -> list[Json]:
        """Objects of a kind (and namespace) in the order of their keys."""
        shelf = self._shelves.get(kind)
        if shelf is None:
            return []
        return [
            item
            for key, item in sorted(shelf.items.items())
            if (not namespace or key[0] == namespace) and (matches is None or matches(item))
        ]

    def changes_after(self, kind: Kind, version: int) -> list[Change]:
        """What happened to the kind since; 410 when part of it is compacted away."""
        shelf = self._shelves.get(kind)
        if shelf is None:
            raise problems.no_such_path()
        if version < shelf.compacted:
            raise problems.expired(f"too old resource version: {version} ({shelf.compacted})")
        history = shelf.history
        if not history or history[-1].version <= version:
            return []
        return [change for change in history if change.version > version]

    async def changed(self, kind: Kind, within: float) -> None:
        """Wait until the kind changes, at most that long."""
        shelf = self._shelves.get(kind)
        if shelf is None:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        shelf.waiting.add(future)
        try:
            async with asyncio.timeout(within):
                await future
        except TimeoutError:
            return
        finally:
            shelf.waiting.discard(future)

    def waiting(self) -> int:
        """How many watches wait for a change at this moment."""
        return sum(len(shelf.waiting) for shelf in self._shelves.values())

    # -- writing

    def create(self, kind: Kind, item: Json) -> Json:
        """Put a new object; 409 when the name is taken."""
        key = key_of(item)
        if key in self._shelves[kind].items:
            raise problems.already_exists(kind, key[1])
        if kind.namespaced and self.get(NAMESPACE, "", key[0]) is None:
            raise problems.not_found(NAMESPACE, key[0])
        metadata = dict(item["metadata"])
        metadata.pop("resourceVersion", None)
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": timestamp(), "generation": 1}
        stored = {"apiVersion": kind.api_version, "kind": kind.kind, **item, "metadata": metadata}
        if kind in FLUX_KINDS:
            stored.setdefault("status", {"observedGeneration": -1})  # the default that their CRDs give
        return self._write(kind, key, "ADDED", stored, None)

    def replace(self, kind: Kind, item: Json) -> Json:
        """Write an object that is there; its generation grows when its spec changed; the same again is no write."""
        key = key_of(item)
        before = self.require(kind, *key)
        metadata = dict(item["metadata"])
        kept = before["metadata"]
        metadata |= {name: kept[name] for name in ("uid", "creationTimestamp", "generation", "resourceVersion")}
        if item.get("spec") != before.get("spec"):
            metadata["generation"] = kept["generation"] + 1
        stored = {**item, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
        if stored == before:
            return before
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            return self._forget(kind, key, before)
        return self._write(kind, key, "MODIFIED", stored, before)

    def set_status(self, kind: Kind, namespace: str, name: str, status: Json) -> None:
        """Write the status of an object, if it is still there and the status is another one."""
        before = self.get(kind, namespace, name)
        if before is not None and before.get("status") != status:
            self.replace(kind, {**before, "status": status})

    def delete(self, kind: Kind, namespace: str, name: str) -> Json:
        """Delete an object: at once, or marked until its finalizers are gone. A namespace takes its objects with it."""
        item = self.require(kind, namespace, name)
        metadata = item["metadata"]
        if metadata.get("finalizers"):
            if not metadata.get("deletionTimestamp"):
                marked = {**metadata, "deletionTimestamp": timestamp(), "deletionGracePeriodSeconds": 0}
                item = self._write(kind, (namespace, name), "MODIFIED", {**item, "metadata": marked}, item)
            return item
        gone = self._forget(kind, (namespace, name), item)
        if kind == NAMESPACE:
            for inner in list(self._in_namespace(name)):
                self._forget(inner[0], key_of(inner[1]), inner[1])
        self._collect(metadata["uid"])
        return gone

    def compact(self, keep: int = 0) -> None:
        """Forget history but for the last changes of each kind: older watches get 410 when they come back."""
        for shelf in self._shelves.values():
            while len(shelf.history) > keep:
                shelf.compacted = shelf.history.popleft().version
            if not shelf.history:
                shelf.compacted = self.version
            shelf.wake()

    def _collect(self, owner: str) -> None:
        """Delete what belongs to an object that is gone, as the garbage collector does."""
        for kind, shelf in list(self._shelves.items()):
            for key, item in list(shelf.items.items()):
                references = item["metadata"].get("ownerReferences") or ()
                if any(reference.get("uid") == owner for reference in references) and key in shelf.items:
                    self.delete(kind, *key)

    def _in_namespace(self, name: str) -> Iterator[tuple[Kind, Json]]:
        for kind, shelf in self._shelves.items():
            if kind.namespaced:
                for key, item in list(shelf.items.items()):
                    if key[0] == name:
                        yield kind, item

    def _write(self, kind: Kind, key: Key, change: str, item: Json, before: Json | None) -> Json:
        self.version += 1
        item["metadata"] = {**item["metadata"], "resourceVersion": str(self.version)}
        shelf = self._shelves[kind]
        shelf.items[key] = item
        self._tell(shelf, Change(self.version, change, kind, item, before))
        return item

    def _forget(self, kind: Kind, key: Key, item: Json) -> Json:
        self.version += 1
        shelf = self._shelves[kind]
        del shelf.items[key]
        last = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self.version)}}
        self._tell(shelf, Change(self.version, "DELETED", kind, last, item))
        if kind == CRD:
            for served in list(self.kinds.values()):
                if f"{served.plural}.{served.group}" == key[1]:
                    self.withdraw(served)
        return last

    def _tell(self, shelf: _Shelf, change: Change) -> None:
        shelf.remember(change)
        for listener in self._listeners:
            listener(change)
