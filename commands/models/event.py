from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from commands.models.command import Command
from vehicles import strict_json


class Kind(models.TextChoices):
    STATUS = "status"
    RESPONSE = "response"
    ERROR = "error"


class EventQuerySet(models.QuerySet["Event"]):
    def after(self, sequence_number: int) -> EventQuerySet:
        return self.filter(sequence_number__gt=sequence_number).order_by("sequence_number")

    def current_responses(self) -> EventQuerySet:
        """Return the responses that count: those since their command was last claimed."""
        since = models.F("command__claim_sequence_number")
        return self.filter(kind=Kind.RESPONSE, sequence_number__gt=since)


class Event(models.Model):
    """Entry in the event log of a command. The log is append-only, and all that streams send."""

    command = models.ForeignKey(
        Command, on_delete=models.CASCADE, related_name="events", db_index=False
    )
    sequence_number = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=Kind)
    payload = models.JSONField(decoder=strict_json.Decoder)
    created_at = models.DateTimeField(db_default=Now())

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["command", "sequence_number"]
        constraints = [
            models.UniqueConstraint(
                name="event_sequence_number_is_unique", fields=["command", "sequence_number"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.sequence_number} of {self.command_id}"
