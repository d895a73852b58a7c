"""Where the simulated registrars answer, and where their accounts are set."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from sandbox.hetzner.control import PREFIX, checked, json_answer
from sandbox.registrars import cloudflare, dynadot, godaddy, namecheap, ovh
from sandbox.registrars.account import Account, Answer

ROOT: Final = "/registrars"
_APIS: Final[Mapping[str, Answer]] = {
    "namecheap": namecheap.answer,
    "godaddy": godaddy.answer,
    "ovh": ovh.answer,
    "dynadot": dynadot.answer,
    "cloudflare": cloudflare.answer,
}


class Registrars:
    """One account at each registrar, empty at first."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}

    def routes(self) -> list[web.RouteDef]:
        """The APIs and their control."""
        control = f"{PREFIX}/registrars/{{registrar}}"
        return [
            web.route("*", f"{ROOT}/{{registrar}}{{path:.*}}", self._answer),
            web.put(control, checked(self._open)),
            web.get(control, checked(self._show)),
        ]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["registrar"]
        account = self.accounts.get(name)
        if account is None:
            return json_answer({"error": f"no account is open at a simulated registrar {name}"}, 404)
        if account.down:
            return web.Response(text="<html>Service Unavailable</html>", status=503, content_type="text/html")
        return await _APIS[name](account, request)

    async def _open(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["registrar"]
        if name not in _APIS:
            return json_answer({"error": f"there are {', '.join(_APIS)}"}, 404)
        self.accounts[name] = Account.model_validate(await request.json())
        return web.Response(status=204)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        account = self.accounts.get(request.match_info["registrar"])
        if account is None:
            return json_answer({"error": "no account is open there"}, 404)
        # Names alone: what opens the account is not shown.
        return json_answer(account.model_dump(mode="json", exclude={"credentials"}))
