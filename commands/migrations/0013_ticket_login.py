from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("commands", "0012_claims_and_evidence")]

    operations = [
        migrations.AddField(
            model_name="streamticket",
            name="login",
            # A default of the database: processes of the last version insert without it.
            field=models.CharField(max_length=64, default="", db_default=""),
        ),
    ]
