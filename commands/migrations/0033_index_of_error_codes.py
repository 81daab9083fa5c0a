from django.db import migrations, models
from django.db.models import Q

from commands.database.indexes import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("commands", "0032_own_account")]
    operations = [
        AddIndexConcurrently(
            "command",
            models.Index(
                name="command_latest_of_error",
                fields=["error_code", "-submitted_at"],
                condition=~Q(error_code=""),
            ),
        ),
    ]
