"""Simulated registrars: what five vendors' APIs are published to say, over real HTTP.

Nothing here registers anything. Each answers below ``/registrars/{name}`` as its vendor would, errors included; the
account behind it is set and read through ``/_sandbox/registrars/{name}``.
"""

from sandbox.registrars.account import Account, Domain
from sandbox.registrars.desk import Registrars

__all__ = ["Account", "Domain", "Registrars"]
