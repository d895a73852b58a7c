"""What stand-ins do, but for kubectl and helm: the small programs that look at or change the server itself."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from pathlib import Path

from sandbox.hetzner.machines import Directory
from sandbox.node.helm import helm
from sandbox.node.k3s import AGENT_UNIT, SERVER_UNIT, K3s
from sandbox.node.kubectl import kubectl
from sandbox.node.server import Server
from sandbox.node.switchboard import Answer, Call

_DONE = Answer()


class Commands:
    """Answers each call of a stand-in."""

    def __init__(self, k3s: K3s, stand_ins: Path) -> None:
        self.directory: Directory | None = None
        self._k3s = k3s
        self._stand_ins = stand_ins
        self._programs: dict[str, Callable[[Call], Awaitable[Answer]]] = {
            "apt-get": self._nothing,
            "catalyst-fetch": self._fetch,
            "helm": self._helm,
            "ip": self._ip,
            "iptables": self._iptables,
            "journalctl": self._journalctl,
            "k3s": self._nothing,
            "kubectl": self._kubectl,
            "sysctl": self._nothing,
            "systemctl": self._systemctl,
        }

    async def respond(self, call: Call) -> Answer:
        """What the program says and how it ends."""
        program = self._programs.get(call.program)
        if program is None:
            return Answer(127, f"{call.program}: command not found")
        return await program(call)

    async def _nothing(self, call: Call) -> Answer:
        return Answer(0, f"{call.program}: simulated")

    async def _fetch(self, call: Call) -> Answer:
        """catalyst-fetch URL CHECKSUMS DESTINATION [MEMBER]."""
        if len(call.arguments) not in {3, 4}:
            return Answer(2, "catalyst-fetch: URL CHECKSUMS DESTINATION [MEMBER]")
        try:
            destination = call.server.path(call.arguments[2])
        except ValueError as error:
            return Answer(1, f"catalyst-fetch: {error}")
        stand_in = self._stand_ins / destination.name
        if not stand_in.exists():
            return Answer(22, f"catalyst-fetch: {call.arguments[0]}: the sandbox has no stand-in for it")
        await asyncio.to_thread(_link, destination, stand_in)
        return Answer(0, f"{call.arguments[0]}: simulated")

    async def _ip(self, call: Call) -> Answer:
        """Addresses as `ip -4 -o address show [scope global]` lists them."""
        server = call.server
        lines = [f"2: eth0    inet {server.machine.public_ipv4}/32 scope global eth0"]
        if "global" not in call.arguments:
            lines.insert(0, "1: lo    inet 127.0.0.1/8 scope host lo")
        for number, address in enumerate(self._private_addresses(server)):
            lines.append(f"{number + 3}: enp{number + 7}s0    inet {address}/32 scope global enp{number + 7}s0")
        return Answer(0, "\n".join(lines))

    def _private_addresses(self, server: Server) -> tuple[str, ...]:
        """Those that the server has by now: they are attached while it boots."""
        current = self.directory.machine(server.machine.id) if self.directory else None
        listed = (current or server.machine).private_ips
        return tuple(each for each in listed if ipaddress.ip_address(each).version == 4)  # noqa: PLR2004 - IPv4

    async def _iptables(self, call: Call) -> Answer:
        """Rules are kept as they were given; `-C` asks for one."""
        arguments = [each for each in call.arguments if each not in {"-w", "10"}]
        if len(arguments) < 2:  # noqa: PLR2004 - a verb and a chain
            return Answer(2, "iptables: no command specified")
        verb, rule = arguments[0], tuple(arguments[1:])
        if verb == "-C":
            return _DONE if rule in call.server.rules else Answer(1, "iptables: Bad rule")
        call.server.rules.add(rule)
        return _DONE

    async def _systemctl(self, call: Call) -> Answer:
        verb, *rest = call.arguments or ("",)
        units = [each for each in rest if not each.startswith("-")]
        server = call.server
        match verb:
            case "daemon-reload":
                return _DONE
            case "enable":
                server.units |= set(units)
                return _DONE
            case "start":
                server.started |= set(units)
                return _DONE
            case "is-active":
                for unit in units:
                    if unit not in server.started or not await self._active(server, unit):
                        return Answer(3, "activating")
                return Answer(0, "active")
            case _:
                return Answer(1, f"systemctl: {verb}: not simulated")

    async def _active(self, server: Server, unit: str) -> bool:
        if unit in {SERVER_UNIT, AGENT_UNIT}:
            return await self._k3s.try_to_run(server, unit)
        return True

    async def _journalctl(self, call: Call) -> Answer:
        return Answer(0, "\n".join(call.server.journal[-45:]))

    async def _kubectl(self, call: Call) -> Answer:
        sovereign = self._k3s.of(call.server)
        if sovereign is None:
            return Answer(
                1, "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?"
            )
        return await kubectl(sovereign, call.arguments, call.text)

    async def _helm(self, call: Call) -> Answer:
        sovereign = self._k3s.of(call.server)
        if sovereign is None:
            return Answer(1, "Error: kubernetes cluster unreachable: connection refused")
        return await helm(sovereign, call.arguments)


def _link(destination: Path, stand_in: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.unlink(missing_ok=True)
    destination.symlink_to(stand_in)
