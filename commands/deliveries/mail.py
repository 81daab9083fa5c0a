"""E-mails about what took long: to the user who started it, by the deliveries of webhooks."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage

from commands.models import WebhookDelivery, WebhookEvent

TITLES = {
    WebhookEvent.COMMAND_ENDED: "Scan of {vin}",
    WebhookEvent.BATCH_ENDED: "Batch of {command_name}",
    WebhookEvent.CAMPAIGN_ENDED: "Campaign of {command_name}",
}
PATHS = {
    WebhookEvent.COMMAND_ENDED: "commands",
    WebhookEvent.BATCH_ENDED: "batches",
    WebhookEvent.CAMPAIGN_ENDED: "campaigns",
}
TEXT = """\
{title} has ended: {outcome}.

{link}You get this e-mail because you have asked for it under "Your account" of the console.
"""


class NotConfigured(Exception):
    """Raised without EMAIL_URL, which somebody has removed since users asked for e-mails."""


def was_long(data: dict[str, Any]) -> bool:
    """Return whether the subject took longer than MAIL_AFTER_SECONDS, with all its waiting."""
    began = data.get("started_at") or data.get("submitted_at") or data["created_at"]
    ended = data.get("ended_at") or data.get("completed_at")
    return ended is not None and ended - began > timedelta(seconds=settings.MAIL_AFTER_SECONDS)


def send(delivery: WebhookDelivery, body: dict[str, Any]) -> None:
    """Send one e-mail. Each attempt has the same Message-ID, so that receivers find repeats."""
    if not settings.EMAIL_HOST:
        raise NotConfigured("EMAIL_URL is not set.")
    event, data = WebhookEvent(delivery.event), body["data"]
    title = TITLES[event].format_map(data)
    outcome = _outcome(data)
    text = TEXT.format(title=title, outcome=outcome, link=_link(event, delivery))
    EmailMessage(
        subject=f"{title}: {outcome}",
        body=text,
        to=[delivery.webhook.owner.email],
        headers={"Message-ID": f"<{delivery.pk}@sovd>", "Auto-Submitted": "auto-generated"},
    ).send()


def _outcome(data: dict[str, Any]) -> str:
    """Return the status of a command, or the counts of many: "174 completed, 2 timed out"."""
    counts = data.get("counts") or {data.get("status"): 0}
    numbers = [f"{number or ''} {status}".strip() for status, number in counts.items()]
    given = [text for text in numbers if "counts" not in data or text[0].isdigit()]
    return ", ".join(given).replace("_", " ") or "no command was sent"


def _link(event: WebhookEvent, delivery: WebhookDelivery) -> str:
    site = settings.SITE_URL
    return f"{site}/{PATHS[event]}/{delivery.subject}/\n\n" if site else ""
