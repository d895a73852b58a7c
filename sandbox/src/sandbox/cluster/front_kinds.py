"""The simulated cert-manager and Gateway controller: issuers, certificates and gateways become ready after a moment.

Their kinds are served once the chart (or the kit) that brings their CRDs is in the cluster, as on a real one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sandbox.cluster.agenda import Sequence
from sandbox.cluster.model import Model
from sandbox.cluster.objects import Json, Key, Kind, key_of, timestamp
from sandbox.cluster.store import Change

CERTIFICATE: Final = Kind("cert-manager.io", "v1", "Certificate", "certificates")
CLUSTER_ISSUER: Final = Kind("cert-manager.io", "v1", "ClusterIssuer", "clusterissuers", namespaced=False)
GATEWAY: Final = Kind("gateway.networking.k8s.io", "v1", "Gateway", "gateways")
HTTP_ROUTE: Final = Kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")
CERT_MANAGER_KINDS: Final = (
    CERTIFICATE,
    CLUSTER_ISSUER,
    Kind("cert-manager.io", "v1", "Issuer", "issuers"),
    Kind("cert-manager.io", "v1", "CertificateRequest", "certificaterequests"),
    Kind("acme.cert-manager.io", "v1", "Order", "orders"),
    Kind("acme.cert-manager.io", "v1", "Challenge", "challenges"),
)
_OUTCOMES: Final = {
    CLUSTER_ISSUER: (("Ready", "ACMEAccountRegistered", "The ACME account was registered (simulated)"),),
    CERTIFICATE: (("Ready", "Ready", "Certificate is up to date and has not expired (simulated)"),),
    GATEWAY: (
        ("Accepted", "Accepted", "Gateway successfully scheduled (simulated)"),
        ("Programmed", "Programmed", "Gateway successfully reconciled (simulated)"),
    ),
}
_SOON_S: Final = 0.4
_VALID: Final = timedelta(days=90)


class FrontKinds:
    """Makes the objects of the front door ready."""

    def __init__(self, model: Model) -> None:
        self._model = model
        model.store.listen(self._hear)

    def _hear(self, change: Change) -> None:
        if change.kind in _OUTCOMES and change.type == "ADDED":
            key = key_of(change.item)
            self._model.agenda.start((change.kind, key), self._become_ready(change.kind, key))

    def _become_ready(self, kind: Kind, key: Key) -> Sequence:
        yield _SOON_S
        item = self._model.store.get(kind, *key)
        if item is None:
            return
        generation = item["metadata"]["generation"]
        status: Json = {
            "conditions": [
                {
                    "type": condition,
                    "status": "True",
                    "reason": reason,
                    "message": message,
                    "observedGeneration": generation,
                    "lastTransitionTime": timestamp(),
                }
                for condition, reason, message in _OUTCOMES[kind]
            ]
        }
        if kind == CERTIFICATE:
            end = datetime.now(UTC) + _VALID
            status["notAfter"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
            status["renewalTime"] = (end - _VALID / 3).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._model.store.set_status(kind, *key, status)
        self._model.stir()
