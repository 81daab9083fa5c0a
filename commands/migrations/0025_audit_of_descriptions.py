"""Descriptions in the audit, and the right of fleet admins to add and delete them."""

from django.db import migrations, models

PERMISSIONS = {
    "add_description": "Can add description",
    "delete_description": "Can delete description",
}


def grant(apps, schema_editor):
    """Give them to fleet admins who may add vehicles."""
    using = schema_editor.connection.alias
    get = lambda app, name: apps.get_model(app, name).objects.using(using)
    content_type, _ = get("contenttypes", "ContentType").get_or_create(
        app_label="vehicles", model="description"
    )
    groups = get("auth", "Group").filter(name="Fleet admins", permissions__codename="add_vehicle")
    for codename, name in PERMISSIONS.items():
        permission, _ = get("auth", "Permission").get_or_create(
            content_type=content_type, codename=codename, defaults={"name": name}
        )
        for group in groups:
            group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("commands", "0024_lifetimes"),
        ("vehicles", "0004_descriptions"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
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
                    ("take_lock", "Take lock"),
                    ("take_over_lock", "Take over lock"),
                    ("release_lock", "Release lock"),
                    ("add_description", "Add description"),
                    ("drop_description", "Delete description"),
                ],
                max_length=16,
            ),
        ),
        migrations.RunPython(grant, migrations.RunPython.noop),
    ]
