"""A run in the terminal: feed it events, it draws. Used by ``catalyst watch`` and by the demo.

On a terminal: one line per fact scrolls by above phase bars, the sentence, cloud resources and the kit's table, which
stay. Without one (a file, a pipe, a build log): the same lines, plain, and the sentence when it changes.
"""

from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from catalyst.lines import line, style_of
from contracts.event import Event
from contracts.history import History
from contracts.progress import Progress, view_of
from contracts.view import Phase, View

_MARKS: Final = {
    "done": ("●", "green"),
    "ready": ("●", "green"),
    "working": ("◐", "cyan"),
    "installing": ("◐", "cyan"),
    "degraded": ("▲", "yellow"),
    "failed": ("✕", "red"),
}
_KIT_COLUMNS: Final = 3


def short(elapsed: timedelta) -> str:
    """Minutes and seconds."""
    seconds = max(0, round(elapsed.total_seconds()))
    return f"{seconds // 60}:{seconds % 60:02d}"


class Screen:
    """One Sovereign's run, drawn as it is told."""

    def __init__(self, console: Console, sovereign: str, *, live: bool | None = None, title: str = "") -> None:
        self._console = console
        self._title = title
        self._progress = Progress(sovereign)
        self._phase = ""
        on_terminal = console.is_terminal if live is None else live
        self._live = Live(get_renderable=self._draw, console=console, refresh_per_second=4) if on_terminal else None

    def __enter__(self) -> Self:
        """Begin to draw."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the last picture standing."""
        if self._live is not None:
            self._live.stop()

    @property
    def view(self) -> View:
        """What is known now."""
        return self._progress.view

    def take(self, sequence: int, event: Event[Any]) -> None:
        """One fact; one that was told before changes nothing."""
        if sequence <= self.view.last_sequence:
            return
        self._progress.take(sequence, event)
        self._print(Text(line(event), style=style_of(event)))
        phase = next((phase.name for phase in self.view.phases if phase.mark == "working"), self.view.state)
        if self._live is None and phase != self._phase:
            # Without a picture that stays, the sentence marks where a phase begins; the facts tell the rest.
            self._phase = phase
            self.note(f"          {self.view.sentence}")

    def note(self, text: str) -> None:
        """A line of our own between the facts."""
        self._print(Text(text, style="dim"))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)
        if self._live is None:
            self._console.file.flush()  # a pipe or a log is read while the run goes on

    def _draw(self) -> RenderableType:
        view = self.view
        head = Text.assemble((view.fqdn, "bold"), f"  {view.word} · run {view.run}", (f"  {self._title}", "yellow"))
        now = datetime.now(UTC)
        since = f" ({short(now - view.since)})" if view.since and not view.ended_at else ""
        parts: list[RenderableType] = ["", head, f"{escape(view.sentence)}[dim]{since}[/dim]", phases(view, now)]
        if view.resources_total:
            parts.append(bar("cloud", view.resources_done, view.resources_total))
        if view.releases:
            ready = sum(row.state == "ready" for row in view.releases)
            parts += [bar("kit  ", ready, len(view.releases)), kit(view)]
        if view.trouble is not None:
            parts.append(Text(f"{view.trouble.owner}: {view.trouble.next_step}", style="yellow"))
        return Group(*parts)


def phases(view: View, now: datetime) -> Text:
    """The line of phases with their times."""
    text = Text()
    for phase in view.phases:
        mark, style = _MARKS.get(phase.mark, ("○", "dim"))
        text.append(f"{mark}{phase.name}", style=style)
        text.append(f" {took(phase, now)} " if phase.begun_at else " ", style="dim")
    return text


def took(phase: Phase, now: datetime) -> str:
    """How long a phase took, or has taken."""
    return short((phase.ended_at or now) - phase.begun_at) if phase.begun_at else ""


def bar(name: str, done: int, total: int, *, width: int = 30) -> Text:
    """A progress bar in characters, so that it works everywhere."""
    filled = width * min(done, total) // max(total, 1)
    return Text.assemble(f"{name} ", ("━" * filled, "green"), ("━" * (width - filled), "dim"), f" {done}/{total}")


def kit(view: View) -> Table:
    """The kit's releases, a few to a row."""
    table = Table.grid(padding=(0, 2))
    cells = []
    for row in view.releases:
        mark, style = _MARKS.get(row.state, ("○", "dim"))
        waits = f" ← {row.blocked_by.rsplit('/', 1)[-1].removeprefix('bp-')}" if row.blocked_by else ""
        cells.append(Text.assemble((f"{mark} ", style), row.component, (f" {row.version}{waits}", "dim")))
    for start in range(0, len(cells), _KIT_COLUMNS):
        table.add_row(*cells[start : start + _KIT_COLUMNS])
    return table


def views_by_run(history: History) -> list[View]:
    """What was to be seen at the end of each run."""
    runs = sorted({item.event.run for item in history.recorded})
    return [
        view_of(history.sovereign, ((i.sequence, i.event) for i in history.recorded if i.event.run <= run))
        for run in runs
    ]


def summary(view: View, *, now: datetime | None = None) -> list[str]:
    """What to say at the end of a run: durations per phase, calls, events, cost, addresses."""
    at = now or datetime.now(UTC)
    found = [f"{view.fqdn}: {view.word}. {view.sentence}"]
    times = [f"{phase.name} {took(phase, at)}" for phase in view.phases if phase.begun_at and phase.mark != "waiting"]
    found.append(f"phases: {', '.join(times)}")
    total = short((view.ended_at or at) - view.begun_at) if view.begun_at else "-"
    found.append(f"total {total}, {view.events} events, {view.cloud_calls} calls to the cloud")
    if view.cost is not None:
        sample = " (sample prices)" if view.cost.sample_prices else ""
        found.append(f"cost {view.cost.monthly} {view.cost.currency} a month{sample}")
    found += [f"{url.name}: {url.url}" for url in view.urls]
    if view.trouble is not None:
        found.append(f"{view.trouble.code} (owner: {view.trouble.owner}): {view.trouble.next_step}")
    return found
