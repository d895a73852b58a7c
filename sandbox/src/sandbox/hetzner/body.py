"""Reading a request's body: each getter notes what is wrong with its field, and `check` raises them all at once."""

from typing import Any

from sandbox.hetzner import labels
from sandbox.hetzner.errors import ApiError, invalid_fields

_INT_MAX = 2**53 - 1


class Body:
    """The fields of one JSON object; an absent field and null are the same."""

    def __init__(self, raw: dict[str, Any], prefix: str = "", problems: list[tuple[str, str]] | None = None) -> None:
        self.raw = raw
        self._prefix = prefix
        self._problems: list[tuple[str, str]] = [] if problems is None else problems

    def problem(self, field: str, message: str) -> None:
        """Note that a field does not pass."""
        self._problems.append((self._prefix + field, message))

    def check(self) -> None:
        """Refuse the request if any field did not pass."""
        if self._problems:
            raise invalid_fields(self._problems)

    def has(self, field: str) -> bool:
        """Whether the field is there with a value."""
        return self.raw.get(field) is not None

    def maybe_text(self, field: str, *, one_of: tuple[str, ...] = (), longest: int = 0) -> str | None:
        """A string, if given."""
        value = self.raw.get(field)
        if value is None:
            return None
        if not isinstance(value, str):
            self.problem(field, "must be a string")
            return None
        if one_of and value not in one_of:
            self.problem(field, f"must be one of {', '.join(one_of)}")
        if longest and len(value.encode()) > longest:
            self.problem(field, f"is too long (at most {longest} bytes)")
        return value

    def text(self, field: str, *, one_of: tuple[str, ...] = (), longest: int = 0) -> str:
        """A string that must be there and not be empty."""
        value = self.maybe_text(field, one_of=one_of, longest=longest)
        if value is None or not value.strip():
            if not self._named(field):
                self.problem(field, "Missing data for required field." if value is None else "must not be empty")
            return ""
        return value

    def maybe_integer(self, field: str, *, least: int = 0, most: int = _INT_MAX) -> int | None:
        """A whole number in a range, if given."""
        value = self.raw.get(field)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.problem(field, "must be an integer")
            return None
        if not least <= value <= most:
            self.problem(field, f"must be between {least} and {most}")
        return value

    def integer(self, field: str, *, least: int = 0, most: int = _INT_MAX) -> int:
        """A whole number that must be there."""
        value = self.maybe_integer(field, least=least, most=most)
        if value is None:
            if not self._named(field):
                self.problem(field, "Missing data for required field.")
            return 0
        return value

    def flag(self, field: str, *, default: bool = False) -> bool:
        """A boolean with its default."""
        value = self.raw.get(field)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problem(field, "must be a boolean")
            return default
        return value

    def reference(self, field: str) -> str | None:
        """A name or an id, as text, if given; the API takes both."""
        value = self.raw.get(field)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            self.problem(field, "must be a name or an id")
            return None
        return str(value)

    def labels(self) -> dict[str, str] | None:
        """A set of valid labels, if given."""
        value = self.raw.get("labels")
        if value is None:
            return None
        if not isinstance(value, dict):
            self.problem("labels", "must be an object")
            return None
        for message in labels.problems(value):
            self.problem("labels", message)
        return dict(value)

    def items(self, field: str) -> list[Any]:
        """A list, empty when absent."""
        value = self.raw.get(field)
        if value is None:
            return []
        if not isinstance(value, list):
            self.problem(field, "must be a list")
            return []
        return value

    def references(self, field: str) -> list[str]:
        """A list of names or ids, as texts."""
        found = self.items(field)
        if not all(isinstance(item, (str, int)) and not isinstance(item, bool) for item in found):
            self.problem(field, "must be a list of names or ids")
            return []
        return [str(item) for item in found]

    def ids(self, field: str) -> list[int]:
        """A list of ids."""
        found = self.items(field)
        if not all(isinstance(item, int) and not isinstance(item, bool) for item in found):
            self.problem(field, "must be a list of ids")
            return []
        return list(found)

    def texts(self, field: str) -> list[str]:
        """A list of strings."""
        found = self.items(field)
        if not all(isinstance(item, str) for item in found):
            self.problem(field, "must be a list of strings")
            return []
        return list(found)

    def part(self, field: str) -> "Body":
        """An object within; empty when absent. Its problems are this body's."""
        value = self.raw.get(field)
        if value is not None and not isinstance(value, dict):
            self.problem(field, "must be an object")
            value = None
        return Body(value or {}, f"{self._prefix}{field}.", self._problems)

    def parts(self, field: str) -> list["Body"]:
        """A list of objects within."""
        found = self.items(field)
        if not all(isinstance(item, dict) for item in found):
            self.problem(field, "must be a list of objects")
            return []
        return [Body(item, f"{self._prefix}{field}.{i}.", self._problems) for i, item in enumerate(found)]

    def _named(self, field: str) -> bool:
        return any(name == self._prefix + field for name, _ in self._problems)


def parsed(raw: Any) -> Body:
    """A body from decoded JSON; anything but an object is refused."""
    if not isinstance(raw, dict):
        raise ApiError("invalid_input", "the request body must be a JSON object")
    return Body(raw)
