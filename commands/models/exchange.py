from django.db import models

from commands.models.command import Command


class Exchange(models.Model):
    """Request to a real vehicle and its response: the evidence behind an outcome."""

    command = models.ForeignKey(
        Command, on_delete=models.CASCADE, related_name="exchanges", db_index=False
    )
    ecu_address = models.CharField("ECU address", max_length=6)
    service = models.CharField(max_length=64)
    request = models.TextField()
    response = models.TextField(null=True)  # none came
    nrc = models.CharField("NRC", max_length=4, null=True)  # there was none
    nrc_name = models.CharField("NRC name", max_length=64, blank=True)
    pending_count = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    duration_ms = models.FloatField()
    # The number of the first event that it led to.
    sequence_number = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            # Read by the evidence of a command.
            models.Index(name="exchange_of_command", fields=["command", "id"]),
        ]

    def __str__(self) -> str:
        return f"{self.service} of {self.command_id}"
