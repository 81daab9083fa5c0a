"""Tokens: to log in, to stay logged in, to log out."""

import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast

from django.contrib.auth.models import User
from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.tokens import RefreshToken, Token
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView, TokenViewBase

from commands import audit
from commands.authentication import ODD_CLAIMS
from commands.limits import LogInThrottle, forget_attempts
from commands.models import Action, UsedToken


class LogInSerializer(TokenObtainPairSerializer):
    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        answer = super().validate(attrs)
        audit.record_of(cast(User, self.user), self.context["request"], Action.LOG_IN)
        return answer


class LogInView(TokenObtainPairView):
    """An access token and a refresh token for a name and a password."""

    serializer_class = LogInSerializer
    throttle_classes = [LogInThrottle]

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = super().post(request, *args, **kwargs)
        forget_attempts(request)
        return response


class RefreshSerializer(TokenRefreshSerializer):
    """A refresh token is worth one use: the answer holds its successor.

    As careful with it as `TokenAuthentication` is with an access token.
    """

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        try:
            answer = super().validate(attrs)
            token = RefreshToken(attrs["refresh"])
            use_up(token)
        except (User.DoesNotExist, *ODD_CLAIMS) as error:
            raise InvalidToken("The token's user is gone, or its claims cannot be read.") from error
        token.set_jti()
        token.set_exp()
        token.set_iat()
        return answer | {"refresh": str(token)}


class RefreshView(TokenRefreshView):
    """A new access token and a new refresh token; the old refresh token is used up."""

    serializer_class = RefreshSerializer


class LogOutSerializer(serializers.Serializer[Any]):
    refresh = serializers.CharField(write_only=True)

    @transaction.atomic
    def validate_refresh(self, text: str) -> str:
        try:
            token = RefreshToken(text)  # type: ignore[arg-type]
            use_up(token)
        except ODD_CLAIMS as error:
            raise InvalidToken("The token's claims cannot be read.") from error
        if user := _user_of(token):
            audit.record_of(user, self.context["request"], Action.LOG_OUT)
        return text


class LogOutView(TokenViewBase):
    """Give a refresh token up. Access tokens live on until they expire, minutes later."""

    serializer_class = LogOutSerializer

    @extend_schema(responses={204: None})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        super().post(request, *args, **kwargs)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _user_of(token: Token) -> User | None:
    with suppress(*ODD_CLAIMS):
        return User.objects.filter(pk=token.get("user_id")).first()
    return None


def use_up(token: Token) -> None:
    """Raises InvalidToken if somebody has: of two who come at once, one writes the row."""
    digest = hashlib.sha256(str(token["jti"]).encode()).hexdigest()
    _, is_first = UsedToken.objects.get_or_create(
        digest=digest, defaults={"expires_at": datetime.fromtimestamp(token["exp"], UTC)}
    )
    if not is_first:
        raise InvalidToken("The refresh token was used before. Log in again.")
