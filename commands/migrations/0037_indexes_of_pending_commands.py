from django.db import migrations, models

from commands.database.indexes import AddIndexConcurrently
from commands.database.like import like


class Migration(migrations.Migration):
    """Give two indexes of pending commands conditions that only their own queries repeat."""

    atomic = False
    dependencies = [("commands", "0036_browser_sessions")]
    operations = [
        AddIndexConcurrently(
            "command",
            models.Index(
                name="command_expiring",
                fields=["expires_at"],
                condition=like("status", "pending%"),
            ),
        ),
        AddIndexConcurrently(
            "command",
            models.Index(
                name="command_waiting_of_user",
                fields=["submitted_by", "campaign", "priority", "batch"],
                condition=like("status", "%pending"),
            ),
        ),
    ]
