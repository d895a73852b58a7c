"""Where a real cluster fetches from: one Git repository and any number of chart repositories, by HTTP on loopback.

Git is spoken by the git program itself (its smart protocol; Flux refuses the dumb one). Charts are plain archives with
an index, made of ready manifests: nothing is templated. What is said to be missing answers 404.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import tarfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import yaml
from aiohttp import web

from sandbox.real.plane import LOOPBACK

BRANCH: Final = "main"
GIT: Final = "git"
"""The path of the Git repository below the origin's address."""
_SERVICE: Final = "git-upload-pack"
_ASKED_BYTES: Final = 1024 * 1024


class GitFailed(Exception):
    """The git program refused; the message is its own."""


class Origin:
    """One server of sources."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.url = ""
        self.missing: set[str] = set()
        """First parts of paths that answer 404: ``git``, or the name of a chart repository."""
        self._charts: dict[str, dict[tuple[str, str], bytes]] = {}

    @property
    def git_url(self) -> str:
        """Where the repository is cloned from."""
        return f"{self.url}/{GIT}"

    async def commit(self, folder: Path) -> str:
        """Make the branch hold what lies in a folder; the commit's id."""
        if not self._repository.exists():
            await self._git("init", "--quiet", "--bare", f"--initial-branch={BRANCH}", self._repository)
        at = (f"--git-dir={self._repository}", f"--work-tree={folder}")
        await self._git(*at, "add", "--all")
        await self._git(*at, "commit", "--quiet", "--allow-empty", "--message=What the folder holds")
        return (await self._git(*at, "rev-parse", "HEAD")).decode().strip()

    def publish(self, repository: str, name: str, version: str, manifests: Sequence[Mapping[str, Any]]) -> None:
        """Offer a chart that installs these manifests; one of the same version is replaced."""
        self._charts.setdefault(repository, {})[(name, version)] = packed(name, version, manifests)

    async def _git(self, *words: str | Path, data: bytes = b"") -> bytes:
        person = {"NAME": "sandbox", "EMAIL": "sandbox@example.test"}
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.directory),
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{role}_{name}": value for role in ("AUTHOR", "COMMITTER") for name, value in person.items()},
        }
        process = await asyncio.create_subprocess_exec(
            "git",
            *map(str, words),
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(data)
        if process.returncode:
            raise GitFailed(f"git {words[0]}: {err.decode(errors='replace').strip()}")
        return out

    @property
    def _repository(self) -> Path:
        return self.directory / "kit.git"

    # What the controllers ask.

    async def references(self, request: web.Request) -> web.Response:
        """The first half of a fetch: which commits there are."""
        if GIT in self.missing or request.query.get("service") != _SERVICE:
            raise web.HTTPNotFound
        listed = await self._git("upload-pack", "--stateless-rpc", "--advertise-refs", self._repository)
        head = f"# service={_SERVICE}\n"
        body = f"{len(head) + 4:04x}{head}0000".encode() + listed
        return web.Response(body=body, content_type=f"application/x-{_SERVICE}-advertisement")

    async def objects(self, request: web.Request) -> web.Response:
        """The second half: the objects themselves."""
        if GIT in self.missing:
            raise web.HTTPNotFound
        pack = await self._git("upload-pack", "--stateless-rpc", self._repository, data=await request.read())
        return web.Response(body=pack, content_type=f"application/x-{_SERVICE}-result")

    async def index(self, request: web.Request) -> web.Response:
        """A chart repository's index."""
        charts = self._repository_of(request)
        entries: dict[str, list[dict[str, Any]]] = {}
        for (name, version), archive in charts.items():
            digest = hashlib.sha256(archive).hexdigest()
            row = {"apiVersion": "v2", "name": name, "version": version, "digest": digest}
            entries.setdefault(name, []).append({**row, "urls": [f"{name}-{version}.tgz"]})
        return web.Response(text=yaml.safe_dump({"apiVersion": "v1", "entries": entries}))

    async def archive(self, request: web.Request) -> web.Response:
        """One chart."""
        wanted = request.match_info["file"]
        for (name, version), archive in self._repository_of(request).items():
            if wanted == f"{name}-{version}.tgz":
                return web.Response(body=archive, content_type="application/gzip")
        raise web.HTTPNotFound

    def _repository_of(self, request: web.Request) -> dict[tuple[str, str], bytes]:
        name = request.match_info["repository"]
        if name in self.missing or name not in self._charts:
            raise web.HTTPNotFound
        return self._charts[name]


def packed(name: str, version: str, manifests: Sequence[Mapping[str, Any]]) -> bytes:
    """A chart's archive."""
    described = {"apiVersion": "v2", "name": name, "version": version, "appVersion": version}
    files = {
        "Chart.yaml": yaml.safe_dump(described),
        "templates/all.yaml": yaml.safe_dump_all(manifests, explicit_start=True),
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for path, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


@asynccontextmanager
async def origin(directory: Path) -> AsyncIterator[Origin]:
    """An origin that serves for as long as the block lasts."""
    made = Origin(directory)
    app = web.Application(client_max_size=_ASKED_BYTES)
    app.add_routes(
        [
            web.get(f"/{GIT}/info/refs", made.references),
            web.post(f"/{GIT}/{_SERVICE}", made.objects),
            web.get("/charts/{repository}/index.yaml", made.index),
            web.get("/charts/{repository}/{file}", made.archive),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, 0)
        await site.start()
        made.url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()
