from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("commands", "0020_plain_labels")]
    operations = [
        migrations.AddIndex(
            "command",
            models.Index(
                name="command_latest_of_both", fields=["vehicle", "command_name", "-submitted_at"]
            ),
        ),
        migrations.AddIndex(
            "command",
            models.Index(
                name="command_latest_unsuccessful_of",
                fields=["status", "command_name", "-submitted_at"],
                condition=Q(status__in=["cancelled", "expired", "failed", "timed_out"]),
            ),
        ),
    ]
