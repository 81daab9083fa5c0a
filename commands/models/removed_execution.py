from django.db import models

from commands.models.command import Command


class RemovedExecution(models.Model):
    """Command that a client of the SOVD façade has deleted, so that the façade shows it no more."""

    command = models.OneToOneField(Command, on_delete=models.CASCADE, primary_key=True)

    def __str__(self) -> str:
        return str(self.command_id)
