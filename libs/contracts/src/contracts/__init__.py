"""What is said between the parts of Catalyst Zero: events, questions, errors, and the one catalogue of them."""

from contracts.event import CONTENT_TYPE, About, Event, Fact, Model, derived_id, event_of
from contracts.history import History, Recorded

__all__ = ["CONTENT_TYPE", "About", "Event", "Fact", "History", "Model", "Recorded", "derived_id", "event_of"]
