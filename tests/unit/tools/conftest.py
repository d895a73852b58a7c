"""Small worlds for the tool box: an empty cache, a release server on loopback, programs that are shell scripts."""

import hashlib
import io
import os
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.tools.toolset.manifest import GoBuild, Manifest, Release, Tool
from deploy.tools.toolset.places import Cache
from deploy.tools.toolset.progress import Progress
from deploy.tools.toolset.sources import Sources

WIDGET = "#!/bin/sh\necho Widget 2.0.1\n"


class Files(ThreadingHTTPServer):
    """Serves what it is given, counts what it is asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FileHandler)
        self.content: dict[str, bytes] = {}
        self.lengths: dict[str, int] = {}
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def publish(self, archive: bytes, checksum: str | None = None) -> None:
        self.content["/widget.zip"] = archive
        digest = checksum or hashlib.sha256(archive).hexdigest()
        self.content["/SHA256SUMS"] = f"{digest}  widget.zip\n".encode()


class FileHandler(BaseHTTPRequestHandler):
    server: Files

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        body = self.server.content.get(self.path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(self.server.lengths.get(self.path, len(body or b""))))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture
def files() -> Iterator[Files]:
    with Files() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@contextmanager
def silent_host(greeting: bytes = b"") -> Iterator[str]:
    """A host that accepts and then says nothing, or no more than a greeting."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def accept() -> None:
            held = []
            while not ended.is_set():
                try:
                    held.append(listener.accept()[0])
                    held[-1].sendall(greeting)
                except OSError:
                    break
            for connection in held:
                connection.close()

        accepting = threading.Thread(target=accept)
        accepting.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


@pytest.fixture
def unreachable() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def progress() -> tuple[Progress, io.StringIO]:
    out = io.StringIO()
    return Progress(out), out


def widget(address: str = "http://127.0.0.1:1", *, go: GoBuild | bool = False, **changes: object) -> Tool:
    values: dict[str, object] = {
        "name": "widget",
        "version": "2.0.1",
        "what": "stands for any tool",
        "sets": ["demo"],
        "program": "widget",
        "asks": ["version"],
        "says": "Widget ([0-9.]+)",
        "release": Release(archive=f"{address}/widget.zip", checksums=f"{address}/SHA256SUMS", member="widget"),
        "go": GoBuild(package="example.invalid/widget") if go is True else go or None,
    }
    return Tool(**{**values, **changes})  # type: ignore[arg-type]


def go_tool() -> Tool:
    return Tool(
        name="go",
        version="1.26.0",
        accept="at-least",
        what="",
        sets=["builder"],
        program="go",
        place="go",
        asks=["version"],
        says="go version go([0-9.]+)",
    )


def zipped(text: str = WIDGET) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        # ZipInfo's own date is fixed: an archive made a second later is the same, byte for byte.
        archive.writestr(zipfile.ZipInfo("widget-2.0.1/README.md"), "about")
        archive.writestr(zipfile.ZipInfo("widget-2.0.1/widget"), text)
    return content.getvalue()


def program(folder: Path, name: str, text: str) -> Path:
    """Write a shell script that stands for a program."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def path_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "on-path"
    folder.mkdir()
    return folder


@pytest.fixture
def box(cache: Cache, progress: tuple[Progress, io.StringIO], path_folder: Path) -> Callable[..., Sources]:
    wrappers = cache.root.parent / "wrappers"
    (wrappers / "widget").mkdir(parents=True)

    def made(*tools: Tool, uv: Path | None = None) -> Sources:
        return Sources(
            manifest=Manifest(tools={tool.name: tool for tool in tools}, documents={}),
            cache=cache,
            environment=cache.environment({"PATH": f"{path_folder}:{os.defpath}", "HOME": str(cache.root)}),
            progress=progress[0],
            wrappers=wrappers,
            uv=lambda: uv or pytest.fail("no wheel is asked for here"),
        )

    return made
