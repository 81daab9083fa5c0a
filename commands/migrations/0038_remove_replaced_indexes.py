from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("commands", "0037_indexes_of_pending_commands")]
    operations = [
        migrations.RemoveIndex("command", "command_overdue"),
        migrations.RemoveIndex("command", "command_queue_of_user"),
    ]
