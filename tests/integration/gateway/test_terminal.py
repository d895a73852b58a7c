"""The command at a terminal: a real pseudo-terminal, and a screen that shows what a person would see."""

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyte

from bus import answer
from bus.seal import SealKeys
from catalyst.__main__ import main
from contracts.catalogue import KEYS, SUBMIT, TOFU, TOKEN
from contracts.questions import Accepted, Asker, KeysReply, Nothing, Submit, Token, TokenReply
from contracts.summary import Summary, summary_key
from tests.integration.gateway.conftest import Edge, EdgeOf, StandIn
from tests.integration.gateway.test_cli import catalyst, environment
from tests.requests import CLOUD_TOKEN, SSH_KEY
from tests.unit.gateway import story

COLUMNS, LINES = 110, 40


@dataclass
class Terminal:
    """A process at a terminal of its own, and what its screen shows now."""

    process: asyncio.subprocess.Process
    descriptor: int
    screen: pyte.Screen = field(default_factory=lambda: pyte.Screen(COLUMNS, LINES))
    raw: bytearray = field(default_factory=bytearray)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._stream = pyte.ByteStream(self.screen)

    def read(self) -> None:
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # the other side is closed
            asyncio.get_running_loop().remove_reader(self.descriptor)
            data = b""
        self.raw += data
        self._stream.feed(data)
        self.changed.set()

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    async def until(self, holds: Callable[[str], bool]) -> str:
        try:
            async with asyncio.timeout(60):
                while not holds(self.text):
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise AssertionError(f"the screen never showed it, but:\n{self.text}") from None
        return self.text

    async def shows(self, words: str) -> str:
        return await self.until(lambda text: words in text)

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    async def ended(self) -> int:
        async with asyncio.timeout(60):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def terminal(edge: Edge, *arguments: str, **variables: str) -> AsyncIterator[Terminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "catalyst", *arguments, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**environment(edge), "TERM": "xterm-256color", **variables}, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(theirs)
    shown = Terminal(process, ours)
    asyncio.get_running_loop().add_reader(ours, shown.read)
    try:
        yield shown
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)


async def test_watch_draws_one_picture_that_follows_the_run_to_its_end_in_colour(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    facts = story.facts()
    await edge.say(*facts[:4])
    async with terminal(edge, "watch", story.FQDN) as shown:
        first = await shown.shows(f"{story.FQDN}  Provisioning")
        assert "Reserved" in first
        assert "Ready" in first
        assert "\x1b[?25l" in shown.raw.decode(errors="replace"), "the cursor is hidden while a picture stands"
        await edge.say(*facts[4:])
        assert await shown.ended() == 0
        last = await shown.shows("phases: ")
    assert last.count("kit   ━") == 1, "the picture is drawn over itself, never below itself"
    assert "cloud ━" in last
    colours = {cell.fg for line in shown.screen.buffer.values() for cell in line.values()}
    assert "green" in colours
    assert shown.raw.decode(errors="replace").rindex("\x1b[?25h") > shown.raw.decode(errors="replace").rindex(
        "\x1b[?25l"
    )


async def test_ctrl_c_leaves_the_watch_quietly_and_no_colour_means_none(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    await edge.say(*story.facts()[:6])
    async with terminal(edge, "watch", story.FQDN, NO_COLOR="1") as shown:
        await shown.shows(f"{story.FQDN}  Provisioning")
        colours = {cell.fg for line in shown.screen.buffer.values() for cell in line.values()}
        assert colours == {"default"}
        shown.type("\x03")
        assert await shown.ended() == 1
        assert "Traceback" not in shown.text


async def test_a_request_at_a_terminal_asks_for_what_is_missing_and_never_shows_the_token(
    edge_of: EdgeOf, stand_in: StandIn, tmp_path: Path
) -> None:
    edge = await edge_of()
    keys, taken = SealKeys.generate(TOFU), []

    async def tell_keys(_request: Nothing, _asker: Asker | None) -> KeysReply:
        return KeysReply(service=TOFU, keys=keys.public())

    async def judge(_request: Token, _asker: Asker | None) -> TokenReply:
        return TokenReply(valid=True, can_write=True)

    async def accept(request: Submit, _asker: Asker | None) -> Accepted:
        taken.append(request.body)
        return Accepted(sovereign=story.ID, life=1, run=1, event_id=story.CAUSE)

    await stand_in(answer(KEYS[TOFU], tell_keys), answer(TOKEN, judge), answer(SUBMIT, accept))
    key = tmp_path / "key.pub"
    key.write_text(SSH_KEY)
    async with terminal(edge, "request", "--organisation", "Omantel") as shown:
        for question, typed in (
            ("Name of the Sovereign", story.FQDN),
            ("Region (fsn1", ""),
            ("E-mail address", "a@example.org"),
            ("File with the SSH public key", str(key)),
            ("Hetzner Cloud API token", CLOUD_TOKEN),
        ):
            await shown.shows(question)
            shown.type(typed + "\n")
        await shown.shows("run 1 accepted")
        assert await shown.ended() == 0
    assert CLOUD_TOKEN.encode() not in shown.raw
    assert "Organisation:" not in shown.text, "what a flag gave is not asked"
    body: dict[str, Any] = taken[0]
    assert (body["topology"]["region"], body["domain"]["fqdn"], body["ssh_public_key"]) == ("fsn1", story.FQDN, SSH_KEY)


async def test_the_exit_codes_are_those_that_are_documented_and_a_refusal_is_two_lines(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    await edge.say(story.requested())
    nobody = Edge("http://127.0.0.1:9", edge.bus_of, edge.http, edge.settings)
    for arguments, where, expected in (
        (("list", "--json"), edge, 0),
        (("show", "not a name"), edge, 2),
        (("list",), nobody, 3),
        (("show", "unknown.omani.works"), edge, 4),
    ):
        code, _out, err = await catalyst(where, *arguments)
        assert code == expected, (arguments, err)
        assert expected in (0, 2) or [line[:2] for line in err.splitlines()] == ["ca", "  "], err


async def test_a_shell_completes_commands_and_the_names_of_sovereigns(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    for shell in ("bash", "zsh", "fish"):
        code, out, _err = await catalyst(edge, "completion", shell)
        assert (code, "_CATALYST_COMPLETE" in out) == (0, True)
    intake = await edge.bus_of("intake")
    since = datetime.now(UTC)
    summary = Summary(
        sovereign=story.ID, fqdn=story.FQDN, owner="demo", state="requested", life=1, run=1, since=since, sequence=1
    )
    await intake.kv("state").put(summary_key(story.ID), summary.model_dump_json().encode())
    await edge.say(story.requested())
    for words, number, expected in (
        ("catalyst de", 1, "decommission"),
        (f"catalyst show {story.FQDN[:4]}", 2, story.FQDN),
    ):
        completing = {"_CATALYST_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "catalyst"),
            stdout=asyncio.subprocess.PIPE,
            env={**environment(edge), **completing},
        )
        told, _ = await process.communicate()
        assert told.decode().split() == [f"plain,{expected}"]


def test_every_command_that_answers_something_prints_json() -> None:
    silent = {"backup", "restore", "up", "doctor", "completion", "events", "seal", "proof get", "state pull"}
    without = {
        path
        for path, command in _commands(main, "")
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without <= silent, "each of these prints JSON anyway, or nothing to be read by a program"


def _commands(group: Any, prefix: str) -> Any:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command
