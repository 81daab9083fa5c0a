"""Who is asking: an access token becomes a user, the same way for REST and for the stream."""

from typing import Any

from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.tokens import Token

# What validly signed tokens with odd claims make simplejwt raise, beside its own errors
# (user_id "abc" or a list, exp 1e308, a lone surrogate in the token).
ODD_CLAIMS = (ValueError, TypeError, OverflowError, UnicodeError)


class TokenAuthentication(JWTAuthentication):
    """Raises AuthenticationFailed for whatever is wrong with a token."""

    def get_validated_token(self, raw_token: bytes) -> Token:
        try:
            return super().get_validated_token(raw_token)
        except ODD_CLAIMS as error:
            raise InvalidToken("The token's claims cannot be read.") from error

    def get_user(self, validated_token: Token) -> Any:
        try:
            return super().get_user(validated_token)
        except ODD_CLAIMS as error:
            raise InvalidToken("The token's claims cannot be read.") from error
