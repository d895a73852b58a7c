"""The first minutes of a node, said by intake on behalf of the node door."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from contracts.errors import Trouble
from contracts.event import Fact
from contracts.identity import Digest
from contracts.request import SecretRef

Stage = Literal["network", "packages", "k3s", "api", "storage-class", "cni", "flux", "kit", "hand-in"]
StageState = Literal["begun", "done", "failed"]


class NodeReported(Fact):
    """A node reports a boot stage."""

    fact: ClassVar[str] = "node.reported"
    server: str
    stage: Stage
    number: int = Field(ge=1)
    state: StageState
    sequence: int = Field(ge=0, description="Counts the node's reports: keeps order.")
    at: AwareDatetime = Field(description="By the node's clock.")
    log: tuple[str, ...] = Field(default=(), max_length=50, description="The last lines of a failed stage, masked.")

    @property
    def key(self) -> str:
        """One fact per report of a server."""
        return f"{self.server}/{self.sequence}/{self.stage}/{self.state}"


class NodeRefused(Fact):
    """A report or hand-in that was not the node's."""

    fact: ClassVar[str] = "node.refused"
    server: str = ""
    door: Literal["stages", "kubeconfig"]
    trouble: Trouble
    occurrence: str = ""

    @property
    def key(self) -> str:
        """One fact per refused body."""
        return self.occurrence


class NodeEnrolled(Fact):
    """The first control plane handed in its kubeconfig with its token; it is sealed to flux-watcher."""

    fact: ClassVar[str] = "node.enrolled"
    server: str
    kubeconfig: SecretRef
    caller_ip: str = Field(default="", description="Compared with the node addresses among the outputs.")
    body_sha256: Digest = Field(description="Of the kubeconfig as handed in: the same body again is the same hand-in.")
