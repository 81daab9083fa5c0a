"""Rows and plans for tests of what queries read."""

from django.db import connection


def add_old_commands(times: int, name: str = "ReadDTC") -> None:
    """Add so many completed commands before each one, twelve minutes apart."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO commands_command (command_id, vehicle_id, submitted_by_id, command_name,
                status, command_params, error_code, error_message, submitted_at, completed_at,
                expires_at, last_sequence_number)
            SELECT gen_random_uuid(), vehicle_id, submitted_by_id, %s, 'completed', '{}', '', '',
                submitted_at - number * interval '12 minutes', submitted_at, expires_at, 4
            FROM commands_command, generate_series(1, %s) AS number
            """,
            [name, times],
        )
        cursor.execute("VACUUM ANALYZE commands_command, commands_event, auth_user")


def plan_of(query: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {query}")
        return "\n".join(line for (line,) in cursor.fetchall())
