"""Who may do what: bearer tokens of ServiceAccounts, and the RBAC objects that were applied to this cluster.

A token is good as long as its ServiceAccount lives (and, when it came from a Secret, that Secret). The
rules are read from the cluster's own Roles and bindings, so a ServiceAccount may do exactly what the
manifests that created it say.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sandbox.cluster import problems
from sandbox.cluster.objects import (
    ADMISSION_POLICY,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    FLUX_KINDS,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE_ACCOUNT,
    Json,
    Kind,
)
from sandbox.cluster.store import Change, Store

TOKEN_SECRET: Final = "kubernetes.io/service-account-token"  # noqa: S105 - a type, not a token
ACCOUNT_OF_SECRET: Final = "kubernetes.io/service-account.name"  # noqa: S105 - an annotation
_EVERYBODY: Final = ("system:serviceaccounts", "system:authenticated")


@dataclass(frozen=True, slots=True)
class Caller:
    """A ServiceAccount that showed a good token."""

    namespace: str
    name: str

    @property
    def user(self) -> str:
        """The name that refusals use."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    namespace: str
    account: str
    account_uid: str
    secret: str


class Access:
    """Tokens and rules of one cluster."""

    def __init__(self, store: Store, ca_pem: str) -> None:
        self._store = store
        self._ca = base64.b64encode(ca_pem.encode()).decode()
        self._tokens: list[_Token] = []
        store.listen(self._fill)

    def token_for(self, namespace: str, account: str, *, secret: str = "") -> str:
        """A new token of a ServiceAccount that is there."""
        found = self._store.require(SERVICE_ACCOUNT, namespace, account)
        token = _Token(secrets.token_urlsafe(32), namespace, account, found["metadata"]["uid"], secret)
        self._tokens.append(token)
        return token.value

    def caller(self, authorization: str) -> Caller:
        """Whoever shows this header; 401 when the token is unknown or no longer good."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise problems.unauthorized()
        for token in self._tokens:
            if hmac.compare_digest(token.value.encode(), value.strip().encode()) and self._alive(token):
                return Caller(token.namespace, token.account)
        raise problems.unauthorized()

    def demand(
        self, caller: Caller, verb: str, kind: Kind, namespace: str, name: str, *, subresource: str = ""
    ) -> None:
        """Refuse with 403 what no rule of the caller allows."""
        resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
        # A Namespace is asked for at cluster scope, but rules inside it count too.
        scope = name if kind.plural == "namespaces" else namespace
        if not any(_allows(rule, verb, kind.group, resource, name) for rule in self._rules(caller, scope)):
            raise problems.forbidden(caller.user, verb, kind, namespace, name)

    def admit(self, kind: Kind, before: Json, after: Json) -> None:
        """Refuse patches of Flux objects beyond annotations and `suspend`.

        Stands in for the CEL of a ValidatingAdmissionPolicy: one that is applied is taken to say exactly this.
        """
        policies = self._store.select(ADMISSION_POLICY)
        if kind not in FLUX_KINDS or not policies or _harmless(before) == _harmless(after):
            return
        name = after["metadata"]["name"]
        raise problems.ApiProblem(
            422,
            "Invalid",
            f'{kind.resource} "{name}" is forbidden: ValidatingAdmissionPolicy '
            f"'{policies[0]['metadata']['name']}' denied request: only annotations and spec.suspend may change",
            {"name": name, "group": kind.group, "kind": kind.plural},
        )

    def _alive(self, token: _Token) -> bool:
        account = self._store.get(SERVICE_ACCOUNT, token.namespace, token.account)
        if account is None or account["metadata"]["uid"] != token.account_uid:
            return False
        return not token.secret or self._store.get(SECRET, token.namespace, token.secret) is not None

    def _rules(self, caller: Caller, namespace: str) -> Iterator[Json]:
        for binding in self._store.select(CLUSTER_ROLE_BINDING):
            if _names(binding, caller):
                yield from self._role(binding["roleRef"], "")
        if namespace:
            for binding in self._store.select(ROLE_BINDING, namespace):
                if _names(binding, caller):
                    yield from self._role(binding["roleRef"], namespace)

    def _role(self, reference: Json, namespace: str) -> Iterator[Json]:
        if reference["kind"] == "ClusterRole":
            role = self._store.get(CLUSTER_ROLE, "", reference["name"])
        else:
            role = self._store.get(ROLE, namespace, reference["name"])
        yield from (role or {}).get("rules") or ()

    def _fill(self, change: Change) -> None:
        """Give a new token Secret its token, as the token controller does."""
        item = change.item
        if change.kind != SECRET or item.get("type") != TOKEN_SECRET or change.type == "DELETED":
            return
        if "token" in (item.get("data") or {}):
            return
        metadata = item["metadata"]
        account = (metadata.get("annotations") or {}).get(ACCOUNT_OF_SECRET, "")
        if self._store.get(SERVICE_ACCOUNT, metadata["namespace"], account) is None:
            return
        token = self.token_for(metadata["namespace"], account, secret=metadata["name"])
        data = {
            "ca.crt": self._ca,
            "namespace": base64.b64encode(metadata["namespace"].encode()).decode(),
            "token": base64.b64encode(token.encode()).decode(),
        }
        self._store.replace(SECRET, {**item, "data": data})


def _harmless(item: Json) -> Json:
    """The object without the parts that a caller of ours may change."""
    metadata = {
        name: value
        for name, value in item["metadata"].items()
        if name not in {"annotations", "resourceVersion", "generation", "managedFields"}
    }
    spec = {name: value for name, value in (item.get("spec") or {}).items() if name != "suspend"}
    return {**item, "metadata": metadata, "spec": spec}


def _names(binding: Json, caller: Caller) -> bool:
    for subject in binding.get("subjects") or ():
        if subject["kind"] == "ServiceAccount":
            if (subject.get("namespace"), subject["name"]) == (caller.namespace, caller.name):
                return True
        elif subject["kind"] == "Group":
            if subject["name"] in (*_EVERYBODY, f"system:serviceaccounts:{caller.namespace}"):
                return True
        elif subject["name"] == caller.user:
            return True
    return False


def _allows(rule: Json, verb: str, group: str, resource: str, name: str) -> bool:
    names = rule.get("resourceNames") or ()
    return (
        _holds(rule.get("verbs"), verb)
        and _holds(rule.get("apiGroups"), group)
        and _holds(rule.get("resources"), resource)
        and (not names or name in names)
    )


def _holds(listed: list[str] | None, wanted: str) -> bool:
    return listed is not None and ("*" in listed or wanted in listed)
