from django.db import models
from django.db.models.functions import Now

from vehicles import strict_json


class Action(models.TextChoices):
    SUBMIT = "submit"
    CONFIRM = "confirm"
    CANCEL = "cancel"
    LOG_IN = "log_in", "Log in"
    LOG_IN_FAILED = "log_in_failed", "Failed login"
    LOG_OUT = "log_out", "Log out"
    CHANGE_ACCOUNT = "change_account", "Change own account"
    CHANGE_PASSWORD = "change_password", "Change password"
    EXPORT = "export"
    ADD_VEHICLE = "add_vehicle", "Add vehicle"
    CHANGE_VEHICLE = "change_vehicle", "Change vehicle"
    DELETE_VEHICLE = "delete_vehicle", "Delete vehicle"
    RETIRE_VEHICLE = "retire_vehicle", "Retire vehicle"
    RESTORE_VEHICLE = "restore_vehicle", "Restore vehicle"
    TEST_CONNECTION = "test_connection", "Test connection"
    ADD_ACCOUNT = "add_account", "Add service account"
    REVOKE_ACCOUNT = "revoke_account", "Revoke service account"
    TAKE_LOCK = "take_lock", "Take lock"
    TAKE_OVER_LOCK = "take_over_lock", "Take over lock"
    RELEASE_LOCK = "release_lock", "Release lock"
    ADD_DESCRIPTION = "add_description", "Add description"
    DELETE_DESCRIPTION = "drop_description", "Delete description"
    WRITE_CAMPAIGN = "write_campaign", "Write campaign"
    APPROVE = "approve"
    PAUSE = "pause"
    RESUME = "resume"
    BEGIN_WAVE = "begin_wave", "Begin wave"
    ADD_NOTE = "add_note", "Add note"
    DELETE_NOTE = "delete_note", "Delete note"
    END_CAMPAIGN = "end_campaign", "End campaign"
    ADD_WEBHOOK = "add_webhook", "Add webhook"
    CHANGE_WEBHOOK = "change_webhook", "Change webhook"
    DELETE_WEBHOOK = "delete_webhook", "Delete webhook"
    ROTATE_SECRET = "rotate_secret", "Replace webhook secret"
    DISABLE_WEBHOOK = "disable_webhook", "Disable webhook"


class AuditEntry(models.Model):
    """Record of a user's action. Append-only; without foreign keys, to outlive its subject."""

    at = models.DateTimeField(db_default=Now())
    username = models.CharField(max_length=150)  # or a digest: see commands/audit.py
    user_id = models.BigIntegerField("user ID", null=True)
    action = models.CharField(max_length=16, choices=Action)
    subject = models.CharField(max_length=100, blank=True)  # the ID of a command, batch or vehicle
    details = models.JSONField(default=dict, decoder=strict_json.Decoder)
    address = models.GenericIPAddressField("IP address", null=True)

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-id"]
        indexes = [
            # Read by the search and the filters of the admin.
            models.Index(name="audit_latest", fields=["-at"]),
            models.Index(name="audit_of_user", fields=["username", "-id"]),
            models.Index(name="audit_of_action", fields=["action", "-id"]),
            models.Index(name="audit_of_subject", fields=["subject", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.username}: {self.action} {self.subject}".strip()
