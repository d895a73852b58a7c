"""Registrars, one adapter each behind ``port.Registrar``.

An adapter reads a registrar's answers into our types and turns every refusal into ``RegistrarRefused`` or
``RegistrarBusy``, by code, in one place; no vendor exception or shape leaves its module.
"""

from collections.abc import Mapping
from typing import Final

from dns_pdm.registrars.port import Adapter

ADAPTERS: Final[Mapping[str, Adapter]] = {}
"""By the name that requests use. A registrar that is not here is refused with the advice to use byo-manual."""
