import base64
import gzip

import pytest

from sandbox.node.cloud_config import Unreadable, read


def packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("gz+b64", packed(b"hello\n")),
        ("gzip+base64", packed(b"hello\n")),
        ("b64", base64.b64encode(b"hello\n").decode()),
        ("text/plain", '"hello\\n"'),
    ],
)
def test_a_file_is_read_in_each_encoding(encoding: str, content: str) -> None:
    entry = f"{{path: /etc/x, permissions: '0600', encoding: {encoding}, content: {content}}}"
    text = f"#cloud-config\nwrite_files: [{entry}]\n"
    (file,) = read(text).files
    assert (str(file.path), file.content, file.mode) == ("/etc/x", b"hello\n", 0o600)


def test_commands_keep_their_words() -> None:
    config = read('#cloud-config\nhostname: a\nruncmd: [[/bin/bash, /opt/boot, "two words"], "echo line"]\n')
    assert config.hostname == "a"
    assert config.commands == (("/bin/bash", "/opt/boot", "two words"), ("/bin/sh", "-c", "echo line"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#!/bin/bash\necho", "is no cloud-config"),
        ("#cloud-config\n- a\n", "is no mapping"),
        ("#cloud-config\na: [\n", "is no YAML"),
        ("#cloud-config\nruncmd: yes\n", "is no list"),
        ("#cloud-config\nruncmd: [{}]\n", "neither text nor a list"),
        ("#cloud-config\nwrite_files: [{content: x}]\n", "has no path"),
        ("#cloud-config\nwrite_files: [{path: etc/x}]\n", "is not an absolute path"),
        ("#cloud-config\nwrite_files: [{path: /etc/../../x}]\n", "is not an absolute path"),
        ("#cloud-config\nwrite_files: [{path: /x, encoding: rot13}]\n", "unknown encoding"),
        ("#cloud-config\nwrite_files: [{path: /x, encoding: b64, content: '!'}]\n", "/x"),
        ("#cloud-config\nwrite_files: [{path: /x, encoding: gz+b64, content: aGVsbG8=}]\n", "/x"),
        ("#cloud-config\nwrite_files: [{path: /x, permissions: rw}]\n", "/x"),
        ("#cloud-config\nwrite_files: [{path: /x, permissions: '77777777'}]\n", "are no permissions"),
        ("#cloud-config\nwrite_files: [{path: /, content: x}]\n", "is not an absolute path"),
        ('#cloud-config\nwrite_files: [{path: "/x\\0y", content: x}]\n', "zero character"),
        ('#cloud-config\nruncmd: [[/bin/bash, "\\0"]]\n', "zero character"),
        ("#cloud-config\na: &a [x, x]\nruncmd: [[*a, *a]]\n", "a list stands where text belongs"),
        ("#cloud-config\nruncmd: " + "[" * 20_000, "is no YAML"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read(text)


def test_a_file_that_unpacks_to_more_than_a_server_takes_is_refused() -> None:
    bomb = packed(bytes(5 * 1024 * 1024))
    with pytest.raises(Unreadable, match="too large"):
        read(f"#cloud-config\nwrite_files: [{{path: /x, encoding: gz+b64, content: {bomb}}}]\n")
