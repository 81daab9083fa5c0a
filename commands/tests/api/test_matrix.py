"""Matrix of rights: every role at every address, from the project's own list of addresses.

An address or a method that is new has no rule here, and fails the test until it has one.
"""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.utils import timezone

from commands import batches, lifecycle
from commands.accounts import service_accounts
from commands.campaigns import plan
from commands.database.threads import in_thread
from commands.models import (
    Action,
    AuditEntry,
    Batch,
    Campaign,
    Command,
    Note,
    SavedView,
    ServiceAccount,
    TokenFamily,
    Webhook,
)
from conftest import WAIT_SECONDS, ReadDTC, browser, make_user, make_vehicle, submit, token_of
from sovd.asgi import application, websocket_urlpatterns
from vehicles.descriptions import storage
from vehicles.descriptions.models import Description
from vehicles.models import Vehicle

ROLES = ["anonymous", "inactive", "stranger", "owner", "viewer", "admin"]

# What each role is answered. The owner submitted the command, the stranger is another operator;
# `inactive` has a token and a session from before. A 302 leads to the log-in, or says that there
# is no such thing. The admin comes last, when the owner has cancelled.
RULES = """
                                             anon  inact strng owner viewr admin
GET  /                                       302   302   200   200   200   200
GET  vehicles/                               302   302   200   200   200   200
GET  vehicles/{pk}/                          302   302   200   200   200   200
GET  vehicles/{pk}/last-week/                302   302   200   200   200   200
GET  vehicles/new/                           302   302   403   403   403   200
GET  vehicles/{pk}/edit/                     302   302   403   403   403   200
GET  descriptions/                           302   302   200   200   200   200
GET  descriptions/{pk}/                      302   302   200   200   200   200
GET  webhooks/                               302   302   200   200   403   200
GET  commands/                               302   302   200   200   200   200
GET  commands/new/                           302   302   200   200   200   200
GET  commands/{pk}/                          302   302   404   200   200   200
GET  batches/                                302   302   200   200   200   200
GET  batches/new/                            302   302   200   200   200   200
GET  batches/{pk}/                           302   302   404   200   200   200
GET  campaigns/                              302   302   200   200   200   200
GET  campaigns/new/                          302   302   200   200   200   200
GET  campaigns/{pk}/                         302   302   404   200   200   200
GET  favicon.ico                             302   302   302   302   302   302
POST favicon.ico                             302   302   302   302   302   302
GET  accounts/login/                         200   200   302   302   302   302
POST accounts/login/                         200   200   200   200   200   200
PUT  accounts/login/                         200   200   200   200   200   200
GET  accounts/                               302   302   200   200   200   200
POST accounts/                               302   302   200   200   200   200
PUT  accounts/                               302   302   200   200   200   200
POST accounts/logins/{pk}/end/               302   302   404   404   404   404
POST accounts/sessions/{pk}/end/             302   302   404   404   404   404
POST accounts/sessions/end-others/           302   302   302   302   302   302
POST accounts/mail/                          302   302   404   404   404   404
POST accounts/logout/                        302   302   302   302   302   302
POST accounts/logout-everywhere/             302   302   302   302   302   302

POST api/v1/token/                           400   400   400   400   400   400
POST api/v1/token/refresh/                   400   400   400   400   400   400
POST api/v1/token/logout/                    400   400   400   400   400   400
POST api/v1/token/logout-everywhere/         401   401   204   204   204   204
GET  api/v1/service-accounts/                401   401   403   403   403   200
POST api/v1/service-accounts/                401   401   403   403   403   400
GET  api/v1/service-accounts/{client_id}/    401   401   403   403   403   200
DELETE api/v1/service-accounts/{client_id}/  401   401   403   403   403   204
GET  sovd/                                   401   401   404   404   404   404
POST sovd/                                   401   401   404   404   404   404
GET  sovd/version-info                       401   401   200   200   200   200
GET  sovd/{vin}/version-info                 401   401   200   200   200   200
GET  sovd/{vin}/v1                           401   401   200   200   200   200
GET  sovd/{vin}/v1/                          401   401   200   200   200   200
GET  sovd/{vin}/v1/docs                      401   401   200   200   200   200
GET  sovd/{vin}/v1/{below}/docs              401   401   200   200   200   200
GET  sovd/{vin}/v1/components                401   401   200   200   200   200
GET  sovd/{vin}/v1/{collection}              401   401   200   200   200   200
GET  {component}                             401   401   200   200   200   200
GET  {component}/{relation}                  401   401   200   200   200   200
GET  {component}/faults                      401   401   504   504   403   504
DELETE {component}/faults                    401   401   504   504   403   504
GET  {component}/faults/{code}               401   401   504   504   403   504
DELETE {component}/faults/{code}             401   401   504   504   403   504
GET  {component}/data-categories             401   401   200   200   200   200
GET  {component}/data-groups                 401   401   200   200   200   200
GET  {component}/data                        401   401   200   200   200   200
GET  {component}/data/{data_id}              401   401   504   504   403   504
PUT  {component}/data/{data_id}              401   401   403   403   403   504
GET  {component}/locks                       401   401   200   200   200   200
POST {component}/locks                       401   401   201   409   403   409
GET  {component}/locks/{lock_id}             401   401   404   404   404   404
PUT  {component}/locks/{lock_id}             401   401   404   404   404   404
DELETE {component}/locks/{lock_id}           401   401   404   404   403   404
GET  {component}/status                      401   401   200   200   200   200
GET  {component}/status/restart              401   401   200   200   200   200
PUT  {component}/status/restart              401   401   403   403   403   202
GET  {component}/operations                  401   401   200   200   200   200
GET  {operation}                             401   401   200   200   200   200
GET  {operation}/executions                  401   401   200   200   200   200
POST {operation}/executions                  401   401   403   403   403   202
GET  {operation}/executions/{execution_id}   401   401   404   200   200   200
PUT  {operation}/executions/{execution_id}   401   401   404   202   403   202
DELETE {operation}/executions/{execution_id} 401   401   404   204   403   204
GET  {operation}/executions/{execution_id}/x-events 401   401   404   200   200   200
POST sovd/token                              400   400   400   400   400   400
GET  sovd/token                              405   405   405   405   405   405
POST api/v1/stream-tickets/                  401   401   404   201   201   201
GET  api/v1/command-types/                   401   401   200   200   200   200
GET  api/v1/vehicles/                        401   401   200   200   200   200
GET  api/v1/vehicles/{vehicle_id}/           401   401   200   200   200   200
POST api/v1/vehicles/                        401   401   403   403   403   400
PATCH api/v1/vehicles/{vehicle_id}/          401   401   403   403   403   200
DELETE api/v1/vehicles/{vehicle_id}/         401   401   403   403   403   409
GET  api/v1/vehicles/tags/                   401   401   200   200   200   200
POST api/v1/vehicles/tags/preview/           401   401   403   403   403   400
POST api/v1/vehicles/tags/                   401   401   403   403   403   400
POST api/v1/vehicles/{vehicle_id}/probe/     401   401   403   403   403   202
POST api/v1/vehicles/{vehicle_id}/restore/   401   401   403   403   403   200
POST api/v1/vehicles/{vehicle_id}/retire/    401   401   403   403   403   409
GET  api/v1/vehicles/{vehicle_id}/lock/      401   401   404   404   404   404
POST api/v1/vehicles/{vehicle_id}/lock/      401   401   400   400   403   400
DELETE api/v1/vehicles/{vehicle_id}/lock/    401   401   404   404   403   404
GET  api/v1/vehicles/{vehicle_id}/notes/     401   401   200   200   200   200
POST api/v1/vehicles/{vehicle_id}/notes/     401   401   400   400   400   400
DELETE api/v1/vehicles/{vehicle_id}/notes/{note_id}/ 401   401   403   403   403   403
GET  api/v1/views/                           401   401   200   200   200   200
POST api/v1/views/                           401   401   400   400   400   400
PATCH api/v1/views/{view_id}/                401   401   403   403   403   403
DELETE api/v1/views/{view_id}/               401   401   403   403   403   403
GET  api/v1/vehicles/{vehicle_id}/report/    401   401   400   400   400   400
GET  api/v1/vehicles/{vehicle_id}/names/     401   401   400   400   400   400
GET  api/v1/vehicles/{vehicle_id}/values/    401   401   400   400   400   400
GET  api/v1/descriptions/                    401   401   200   200   200   200
POST api/v1/descriptions/                    401   401   403   403   403   400
GET  api/v1/descriptions/{description_id}/   401   401   200   200   200   200
DELETE api/v1/descriptions/{description_id}/ 401   401   403   403   403   204
GET  api/v1/connectors/                      401   401   200   200   200   200
GET  api/v1/vehicles/{vehicle_id}/trouble-codes/ 401   401   200   200   200   200
GET  api/v1/dashboard/                       401   401   200   200   200   200
GET  api/v1/dashboard/trouble-codes/         401   401   200   200   200   200
GET  api/v1/commands/                        401   401   200   200   200   200
POST api/v1/commands/                        401   401   201   201   403   201
GET  api/v1/commands/export/                 401   401   200   200   200   200
GET  api/v1/commands/{command_id}/           401   401   404   200   200   200
POST api/v1/commands/{command_id}/cancel/    401   401   404   200   403   409
POST api/v1/commands/cancel/                 401   401   400   200   403   200
GET  api/v1/commands/{command_id}/events/    401   401   404   200   200   200
GET  api/v1/commands/{command_id}/exchanges/ 401   401   404   200   200   200
GET  api/v1/commands/{command_id}/transcript/ 401   401   404   200   200   200
GET  api/v1/commands/{command_id}/responses/ 401   401   404   200   200   200
GET  api/v1/commands/{command_id}/trouble-codes/ 401   401   404   200   200   200
GET  api/v1/batches/                         401   401   200   200   200   200
POST api/v1/batches/                         401   401   201   201   403   201
POST api/v1/batches/preview/                 401   401   200   200   200   200
GET  api/v1/batches/{batch_id}/              401   401   404   200   200   200
GET  api/v1/batches/{batch_id}/results/      401   401   404   200   200   200
GET  api/v1/batches/{batch_id}/summary/      401   401   404   200   200   200
POST api/v1/batches/{batch_id}/cancel/       401   401   404   200   403   409
GET  api/v1/campaigns/                       401   401   200   200   200   200
POST api/v1/campaigns/                       401   401   201   201   403   201
POST api/v1/campaigns/preview/               401   401   200   200   200   200
GET  api/v1/campaigns/{campaign_id}/         401   401   404   200   200   200
POST api/v1/campaigns/{campaign_id}/submit/  401   401   404   200   403   403
POST api/v1/campaigns/{campaign_id}/approve/ 401   401   403   403   403   409
POST api/v1/campaigns/{campaign_id}/pause/   401   401   404   409   403   409
POST api/v1/campaigns/{campaign_id}/resume/  401   401   404   409   403   409
POST api/v1/campaigns/{campaign_id}/cancel/  401   401   404   200   403   409
GET  api/v1/webhooks/                        401   401   200   200   403   200
POST api/v1/webhooks/                        401   401   400   400   403   400
GET  api/v1/webhooks/{webhook_id}/           401   401   404   200   403   200
PATCH api/v1/webhooks/{webhook_id}/          401   401   404   200   403   200
POST api/v1/webhooks/{webhook_id}/test/      401   401   404   202   403   202
POST api/v1/webhooks/{webhook_id}/secret/    401   401   404   200   403   403
GET  api/v1/webhooks/{webhook_id}/deliveries/ 401  401   404   200   403   200
DELETE api/v1/webhooks/{webhook_id}/         401   401   404   204   403   204
GET  api/v1/                                 404   404   404   404   404   404
POST api/v1/                                 404   404   404   404   404   404
GET  api/schema/                             200   200   200   200   200   200
GET  api/docs/                               200   200   200   200   200   200

GET  admin/                                  302   302   200   200   200   200
POST admin/                                  302   302   200   200   200   200
GET  admin/login/                            302   302   302   302   302   302
POST admin/login/                            302   302   302   302   302   302
GET  admin/logout/                           302   302   405   405   405   405
POST admin/logout/                           302   302   302   302   302   302
GET  admin/password_change/                  302   302   200   200   200   200
POST admin/password_change/                  302   302   200   200   200   200
GET  admin/password_change/done/             302   302   200   200   200   200
POST admin/password_change/done/             302   302   405   405   405   405
GET  admin/autocomplete/                     302   302   403   403   403   403
POST admin/autocomplete/                     302   302   405   405   405   405
GET  admin/jsi18n/                           302   302   200   200   200   200
POST admin/jsi18n/                           302   302   405   405   405   405
GET  admin/r/{content_type_id}/{object_id}/  302   302   404   404   404   404
POST admin/r/{content_type_id}/{object_id}/  302   302   404   404   404   404
GET  admin/{app_label}/                      302   302   200   200   200   200
POST admin/{app_label}/                      302   302   200   200   200   200
GET  admin/{url}                             302   302   404   404   404   404
POST admin/{url}                             302   302   404   404   404   404

GET  admin/commands/command/                 302   302   200   200   200   200
POST admin/commands/command/                 302   302   200   200   200   200
GET  admin/commands/command/add/             302   302   403   403   403   403
POST admin/commands/command/add/             302   302   403   403   403   403
GET  admin/commands/command/{id}/history/    302   302   302   200   200   200
POST admin/commands/command/{id}/history/    302   302   302   200   200   200
GET  admin/commands/command/{id}/delete/     302   302   403   403   403   403
POST admin/commands/command/{id}/delete/     302   302   403   403   403   403
GET  admin/commands/command/{id}/change/     302   302   302   200   200   200
POST admin/commands/command/{id}/change/     302   302   403   403   403   403
GET  admin/commands/event/                   302   302   200   200   200   200
POST admin/commands/event/                   302   302   200   200   200   200
GET  admin/commands/event/add/               302   302   403   403   403   403
POST admin/commands/event/add/               302   302   403   403   403   403
GET  admin/commands/event/{id}/history/      302   302   302   200   200   200
POST admin/commands/event/{id}/history/      302   302   302   200   200   200
GET  admin/commands/event/{id}/delete/       302   302   403   403   403   403
POST admin/commands/event/{id}/delete/       302   302   403   403   403   403
GET  admin/commands/event/{id}/change/       302   302   302   200   200   200
POST admin/commands/event/{id}/change/       302   302   403   403   403   403
GET  admin/commands/batch/                   302   302   200   200   200   200
POST admin/commands/batch/                   302   302   200   200   200   200
GET  admin/commands/batch/add/               302   302   403   403   403   403
POST admin/commands/batch/add/               302   302   403   403   403   403
GET  admin/commands/batch/{id}/history/      302   302   302   200   200   200
POST admin/commands/batch/{id}/history/      302   302   302   200   200   200
GET  admin/commands/batch/{id}/delete/       302   302   403   403   403   403
POST admin/commands/batch/{id}/delete/       302   302   403   403   403   403
GET  admin/commands/batch/{id}/change/       302   302   302   200   200   200
POST admin/commands/batch/{id}/change/       302   302   403   403   403   403
GET  admin/commands/campaign/                302   302   200   200   200   200
POST admin/commands/campaign/                302   302   200   200   200   200
GET  admin/commands/campaign/add/            302   302   403   403   403   403
POST admin/commands/campaign/add/            302   302   403   403   403   403
GET  admin/commands/campaign/{id}/history/   302   302   302   200   200   200
POST admin/commands/campaign/{id}/history/   302   302   302   200   200   200
GET  admin/commands/campaign/{id}/delete/    302   302   403   403   403   403
POST admin/commands/campaign/{id}/delete/    302   302   403   403   403   403
GET  admin/commands/campaign/{id}/change/    302   302   302   200   200   200
POST admin/commands/campaign/{id}/change/    302   302   403   403   403   403
GET  admin/commands/auditentry/              302   302   403   403   403   200
POST admin/commands/auditentry/              302   302   403   403   403   200
GET  admin/commands/auditentry/add/          302   302   403   403   403   403
POST admin/commands/auditentry/add/          302   302   403   403   403   403
GET  admin/commands/auditentry/{id}/history/ 302   302   403   403   403   200
POST admin/commands/auditentry/{id}/history/ 302   302   403   403   403   200
GET  admin/commands/auditentry/{id}/delete/  302   302   403   403   403   403
POST admin/commands/auditentry/{id}/delete/  302   302   403   403   403   403
GET  admin/commands/auditentry/{id}/change/  302   302   403   403   403   200
POST admin/commands/auditentry/{id}/change/  302   302   403   403   403   403
GET  admin/commands/serviceaccount/          302   302   403   403   403   200
POST admin/commands/serviceaccount/          302   302   403   403   403   200
GET  admin/commands/serviceaccount/add/      302   302   403   403   403   403
POST admin/commands/serviceaccount/add/      302   302   403   403   403   403
GET  admin/commands/serviceaccount/{id}/history/ 302   302   403   403   403   200
POST admin/commands/serviceaccount/{id}/history/ 302   302   403   403   403   200
GET  admin/commands/serviceaccount/{id}/delete/ 302   302   403   403   403   403
POST admin/commands/serviceaccount/{id}/delete/ 302   302   403   403   403   403
GET  admin/commands/serviceaccount/{id}/change/ 302   302   403   403   403   200
POST admin/commands/serviceaccount/{id}/change/ 302   302   403   403   403   403
GET  admin/commands/savedview/                       302   302   403   403   403   200
POST admin/commands/savedview/                       302   302   403   403   403   200
GET  admin/commands/savedview/add/                   302   302   403   403   403   403
POST admin/commands/savedview/add/                   302   302   403   403   403   403
GET  admin/commands/savedview/{id}/history/          302   302   403   403   403   200
POST admin/commands/savedview/{id}/history/          302   302   403   403   403   200
GET  admin/commands/savedview/{id}/delete/           302   302   403   403   403   200
POST admin/commands/savedview/{id}/delete/           302   302   403   403   403   200
GET  admin/commands/savedview/{id}/change/           302   302   403   403   403   200
POST admin/commands/savedview/{id}/change/           302   302   403   403   403   403
GET  admin/commands/webhook/                         302   302   403   403   403   200
POST admin/commands/webhook/                         302   302   403   403   403   200
GET  admin/commands/webhook/add/                     302   302   403   403   403   403
POST admin/commands/webhook/add/                     302   302   403   403   403   403
GET  admin/commands/webhook/{id}/history/            302   302   403   403   403   200
POST admin/commands/webhook/{id}/history/            302   302   403   403   403   200
GET  admin/commands/webhook/{id}/delete/             302   302   403   403   403   403
POST admin/commands/webhook/{id}/delete/             302   302   403   403   403   403
GET  admin/commands/webhook/{id}/change/             302   302   403   403   403   200
POST admin/commands/webhook/{id}/change/             302   302   403   403   403   403
GET  admin/commands/webhookdelivery/                         302   302   403   403   403   200
POST admin/commands/webhookdelivery/                         302   302   403   403   403   200
GET  admin/commands/webhookdelivery/add/                     302   302   403   403   403   403
POST admin/commands/webhookdelivery/add/                     302   302   403   403   403   403
GET  admin/commands/webhookdelivery/{id}/history/            302   302   403   403   403   200
POST admin/commands/webhookdelivery/{id}/history/            302   302   403   403   403   200
GET  admin/commands/webhookdelivery/{id}/delete/             302   302   403   403   403   403
POST admin/commands/webhookdelivery/{id}/delete/             302   302   403   403   403   403
GET  admin/commands/webhookdelivery/{id}/change/             302   302   403   403   403   200
POST admin/commands/webhookdelivery/{id}/change/             302   302   403   403   403   403

GET  admin/vehicles/description/                 302   302   200   200   200   200
POST admin/vehicles/description/                 302   302   200   200   200   200
GET  admin/vehicles/description/add/             302   302   403   403   403   200
POST admin/vehicles/description/add/             302   302   403   403   403   200
GET  admin/vehicles/description/{id}/history/    302   302   200   200   200   200
POST admin/vehicles/description/{id}/history/    302   302   200   200   200   200
GET  admin/vehicles/description/{id}/delete/     302   302   403   403   403   200
POST admin/vehicles/description/{id}/delete/     302   302   403   403   403   200
GET  admin/vehicles/description/{id}/change/     302   302   200   200   200   200
POST admin/vehicles/description/{id}/change/     302   302   403   403   403   403
GET  admin/vehicles/vehicle/                 302   302   200   200   200   200
POST admin/vehicles/vehicle/                 302   302   200   200   200   200
GET  admin/vehicles/vehicle/add/             302   302   403   403   403   200
POST admin/vehicles/vehicle/add/             302   302   403   403   403   200
GET  admin/vehicles/vehicle/{id}/history/    302   302   200   200   200   200
POST admin/vehicles/vehicle/{id}/history/    302   302   200   200   200   200
GET  admin/vehicles/vehicle/{id}/delete/     302   302   403   403   403   403
POST admin/vehicles/vehicle/{id}/delete/     302   302   403   403   403   403
GET  admin/vehicles/vehicle/{id}/change/     302   302   200   200   200   200
POST admin/vehicles/vehicle/{id}/change/     302   302   403   403   403   200
GET  admin/auth/group/                       302   302   403   403   403   200
POST admin/auth/group/                       302   302   403   403   403   200
GET  admin/auth/group/add/                   302   302   403   403   403   200
POST admin/auth/group/add/                   302   302   403   403   403   200
GET  admin/auth/group/{id}/history/          302   302   403   403   403   200
POST admin/auth/group/{id}/history/          302   302   403   403   403   200
GET  admin/auth/group/{id}/delete/           302   302   403   403   403   200
POST admin/auth/group/{id}/delete/           302   302   403   403   403   200
GET  admin/auth/group/{id}/change/           302   302   403   403   403   200
POST admin/auth/group/{id}/change/           302   302   403   403   403   200
GET  admin/auth/user/                        302   302   403   403   403   200
POST admin/auth/user/                        302   302   403   403   403   200
GET  admin/auth/user/add/                    302   302   403   403   403   200
POST admin/auth/user/add/                    302   302   403   403   403   200
GET  admin/auth/user/{id}/password/          302   302   403   403   403   200
POST admin/auth/user/{id}/password/          302   302   403   403   403   200
GET  admin/auth/user/{id}/history/           302   302   403   403   403   200
POST admin/auth/user/{id}/history/           302   302   403   403   403   200
GET  admin/auth/user/{id}/delete/            302   302   403   403   403   200
POST admin/auth/user/{id}/delete/            302   302   403   403   403   200
GET  admin/auth/user/{id}/change/            302   302   403   403   403   200
POST admin/auth/user/{id}/change/            302   302   403   403   403   200
"""
COMPONENT = "sovd/{vin}/v1/components/{component_id}"
OPERATION = f"{COMPONENT}/operations/{{operation_id}}"
RULES = RULES.replace("{component}", COMPONENT).replace("{operation}", OPERATION)
# Only leads on to .../change/, whoever asks.
OF_OLD = re.compile(r"admin/\w+/\w+/\{id\}/$")

# The first frame's error code and the close code, or what was opened.
SOCKETS = {
    "ws/responses/{command_id}": ["4401", "4401", "4404", "opened", "opened", "opened"],
    "ws/responses/{command_id}/": ["4401", "4401", "4404", "opened", "opened", "opened"],
    "": ["refused"] * 6,  # anything else
}


def rules() -> dict[tuple[str, str], list[str]]:
    lines = [line.split() for line in RULES.splitlines()[2:] if line]
    return {(method, route.lstrip("/")): codes for method, route, *codes in lines}


def routes() -> set[tuple[str, str]]:
    """Each method and route of the project, in one spelling."""
    return {
        (method, route)
        for path, view in _patterns(get_resolver())
        for method in _methods(view)
        if not OF_OLD.match(route := spelt(path))
    }


def _patterns(resolver: Any, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _patterns(entry, route)
        else:
            yield route, entry.callback


def spelt(path: str) -> str:
    """`^commands/(?P<command_id>[^/.]+)/$` and `commands/<command_id>/` alike."""
    path = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^)]*\))*?\)(?=/|\$|$)", r"{\1}", path)
    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path)
    path = path.replace("^", "").replace("$", "").replace("\\Z", "")
    return re.sub(r"(?<=^admin/)(\w+/\w+)/\{(object_)?id\}", r"\1/{id}", path)


def _methods(view: Any) -> set[str]:
    """Return the methods that a view handles; GET and POST for a plain function."""
    if actions := getattr(view, "actions", None):
        return {method.upper() for method in actions} - {"HEAD"}
    kind = getattr(view, "cls", None) or getattr(view, "view_class", None)
    offered = [name for name in kind.http_method_names if hasattr(kind, name)] if kind else []
    return {method.upper() for method in offered} - {"HEAD", "OPTIONS"} or {"GET", "POST"}


def test_every_address_has_a_rule() -> None:
    assert routes() == rules().keys()


def test_every_socket_has_a_rule() -> None:
    assert {spelt(str(entry.pattern)) for entry in websocket_urlpatterns} == SOCKETS.keys()


@pytest.mark.parametrize(
    ("path", "spelling"),
    [
        (
            "api/v1/^commands/(?P<command_id>[^/.]+)/cancel/$",
            "api/v1/commands/{command_id}/cancel/",
        ),
        ("admin/commands/command/<path:object_id>/change/", "admin/commands/command/{id}/change/"),
        ("admin/^(?P<app_label>vehicles|commands|auth)/$", "admin/{app_label}/"),
        ("admin/(?P<url>.*)$", "admin/{url}"),
    ],
)
def test_every_spelling_of_an_address_has_the_same_rule(path: str, spelling: str) -> None:
    assert spelt(path) == spelling


# The people, and what they find


@pytest.fixture
def people(operator: User, stranger: User, viewer: User) -> dict[str, User | None]:
    for user in (operator, stranger):
        user.user_permissions.add(Permission.objects.get(codename="add_webhook"))
    return {
        "anonymous": None,
        "inactive": make_user("inactive", "add_command", is_staff=True, is_superuser=True),
        "stranger": stranger,
        "owner": operator,
        "viewer": viewer,
        "admin": make_user("admin", is_staff=True, is_superuser=True),
    }


def campaign_of(command: Command) -> Campaign:
    """Return the draft of the command's user."""
    found: Campaign | None = Campaign.objects.filter(submitted_by=command.submitted_by).first()
    if found is None:
        expires_at = timezone.now() + timedelta(days=1)
        found = Campaign(submitted_by=command.submitted_by, expires_at=expires_at, **ReadDTC)
        plan.write(found, Vehicle.objects.filter(pk=command.vehicle_id))
    return found


def webhook_of(user: User) -> Webhook:
    """Return a webhook of this user, with a delivery."""
    found: Webhook | None = Webhook.objects.first()
    if found is None:
        found = Webhook.objects.create(owner=user, url="https://example.com/", is_active=False)
    if not found.deliveries.exists():
        found.deliveries.create(event="webhook.test")
    return found


def address_of(route: str, command: Command) -> str:
    """Return the address of a route, with ids of rows that exist."""
    group, _ = Group.objects.get_or_create(name="A group")
    user, _ = User.objects.get_or_create(username="somebody")
    account = ServiceAccount.objects.first() or service_accounts.create("a-program", [], user)
    description = Description.objects.first() or storage.add("a.pdx", [b"x"])
    note, _ = Note.objects.get_or_create(vehicle_id=command.vehicle_id, author=user)
    view, _ = SavedView.objects.get_or_create(owner=user, page="commands", is_shared=True)
    entry = AuditEntry.objects.first() or AuditEntry.objects.create(action=Action.LOG_IN)
    webhook = webhook_of(command.submitted_by)
    ids = {
        "admin/commands/auditentry": entry.pk,
        "admin/commands/batch": command.batch_id,
        "admin/commands/campaign": campaign_of(command).pk,
        "admin/commands/command": command.pk,
        "admin/commands/serviceaccount": account.pk,
        "admin/commands/savedview": view.pk,
        "admin/commands/webhook": webhook.pk,
        "admin/commands/webhookdelivery": webhook.deliveries.latest("created_at").pk,
        "admin/commands/event": command.events.values_list("pk", flat=True)[0],
        "admin/vehicles/description": description.pk,
        "admin/vehicles/vehicle": command.vehicle_id,
        "admin/auth/group": group.pk,
        "admin/auth/user": user.pk,
    }
    login = TokenFamily.objects.first() or TokenFamily.objects.create(
        user=user, expires_at=timezone.now()
    )
    about = {
        "accounts": login.pk,  # of another user
        "batches": command.batch_id,
        "campaigns": campaign_of(command).pk,
        "commands": command.pk,
        "descriptions": description.pk,
        "vehicles": command.vehicle_id,
    }
    execution = command
    if "{execution_id}" in route:
        params = {"ecuAddress": "0x10", "routineId": "0x0203", "action": "start"}
        submitted = (command.submitted_by, command.vehicle, "RoutineControl", params)
        execution = lifecycle.submit(*submitted)
    address = "/" + route.format(
        client_id=account.pk,
        note_id=note.pk,
        view_id=view.pk,
        description_id=description.pk,
        webhook_id=webhook.pk,
        command_id=command.pk,
        batch_id=command.batch_id,
        campaign_id=campaign_of(command).pk,
        vehicle_id=command.vehicle_id,
        id=ids.get("/".join(route.split("/")[:3])),
        pk=about.get(route.split("/", maxsplit=1)[0]),
        app_label="commands",
        content_type_id=1,
        object_id=command.pk,
        url="nothing",
        vin=command.vehicle.vin,
        below="components",
        collection="areas",
        component_id="0x10",
        relation="hosts",
        code="P0420",
        data_id="0xF190",
        operation_id="0x0203",
        execution_id=execution.pk,
        lock_id=command.pk,
    )
    # No worker is there: who waits for the vehicle gets a 504.
    return f"{address}?timeout=0.01" if route.startswith("sovd/") else address


def campaign_body(command: Command) -> dict[str, Any]:
    return {"vehicle_ids": [str(command.vehicle_id)], "command_name": "ScanVehicle"}


BODIES: dict[str, Callable[[Command], dict[str, Any]]] = {
    "api/v1/commands/": lambda command: {"vehicle_id": str(command.vehicle_id), **ReadDTC},
    "api/v1/commands/cancel/": lambda command: {"command_ids": [str(command.pk)]},
    "api/v1/batches/preview/": lambda command: {"vehicle_ids": [str(command.vehicle_id)]},
    "api/v1/batches/": lambda command: {"vehicle_ids": [str(command.vehicle_id)], **ReadDTC},
    "api/v1/campaigns/preview/": campaign_body,
    "api/v1/campaigns/": campaign_body,
    "api/v1/stream-tickets/": lambda command: {"command_id": str(command.pk)},
    f"{COMPONENT}/locks": lambda _: {"lock_expiration": 60},
    f"{COMPONENT}/data/{{data_id}}": lambda _: {"data": "01"},
    f"{OPERATION}/executions/{{execution_id}}": lambda _: {"capability": "stop"},
}


class Clients:
    """One client of each role for the API, with a token, and one for pages, with a session."""

    def __init__(self, people: dict[str, User | None]) -> None:
        self._people = people
        self._made: dict[tuple[str, bool], Client] = {}

    def of(self, role: str, route: str) -> Client:
        user = self._people[role]
        key = (role, route.startswith(("api/", "sovd/")))
        if key not in self._made:
            self._made[key] = client_of(user, *key[1:]) if user else Client()
            self._made[key].raise_request_exception = False
        return self._made[key]

    def log_in_again(self) -> None:
        self._made.clear()


def client_of(user: User, has_token: bool) -> Client:
    """Return a client of a user who was active when it logged in."""
    is_active = user.username != "inactive"
    User.objects.filter(pk=user.pk).update(is_active=True)
    if has_token:
        client = Client(headers={"authorization": f"Bearer {token_of(user)}"})
    else:
        client = browser(user)
    User.objects.filter(pk=user.pk).update(is_active=is_active)
    return client


def submit_batch(user: User, vehicle: Vehicle) -> Command:
    """A command of a batch is one like any other."""
    batch = Batch(submitted_by=user, **ReadDTC)
    batches.submit(batch, [vehicle])
    return Command.objects.get(batch=batch)


def answers(clients: Clients, method: str, route: str, command: Command) -> list[str]:
    """Ask as each role: at one address, unless a role may end what the next one asks for."""
    is_own = method == "DELETE" or "{execution_id}" in route
    common = "" if is_own else address_of(route, command)
    return [
        answer(
            clients.of(role, route), method, route, common or address_of(route, command), command
        )
        for role in ROLES
    ]


def answer(client: Client, method: str, route: str, address: str, command: Command) -> str:
    body = BODIES[route](command) if route in BODIES else {}
    is_json = route.startswith(("api/", "sovd/"))
    json = "application/json" if is_json else "application/x-www-form-urlencoded"
    send = getattr(client, method.lower())
    response = send(address) if method == "GET" else send(address, body or "", content_type=json)
    response.close()  # an export's place is free for the next one
    return str(response.status_code)


def test_every_role_at_every_address(people: dict[str, User | None], counts: list[str]) -> None:
    owner = people["owner"]
    assert owner
    wrong: dict[str, list[str]] = {}
    clients = Clients(people)
    command = submit_batch(owner, make_vehicle())
    for (method, route), rule in rules().items():
        seen = answers(clients, method, route, command)
        wrong |= {f"{method} {route}": seen} if seen != rule else {}
        if "logout" in route:
            clients.log_in_again()
        if method != "GET":
            delete_all()
            command = submit_batch(owner, make_vehicle())
    assert not wrong
    counts.append(f"{len(rules())} methods of addresses, {len(ROLES)} roles, as the rules say")


# A vehicle without commands, unlike the one above, can be deleted.
DELETIONS = """
DELETE api/v1/vehicles/{vehicle_id}/         401   401   403   403   403   204
GET  admin/vehicles/vehicle/{id}/delete/     302   302   403   403   403   200
POST admin/vehicles/vehicle/{id}/delete/     302   302   403   403   403   302
"""


@pytest.mark.parametrize("rule", DELETIONS.strip().splitlines(), ids=lambda rule: rule[:6].strip())
def test_only_an_admin_deletes_a_vehicle_without_commands(
    people: dict[str, User | None], rule: str
) -> None:
    method, route, *codes = rule.split()
    clients, vehicle = Clients(people), make_vehicle()
    address = "/" + route.format(vehicle_id=vehicle.pk, id=vehicle.pk)
    senders = [getattr(clients.of(role, route), method.lower()) for role in ROLES]
    seen = [str(send(address, {"post": "yes"}).status_code) for send in senders]
    assert seen == codes
    assert Vehicle.objects.exists() == (method == "GET")


def delete_all() -> None:
    Campaign.objects.all().delete()
    Command.objects.all().delete()
    Batch.objects.all().delete()
    Vehicle.objects.all().delete()
    User.objects.filter(username="a-program").delete()


# Sockets


async def opening(path: str) -> str:
    communicator = WebsocketCommunicator(application, path)
    accepted, _ = await communicator.connect(WAIT_SECONDS)
    if not accepted:
        return "refused"
    try:
        message = await communicator.receive_output(WAIT_SECONDS)
        if '"error_code"' not in message["text"]:
            return "opened"
        return str((await communicator.receive_output(WAIT_SECONDS))["code"])
    finally:
        await communicator.disconnect()


@pytest.mark.parametrize("route", SOCKETS)
async def test_every_role_at_every_socket(
    people: dict[str, User | None], vehicle: Vehicle, route: str, counts: list[str]
) -> None:
    owner = people["owner"]
    assert owner
    command = await in_thread(submit, owner, vehicle)
    path = f"/{route or 'ws/nothing'}".format(command_id=command.pk)
    queries = {role: f"?token={token_of(user)}" if user else "" for role, user in people.items()}
    await in_thread(User.objects.filter(username="inactive").update, is_active=False)
    assert [await opening(path + queries[role]) for role in ROLES] == SOCKETS[route]
    counts.append(f"socket {route or '(any other)'}, {len(ROLES)} roles, as the rules say")
