"""Refuse the change of a row of the audit, and not every UPDATE.

`loaddata` sends an UPDATE for each row before it inserts it: that one changes nothing.
"""

from django.db import migrations

MAKE = """
CREATE OR REPLACE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON commands_auditentry
FOR EACH {} EXECUTE FUNCTION commands_audit_is_append_only();
"""


def on_postgres(sql):
    def execute(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(sql)

    return execute


class Migration(migrations.Migration):
    dependencies = [("commands", "0009_indexes_of_lists")]

    operations = [
        migrations.RunPython(on_postgres(MAKE.format("ROW")), on_postgres(MAKE.format("STATEMENT")))
    ]
