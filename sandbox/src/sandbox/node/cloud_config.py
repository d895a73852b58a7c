"""User data as cloud-init reads it, as far as servers of ours use it: files to write and commands to run.

Like cloud-init, a document that cannot be read is no reason for the server not to start: it starts and does nothing,
and only its console says why.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import yaml

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LARGEST_FILE: Final = 4 * 1024 * 1024
_MODES: Final = 0o7777


class Unreadable(Exception):
    """User data that cloud-init would pass over, with the reason for the console."""


@dataclass(frozen=True, slots=True)
class File:
    """One entry of `write_files`."""

    path: PurePosixPath
    content: bytes
    mode: int
    append: bool


@dataclass(frozen=True, slots=True)
class CloudConfig:
    """What a server does at its first boot."""

    hostname: str
    files: tuple[File, ...]
    commands: tuple[tuple[str, ...], ...]


def read(user_data: str) -> CloudConfig:
    """Read a cloud-config document."""
    first, _, _ = user_data.partition("\n")
    if first.strip() != "#cloud-config":
        raise Unreadable(f"the user data is no cloud-config: it begins with {first[:40]!r}")
    try:
        document = yaml.load(user_data, Loader=_LOADER)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Unreadable(f"the user data is no YAML: {error}") from error
    if not isinstance(document, dict):
        raise Unreadable("the user data is no mapping")
    return CloudConfig(
        hostname=_text(document.get("hostname", "")),
        files=tuple(_file(entry) for entry in _list(document, "write_files")),
        commands=tuple(_command(entry) for entry in _list(document, "runcmd")),
    )


def _list(document: dict[str, Any], name: str) -> list[Any]:
    value = document.get(name) or []
    if not isinstance(value, list):
        raise Unreadable(f"{name} is no list")
    return value


def _file(entry: Any) -> File:
    if not isinstance(entry, dict) or "path" not in entry:
        raise Unreadable("an entry of write_files has no path")
    path = PurePosixPath(_text(entry["path"]))
    if not path.is_absolute() or ".." in path.parts or path == PurePosixPath("/"):
        raise Unreadable(f"write_files: {path} is not an absolute path of a file")
    try:
        mode = int(_text(entry.get("permissions", "0644")), 8)
        if mode & ~_MODES:
            raise ValueError(f"{mode:o} are no permissions")
        content = _decoded(entry.get("content", ""), _text(entry.get("encoding", "text/plain")))
    except (ValueError, OSError, EOFError, zlib.error, binascii.Error) as error:
        raise Unreadable(f"write_files: {path}: {error}") from error
    return File(path, content, mode, append=bool(entry.get("append")))


def _decoded(content: Any, encoding: str) -> bytes:
    data = content if isinstance(content, bytes) else _text(content).encode()
    steps = {
        "gz": ("gzip",),
        "gzip": ("gzip",),
        "b64": ("base64",),
        "base64": ("base64",),
        "gz+base64": ("base64", "gzip"),
        "gzip+base64": ("base64", "gzip"),
        "gz+b64": ("base64", "gzip"),
        "gzip+b64": ("base64", "gzip"),
        "text/plain": (),
    }.get(encoding.lower())
    if steps is None:
        raise ValueError(f"unknown encoding {encoding}")
    for step in steps:
        data = base64.b64decode(data, validate=True) if step == "base64" else _unpacked(data)
    return data


def _unpacked(data: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
        content = packed.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise ValueError("the file is too large")
    return content


def _command(entry: Any) -> tuple[str, ...]:
    if isinstance(entry, str):
        return ("/bin/sh", "-c", entry)
    if not isinstance(entry, list) or not entry:
        raise Unreadable("an entry of runcmd is neither text nor a list")
    return tuple(_text(part) for part in entry)


def _text(value: Any) -> str:
    """A scalar as text. Nothing else is turned into text: a few aliases would make gigabytes of it."""
    if isinstance(value, bytes) or not isinstance(value, str | int | float):
        raise Unreadable(f"a {type(value).__name__} stands where text belongs")
    text = str(value)
    if "\0" in text:
        raise Unreadable("a text holds a zero character")
    return text
