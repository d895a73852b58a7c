"""Registrars, one adapter each behind ``port.Registrar``.

An adapter reads a registrar's answers into our types and turns every refusal into ``RegistrarRefused`` or
``RegistrarBusy``, by code, in one place; no vendor exception or shape leaves its module.
"""

from collections.abc import Mapping
from typing import Final

from dns_pdm.registrars import cloudflare, dynadot, godaddy, namecheap, ovh
from dns_pdm.registrars.port import Adapter

ADAPTERS: Final[Mapping[str, Adapter]] = {
    "namecheap": namecheap.ADAPTER,
    "godaddy": godaddy.ADAPTER,
    "ovh": ovh.ADAPTER,
    "dynadot": dynadot.ADAPTER,
    "cloudflare": cloudflare.ADAPTER,
}
"""By the name that requests use. Where a name cannot be delegated by one of them, byo-manual says what to paste."""
