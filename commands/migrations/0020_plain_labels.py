"""Plain words for a permission and an action of the audit, also in databases that have them."""

from django.db import migrations, models

OLD = "Can send what must not run twice to many vehicles at once"
NEW = "Can send commands that are not safe to repeat to many vehicles at once"


def rename_to(name):
    def rename(apps, schema_editor):
        permissions = apps.get_model("auth", "Permission").objects
        permissions.using(schema_editor.connection.alias).filter(
            content_type__app_label="commands", codename="send_unsafe_to_many"
        ).update(name=name)

    return rename


class Migration(migrations.Migration):
    dependencies = [
        ("commands", "0019_ready_commands"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="batch",
            options={
                "ordering": ["-submitted_at", "-batch_id"],
                "permissions": [("send_unsafe_to_many", NEW)],
                "verbose_name_plural": "batches",
            },
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="action",
            field=models.CharField(
                choices=[
                    ("submit", "Submit"),
                    ("confirm", "Confirm"),
                    ("cancel", "Cancel"),
                    ("log_in", "Log in"),
                    ("log_in_failed", "Failed login"),
                    ("log_out", "Log out"),
                    ("export", "Export"),
                    ("add_vehicle", "Add vehicle"),
                    ("change_vehicle", "Change vehicle"),
                    ("delete_vehicle", "Delete vehicle"),
                    ("test_connection", "Test connection"),
                    ("add_account", "Add service account"),
                    ("revoke_account", "Revoke service account"),
                ],
                max_length=16,
            ),
        ),
        migrations.RunPython(rename_to(NEW), rename_to(OLD)),
    ]
