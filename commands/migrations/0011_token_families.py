import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("commands", "0010_audit_trigger_per_row"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="TokenFamily",
            fields=[
                (
                    "family_id",
                    models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False),
                ),
                ("latest", models.CharField(max_length=32)),
                ("password_digest", models.CharField(max_length=64)),
                ("expires_at", models.DateTimeField()),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "token families",
                "indexes": [models.Index(fields=["expires_at"], name="token_family_age")],
            },
        ),
        # The table stays: processes of the last version still ask for it until they are replaced.
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.DeleteModel(name="UsedToken")]
        ),
    ]
