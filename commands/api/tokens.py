"""The API's routes to log in, to stay logged in and to log out."""

import unicodedata
from typing import Any, cast

from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.http import HttpRequest
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers, status
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.views import TokenViewBase

from commands.accounts import tokens
from commands.accounts.login import end_every_login
from commands.accounts.tokens import ODD_CLAIMS, RefreshToken
from commands.api.schema.marks import errors
from commands.api.views import ApiView

MAX_NAME = 150


class UsernameField(serializers.CharField):
    """A name in the one spelling in which Django's forms store and compare names."""

    def to_internal_value(self, data: Any) -> str:
        name: str = super().to_internal_value(data)
        return unicodedata.normalize("NFKC", name)


class TokensSerializer(serializers.Serializer[Any]):
    refresh = serializers.CharField()
    access = serializers.CharField()


@extend_schema_serializer(component_name="LogIn")
class LoginSerializer(serializers.Serializer[Any]):
    username = UsernameField(write_only=True, max_length=MAX_NAME)
    password = serializers.CharField(
        write_only=True, trim_whitespace=False, style={"input_type": "password"}
    )

    def validate(self, attrs: dict[str, str]) -> dict[str, str]:
        request = self.context["request"]
        user = authenticate(cast(HttpRequest, request), **attrs)
        if user is None:
            message = "No active account found with the given credentials"
            raise AuthenticationFailed(message, "no_active_account")
        user_logged_in.send(sender=User, request=request, user=user)
        return _pair(RefreshToken.for_user(user))


@extend_schema(summary="Log in", extensions=errors(401, 429), responses=TokensSerializer)
class LoginView(ApiView, TokenViewBase):
    """An access token and a refresh token for a name and a password."""

    serializer_class = LoginSerializer


@extend_schema_serializer(component_name="Refresh")
class RefreshSerializer(serializers.Serializer[Any]):
    """A refresh token can be used once. Its second use ends the login that it is from."""

    refresh = serializers.CharField()
    access = serializers.CharField(read_only=True)

    def validate(self, attrs: dict[str, str]) -> dict[str, str]:
        return _pair(tokens.renew(_read(attrs["refresh"])))


@extend_schema(summary="Renew the tokens")
class RefreshView(ApiView, TokenViewBase):
    """A new access token and a new refresh token; the old refresh token is used up."""

    serializer_class = RefreshSerializer


@extend_schema_serializer(component_name="LogOut")
class LogoutSerializer(serializers.Serializer[Any]):
    refresh = serializers.CharField(write_only=True)

    def validate_refresh(self, text: str) -> str:
        family = tokens.family_of(_read(text))
        tokens.end(family)
        user_logged_out.send(sender=User, request=self.context["request"], user=family.user)
        return text


class LogoutView(ApiView, TokenViewBase):
    """End the login that this refresh token is from, with all its tokens."""

    serializer_class = LogoutSerializer

    @extend_schema(summary="Log out", responses={204: None})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        super().post(request, *args, **kwargs)
        return Response(status=status.HTTP_204_NO_CONTENT)


class LogoutEverywhereView(ApiView):
    """End every login of yours: all sessions and all tokens, also the one of this request."""

    @extend_schema(summary="Log out everywhere", request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        end_every_login(request)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _read(text: str) -> RefreshToken:
    try:
        return RefreshToken(cast(Any, text))
    except ODD_CLAIMS as error:
        raise InvalidToken("The token's claims cannot be read.") from error


def _pair(token: RefreshToken) -> dict[str, str]:
    return {"refresh": str(token), "access": str(token.access_token)}
