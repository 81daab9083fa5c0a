from django.apps import AppConfig


class CommandsConfig(AppConfig):
    name = "commands"

    def ready(self) -> None:
        from commands import audit, checks, metrics, scrape  # noqa: F401, PLC0415 - for what they register

        scrape.start_afresh()
