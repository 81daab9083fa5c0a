"""System checks for misconfigurations that would otherwise be found late, or never."""

from collections.abc import Sequence
from typing import Any

from channels.layers import get_channel_layer
from django.core.checks import Error, Tags, register
from django.core.management import get_commands
from django.db import connections

from commands.database.probe import encoding_problem


@register()
def runworker_is_ours(app_configs: Any, **kwargs: Any) -> list[Error]:
    """Check the order of apps: Channels has a `runworker` too, and the first app wins."""
    owner = get_commands()["runworker"]
    if owner == "commands":
        return []
    hint = "Put 'commands' before 'channels' in INSTALLED_APPS."
    return [Error(f"manage.py runworker is the one of {owner}", hint=hint, id="commands.E001")]


@register()
def channel_layer_works(app_configs: Any, **kwargs: Any) -> list[Error]:
    """Check the channel layer, which is silently None if its constructor raises KeyError."""
    if get_channel_layer() is not None:
        return []
    hint = "Check CHANNEL_LAYERS, which is made from REDIS_URL."
    return [Error("There is no channel layer", hint=hint, id="commands.E002")]


@register(Tags.database)
def database_holds_every_text(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[Error]:
    """Check the encoding before `migrate` fills a database that could not be used."""
    problems = [encoding_problem(connections[alias]) for alias in databases or []]
    return [Error(problem, id="commands.E003") for problem in problems if problem]
