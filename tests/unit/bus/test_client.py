"""Our reading of headers gives what the client's own gives, for anything that may come."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nats.aio.client import Client as Original

from bus.client import Client

BLOCK = st.lists(
    st.tuples(st.binary(max_size=12), st.sampled_from([b":", b": ", b":\t", b""]), st.binary(max_size=20)), max_size=6
).map(lambda rows: b"\r\n".join(b"".join(row) for row in rows) + b"\r\n\r\n")


@given(st.one_of(BLOCK, st.binary(max_size=80)))
@example(b"Nats-Sequence: 7\r\nNats-Subject:tofu.applied.x\r\nNats-Time-Stamp: 2026-11-26T01:02:03.4Z\r\n\r\n")
@example(b"a b: 1\r\n\x1cc: 2\r\n: 3\r\n\xffd: 4\r\ne: \xff\r\n")
def test_headers_are_read_as_the_client_reads_them(raw: bytes) -> None:
    assert Client._parse_header_lines(raw) == Original._parse_header_lines(raw)


def test_the_part_that_is_replaced_is_still_what_the_client_calls() -> None:
    if "_parse_header_lines" not in vars(Original):
        pytest.fail("the client reads headers elsewhere now: bus.client replaces nothing any more")
