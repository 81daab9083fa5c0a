from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from commands.models.campaign import Campaign
from commands.models.command import Command


class SubmissionKey(models.Model):
    """Name that a client gives to one submission. See `commands/api/idempotency.py`."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)  # of the payload: SHA-256 in hexadecimal
    response = models.TextField(blank=True)  # the JSON of the first response
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.key} of {self.user_id}"


class IdempotencyKey(SubmissionKey):
    """Name of a submission of commands: the first of them has it."""

    command = models.OneToOneField(Command, on_delete=models.CASCADE, primary_key=True)

    class Meta:
        constraints = [models.UniqueConstraint(name="one_command_per_key", fields=["user", "key"])]
        # Read by the sweep.
        indexes = [models.Index(name="idempotency_key_age", fields=["created_at"])]


class CampaignKey(SubmissionKey):
    """Name of the submission of a campaign."""

    campaign = models.OneToOneField(Campaign, on_delete=models.CASCADE, primary_key=True)

    class Meta:
        constraints = [models.UniqueConstraint(name="one_campaign_per_key", fields=["user", "key"])]
        # Read by the sweep.
        indexes = [models.Index(name="campaign_key_age", fields=["created_at"])]
