"""What leaves the house in a support bundle: without secrets, ciphertexts, keys and e-mail addresses.

Nothing of that is meant to be in what is bundled; this is the last look. Fields that could hold such a thing by their
name are withheld whole, everything else is masked where it looks like one.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from bus.scan import masked, secret_in

WITHHELD: Final = "[withheld]"
_FIELDS: Final = frozenset(
    {"ciphertext", "secret", "secrets", "password", "token", "api_token", "kubeconfig", "private_key", "credentials",
     "ssh_public_key", "ssh_allowed_cidrs", "admin_email", "first_login", "user_data"}
)  # fmt: skip
_MAIL: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")


def clean(value: Any) -> Any:
    """The same value without what does not leave the house."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {str(name): WITHHELD if name in _FIELDS and row else clean(row) for name, row in value.items()}
    if isinstance(value, list | tuple):
        return [clean(row) for row in value]
    return value


def text(given: str) -> str:
    """A text without secrets and e-mail addresses."""
    return _MAIL.sub("[e-mail address, withheld]", masked(given))


def json_text(value: Any) -> str:
    """A cleaned value as JSON; one in which something still looks like a secret is withheld whole."""
    return checked(json.dumps(clean(value), indent=1, ensure_ascii=False, default=str) + "\n")


def checked(content: str) -> str:
    """The content, unless a secret seems to be in it after all."""
    kind = secret_in(content.encode())
    return content if kind is None else f"{WITHHELD}: it seems to hold {kind}\n"
