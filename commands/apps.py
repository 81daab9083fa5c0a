from django.apps import AppConfig


class CommandsConfig(AppConfig):
    name = "commands"

    def ready(self) -> None:
        # Imported for the receivers and checks that they register.
        from commands import audit, checks
        from commands.accounts import login_limit, sessions, tokens
        from commands.metrics import scrape

        scrape.reset_counters()
