"""`POST /sovd/token`: access tokens for service accounts, by OAuth 2.0 client credentials.

RFC 6749, sections 2.3.1, 4.4 and 5.2. Users have no secret here, and their passwords are refused.
"""

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import unquote_plus

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from commands.accounts import service_accounts
from commands.accounts.login_limit import LoginRefused
from commands.accounts.service_accounts import WrongSecret

GRANT = "client_credentials"
FORM = "application/x-www-form-urlencoded"
NAMES = ("grant_type", "client_id", "client_secret")
NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
CHALLENGE = {"WWW-Authenticate": 'Basic realm="sovd", charset="UTF-8"'}


class OAuthError(Exception):
    """A request that is not answered with a token; `error` is a code of section 5.2."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


@csrf_exempt
@sensitive_post_parameters("client_secret")
@require_POST
def token(request: HttpRequest) -> HttpResponse:
    """Return an access token for the client ID and the secret of a service account."""
    try:
        client_id, client_secret = _credentials(request, _form(request))
        access = service_accounts.log_in(request, client_id, client_secret)
    except WrongSecret:
        description = "No service account has this client ID and secret. It may have been revoked."
        return _answer(
            {"error": "invalid_client", "error_description": description}, 401, CHALLENGE
        )
    except LoginRefused as refusal:
        body = {"error": "temporarily_unavailable", "error_description": str(refusal.detail)}
        return _answer(body, refusal.status_code, {"Retry-After": str(refusal.wait)})
    except OAuthError as error:
        return _answer({"error": error.error, "error_description": str(error)}, 400)
    seconds = settings.ACCESS_TOKEN_SECONDS
    return _answer({"access_token": str(access), "token_type": "Bearer", "expires_in": seconds})


def _answer(
    body: Mapping[str, object], status: int = 200, headers: dict[str, str] | None = None
) -> HttpResponse:
    return JsonResponse(body, status=status, headers=NOT_STORED | (headers or {}))


def _form(request: HttpRequest) -> dict[str, str]:
    """Return the parameters, of which none may come twice. Raise OAuthError."""
    if request.content_type != FORM:
        raise OAuthError("invalid_request", f"The body must be a form ({FORM}).")
    try:
        lists = {name: request.POST.getlist(name) for name in NAMES}
    except SuspiciousOperation as error:
        raise OAuthError("invalid_request", "The body is too large.") from error
    for name, values in lists.items():
        if len(values) > 1:
            raise OAuthError("invalid_request", f"{name} is there twice.")
    form = {name: values[0] for name, values in lists.items() if values and values[0]}
    if "grant_type" not in form:
        raise OAuthError("invalid_request", f"grant_type is missing. It must be {GRANT}.")
    if form["grant_type"] != GRANT:
        raise OAuthError("unsupported_grant_type", f"grant_type must be {GRANT}.")
    return form


def _credentials(request: HttpRequest, form: dict[str, str]) -> tuple[str, str]:
    """Return the client ID and the secret, which come by Basic or in the form. Raise OAuthError."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        if "client_secret" in form:
            raise OAuthError(
                "invalid_request", "Send the secret by Basic or in the form, not both."
            )
        return _basic(encoded)
    if scheme:
        raise WrongSecret
    return form.get("client_id", ""), form.get("client_secret", "")


def _basic(encoded: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise WrongSecret from error
    client_id, _, client_secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(client_secret)
