"""Schema documents: npm carries them, the pinned integrity decides."""

import base64
import dataclasses
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from deploy.tools.toolset.documents import NoDocumentError, held, obtain
from deploy.tools.toolset.manifest import Document
from deploy.tools.toolset.places import Cache
from deploy.tools.toolset.progress import Progress

from .conftest import program


def packed(names: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in names.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return content.getvalue()


def document(archive: bytes) -> Document:
    digest = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    return Document(
        name="schema",
        version="1.0.0",
        what="a schema",
        package="@example/schema",
        integrity=f"sha512-{digest}",
        file="schemas/one.json",
        variable="CATALYST_ONE",
    )


def npm_that_gives(tmp_path: Path, archive: bytes) -> Path:
    (tmp_path / "archive").write_bytes(archive)
    asked = f'echo "$@" >> {tmp_path}/asked'
    return program(tmp_path, "npm", f"#!/bin/sh\n{asked}\ncp {tmp_path}/archive example-schema-1.0.0.tgz\n")


GOOD = packed({"package/schemas/one.json": "{}", "package/package.json": "{}"})


def test_a_document_is_fetched_once_by_its_pinned_version(
    tmp_path: Path, cache: Cache, progress: tuple[Progress, io.StringIO]
) -> None:
    npm = npm_that_gives(tmp_path, GOOD)
    for _ in range(2):
        path = obtain(document(GOOD), cache, {"PATH": "/usr/bin:/bin"}, progress[0], lambda: npm)
        assert path.read_text() == "{}"
    assert (tmp_path / "asked").read_text() == "pack --loglevel=error --ignore-scripts @example/schema@1.0.0\n"


def test_a_document_with_another_integrity_is_refused_and_not_kept(
    tmp_path: Path, cache: Cache, progress: tuple[Progress, io.StringIO]
) -> None:
    npm = npm_that_gives(tmp_path, packed({"package/schemas/one.json": "[]"}))
    with pytest.raises(NoDocumentError, match=r"has integrity sha512-.* pinned is sha512-.*: refused"):
        obtain(document(GOOD), cache, {"PATH": "/usr/bin:/bin"}, progress[0], lambda: npm)
    assert held(document(GOOD), cache) is None
    assert list(cache.documents.iterdir()) == []


def test_an_entry_that_points_outside_is_not_unpacked(
    tmp_path: Path, cache: Cache, progress: tuple[Progress, io.StringIO]
) -> None:
    sly = packed({"package/schemas/one.json": "{}", "package/../../../escaped": "x", "package//etc/x": "x"})
    npm = npm_that_gives(tmp_path, sly)
    obtain(document(sly), cache, {"PATH": "/usr/bin:/bin"}, progress[0], lambda: npm)
    kept = cache.document("schema", "1.0.0")
    assert [path for path in kept.rglob("*") if path.is_file()] == [kept / "schemas/one.json"]
    assert not list(tmp_path.rglob("escaped"))


def test_a_package_that_needs_others_is_installed_by_its_lock(
    tmp_path: Path, cache: Cache, progress: tuple[Progress, io.StringIO]
) -> None:
    index = "node_modules/oidc-provider/lib/index.js"
    wanted = dataclasses.replace(document(GOOD), integrity="", lock="oidc-provider", file=index)
    script = (
        f'echo "$@" >> {tmp_path}/asked\nmkdir -p $(dirname {index}) && grep -c integrity package-lock.json > {index}\n'
    )
    npm = program(tmp_path, "npm", f"#!/bin/sh\n{script}")
    path = obtain(wanted, cache, {"PATH": "/usr/bin:/bin"}, progress[0], lambda: npm)
    assert int(path.read_text()) > 1
    assert (tmp_path / "asked").read_text() == "ci --loglevel=error --ignore-scripts --no-audit --no-fund\n"
    nothing = program(tmp_path, "npm", "#!/bin/sh\n")
    with pytest.raises(NoDocumentError, match="holds no"):
        obtain(
            dataclasses.replace(wanted, name="other"), cache, {"PATH": "/usr/bin:/bin"}, progress[0], lambda: nothing
        )
