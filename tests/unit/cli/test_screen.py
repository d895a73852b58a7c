import io

from rich.console import Console

from catalyst.lines import words
from catalyst.screen import Screen, views_by_run
from contracts.dns import DnsDelegated, ServerSays
from contracts.history import History, Recorded
from tests.unit.gateway import story


def test_without_a_terminal_each_phase_begins_with_a_sentence_and_no_fact_repeats_it() -> None:
    output = io.StringIO()
    with Screen(Console(file=output, width=200), story.ID) as screen:
        for sequence, event in story.events():
            screen.take(sequence, event)
            screen.take(sequence, event)
    lines = output.getvalue().splitlines()
    sentences = [line.strip() for line in lines if line.startswith(" ")]
    assert len(lines) - len(sentences) == len(story.facts())
    assert sentences[0] == f"Reserving {story.FQDN}."
    assert len([line for line in sentences if line.startswith("Installing the kit")]) == 1


def test_each_run_has_a_summary_of_its_own_and_a_repeat_installs_nothing_again() -> None:
    first = story.events()
    again = story.events(story.requested(), *story.dns_and_cloud(), run=2)
    recorded = [*first, *((len(first) + sequence, event) for sequence, event in again)]
    history = History(story.ID, tuple(Recorded(sequence, event) for sequence, event in recorded))
    before, after = views_by_run(history)
    assert (before.run, before.cloud_calls, after.run, after.cloud_calls) == (1, 42, 2, 42)
    assert after.sentence == "Everything is installed; checking the addresses from outside."


def test_a_delegation_says_who_is_parent_and_who_is_child() -> None:
    says = (
        ServerSays(server="ns1.parent", side="parent", verdict="agrees"),
        ServerSays(server="ns1.child", side="child", verdict="agrees"),
        ServerSays(server="ns2.child", side="child", verdict="agrees"),
    )
    assert words(DnsDelegated(servers=says)) == "parent: ns1.parent agrees; child: ns1.child agrees, ns2.child agrees"
