"""API tokens. Only a hash of a token is kept anywhere: in memory, in the journal, in the ledger."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter

from sandbox.hetzner.state import Cloud, Record

Access = Literal["read", "read_write"]


class NewToken(BaseModel):
    """A token as an operator gives it, in a file or through the control API."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: SecretStr = Field(min_length=64, max_length=64)
    project: str = Field(min_length=1, max_length=63)
    access: Access = "read_write"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose token it is, what it may do, and the short hash that stands for it in the ledger."""

    project: str
    access: Access
    mark: str


class Tokens:
    """Who a token belongs to."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._holders: dict[str, Holder] = {}

    def add(self, new: NewToken) -> Holder:
        """Accept a token from now on, also after a restart."""
        digest = hashlib.sha256(new.token.get_secret_value().encode()).hexdigest()
        self._cloud.changed["", f"token:{digest}", 0] = {"project": new.project, "access": new.access}
        return self.restore(digest, {"project": new.project, "access": new.access})

    def restore(self, digest: str, record: Record) -> Holder:
        """Accept a token by its hash."""
        holder = self._holders[digest] = Holder(record["project"], record["access"], digest[:12])
        return holder

    def withdraw(self, mark: str) -> bool:
        """Refuse a token from now on, as if it had expired; it is named by its short hash."""
        for digest, holder in list(self._holders.items()):
            if holder.mark == mark:
                del self._holders[digest]
                self._cloud.changed["", f"token:{digest}", 0] = None
                return True
        return False

    def holder(self, token: str) -> Holder | None:
        """Whose token this is; None for one that nobody knows."""
        return self._holders.get(hashlib.sha256(token.encode()).hexdigest())

    def all(self) -> list[Holder]:
        """Every holder."""
        return list(self._holders.values())


def read_file(path: Path) -> list[NewToken]:
    """The tokens of a JSON file: a list of objects with token, project and access."""
    return TypeAdapter(list[NewToken]).validate_python(json.loads(path.read_text()))
