from django.apps import AppConfig


class CommandsConfig(AppConfig):
    name = "commands"

    def ready(self) -> None:
        from commands import checks, metrics  # noqa: F401, PLC0415 - registers the checks

        metrics.start_afresh()
