"""Authentication by access token, the same for REST and for the stream."""

from typing import Any

from django.conf import settings
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError
from rest_framework_simplejwt.tokens import Token
from rest_framework_simplejwt.utils import aware_utcnow

from commands.accounts.tokens import ODD_CLAIMS, user_of
from commands.accounts.user_cache import Kept

_tokens = Kept()  # of valid signatures, by their text


class TokenAuthentication(JWTAuthentication):
    """Raises AuthenticationFailed, whatever is wrong with the token."""

    def authenticate(self, request: Request) -> tuple[Any, Token] | None:
        token = self.token_of(request)
        return (self.get_user(token), token) if token else None

    def token_of(self, request: Any) -> Token | None:
        """Return the valid token of the request, which is read once."""
        if not hasattr(request, "access_token"):
            header = self.get_header(request)
            raw_token = self.get_raw_token(header) if header else None
            request.access_token = self.get_validated_token(raw_token) if raw_token else None
        token: Token | None = request.access_token
        return token

    def get_validated_token(self, raw_token: bytes) -> Token:
        try:
            token: Token = _tokens.get(raw_token, lambda: self._validated(raw_token))
            token.check_exp(current_time=aware_utcnow())
        except TokenError:  # it has expired since it was kept
            return self._validated(raw_token)
        return token

    def _validated(self, raw_token: bytes) -> Token:
        try:
            return super().get_validated_token(raw_token)
        except ODD_CLAIMS as error:
            raise InvalidToken("The token's claims cannot be read.") from error

    def get_user(self, validated_token: Token) -> Any:
        return user_of(validated_token)


def caller_of(request: Request) -> str | None:
    """Return a name for the user or the session, without asking the database."""
    try:
        if token := TokenAuthentication().token_of(request):
            return f"user {token['user_id']}"
    except (APIException, KeyError):
        return None  # which will be refused
    session_key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    return f"session {session_key}" if session_key else None
