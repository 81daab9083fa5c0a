"""Entries of the audit can be added, and neither changed nor deleted: on Postgres, for everybody
but who may drop the trigger or truncate the table. (SQLite has one user, who may do anything; and
there tests empty tables by DELETE.)
"""

from django.db import migrations

# `insufficient_privilege`: what it raises of itself would look like a database that is away.
MAKE = """
CREATE FUNCTION commands_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE insufficient_privilege USING MESSAGE = 'the audit is append-only: no ' || TG_OP;
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON commands_auditentry
FOR EACH STATEMENT EXECUTE FUNCTION commands_audit_is_append_only();
"""
DROP = """
DROP TRIGGER audit_is_append_only ON commands_auditentry;
DROP FUNCTION commands_audit_is_append_only();
"""


def on_postgres(sql):
    def execute(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(sql)

    return execute


class Migration(migrations.Migration):
    dependencies = [("commands", "0005_batches_and_audit")]

    operations = [migrations.RunPython(on_postgres(MAKE), on_postgres(DROP))]
