"""Misconfigurations that would otherwise show late, or never."""

from typing import Any

from channels.layers import get_channel_layer
from django.core.checks import Error, register
from django.core.management import get_commands


@register()
def runworker_is_ours(app_configs: Any, **kwargs: Any) -> list[Error]:
    """Channels has a command of this name too; the app that stands first in the list wins."""
    owner = get_commands()["runworker"]
    if owner == "commands":
        return []
    hint = "Put 'commands' before 'channels' in INSTALLED_APPS."
    return [Error(f"manage.py runworker is the one of {owner}", hint=hint, id="commands.E001")]


@register()
def channel_layer_works(app_configs: Any, **kwargs: Any) -> list[Error]:
    """`get_channel_layer()` is silently None when a backend's constructor raises KeyError."""
    if get_channel_layer() is not None:
        return []
    hint = "Look at CHANNEL_LAYERS, which REDIS_URL makes."
    return [Error("There is no channel layer", hint=hint, id="commands.E002")]
