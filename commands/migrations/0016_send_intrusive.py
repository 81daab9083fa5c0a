"""The right to send intrusive commands, and scans in the index of trouble codes."""

from django.conf import settings
from django.db import migrations, models

PERMISSION = ("send_intrusive", "Can send commands that write to, control or reset ECUs")


def grant(apps, schema_editor):
    """Give it to fleet admins, unless they may no longer send unsafe commands to many vehicles."""
    using = schema_editor.connection.alias
    objects = {
        name: apps.get_model(app, name).objects.using(using)
        for app, name in [
            ("contenttypes", "ContentType"),
            ("auth", "Permission"),
            ("auth", "Group"),
        ]
    }
    content_type, _ = objects["ContentType"].get_or_create(app_label="commands", model="command")
    codename, name = PERMISSION
    permission, _ = objects["Permission"].get_or_create(
        content_type=content_type, codename=codename, defaults={"name": name}
    )
    fleet_admins = objects["Group"].filter(
        name="Fleet admins", permissions__codename="send_unsafe_to_many"
    )
    for group in fleet_admins:
        group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("commands", "0015_audit_of_vehicles"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="command",
            options={"ordering": ["-submitted_at", "-command_id"], "permissions": [PERMISSION]},
        ),
        migrations.RemoveIndex(model_name="command", name="command_trouble_codes"),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                condition=models.Q(
                    ("command_name__in", ["ReadDTC", "ClearDTC", "ScanVehicle"]),
                    ("status", "completed"),
                ),
                fields=["vehicle", "-submitted_at"],
                name="command_trouble_codes",
            ),
        ),
        migrations.RunPython(grant, migrations.RunPython.noop),
    ]
