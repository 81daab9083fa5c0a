"""Groups for who uses the console: a group of one of these names that is there is kept as it is."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

GROUPS = {
    "Operators": ["add_command", "view_vehicle"],
    "Viewers": ["view_command", "view_vehicle"],
    "Fleet admins": [
        "view_command",
        "add_command",
        "view_vehicle",
        "add_vehicle",
        "change_vehicle",
        "send_unsafe_to_many",
        "view_auditentry",
    ],
}
APPS = ("commands", "vehicles")


def make_permissions(apps, using):
    """Django makes them after the last migration: on a new database there are none yet."""
    for label in APPS:
        config = apps.get_app_config(label)
        config.models_module = True  # else it is taken for an app without models
        create_permissions(config, verbosity=0, using=using, apps=apps)
        config.models_module = None


def make_groups(apps, schema_editor):
    using = schema_editor.connection.alias
    make_permissions(apps, using)
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    for name, codenames in GROUPS.items():
        group, is_new = (
            apps.get_model("auth", "Group").objects.using(using).get_or_create(name=name)
        )
        if is_new:
            ours = permissions.filter(content_type__app_label__in=APPS, codename__in=codenames)
            group.permissions.set(ours)


class Migration(migrations.Migration):
    dependencies = [
        ("commands", "0006_append_only_audit"),
        ("vehicles", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
