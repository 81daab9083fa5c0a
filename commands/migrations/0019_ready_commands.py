from django.db import migrations, models
from django.db.models import Q

# The first command in line of each vehicle.
MARK = """
    UPDATE commands_command SET is_ready = true
    WHERE status = 'pending' AND NOT EXISTS (
        SELECT 1 FROM commands_command AS earlier
        WHERE earlier.vehicle_id = commands_command.vehicle_id AND earlier.status = 'pending'
            AND (earlier.submitted_at, earlier.command_id)
                < (commands_command.submitted_at, commands_command.command_id)
    )
"""


class Migration(migrations.Migration):
    dependencies = [("commands", "0018_service_accounts")]
    operations = [
        migrations.AddField(
            "command", "is_ready", models.BooleanField(default=False, db_default=False)
        ),
        migrations.RunSQL(MARK, migrations.RunSQL.noop),
        migrations.RemoveIndex("command", "command_turns"),
        migrations.RemoveIndex("command", "command_vehicle_queue"),
        migrations.AddIndex(
            "command",
            models.Index(
                name="command_ready", fields=["turn", "command_id"], condition=Q(is_ready=True)
            ),
        ),
        migrations.AddIndex(
            "command",
            models.Index(
                name="command_vehicle_queue",
                fields=["vehicle", "submitted_at", "command_id"],
                condition=Q(status__range=("pending", "pending")),
            ),
        ),
    ]
