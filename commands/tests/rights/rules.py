"""Rules of access: the status that each role gets from each method of each address.

An address or a method that is new has no rule here, and fails the tests until it has one.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.urls import URLResolver, get_resolver

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
POST accounts/address/                       302   302   302   302   302   302
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
