"""The token bucket, on a clock of its own."""

from sandbox.hetzner.rate import Bucket


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_empties_the_bucket_and_time_fills_it_up_to_its_limit() -> None:
    clock = Clock()
    bucket = Bucket(limit=3, per_second=0.5, clock=clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.now += 2
    assert bucket.remaining == 1
    assert [bucket.take() for _ in range(2)] == [True, False]
    clock.now += 1000
    assert bucket.remaining == 3


def test_a_raised_limit_is_there_at_once_and_somebody_elses_calls_can_be_played() -> None:
    bucket = Bucket(limit=2, per_second=0.0, clock=Clock())
    bucket.take()
    bucket.set(limit=5)
    assert bucket.remaining == 4
    bucket.set(remaining=0)
    assert not bucket.take()
    headers = bucket.headers()
    assert (headers["RateLimit-Limit"], headers["RateLimit-Remaining"]) == ("5", "0")
