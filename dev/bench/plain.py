"""Yardstick: an ordinary DRF view with JWT that stores a row and its first event, on daphne."""

import os
import uuid
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings

address = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    SECRET_KEY=os.environ["SECRET_KEY"],
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": address.path[1:],
            "HOST": address.hostname,
            "PORT": address.port,
            "USER": address.username,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": {"pool": {"min_size": 1, "max_size": 20}},
        }
    },
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "rest_framework_simplejwt.authentication.JWTAuthentication"
        ],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402
from django.db import models, transaction  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework import generics, serializers  # noqa: E402


class Command(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=64)
    params = models.JSONField()
    user_id = models.IntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "bench"

    def __str__(self) -> str:
        return self.name


class Event(models.Model):
    command = models.ForeignKey(Command, on_delete=models.CASCADE)
    number = models.IntegerField()
    payload = models.JSONField()

    class Meta:
        app_label = "bench"

    def __str__(self) -> str:
        return f"{self.number}"


class CommandSerializer(serializers.ModelSerializer[Command]):
    class Meta:
        model = Command
        fields = ["id", "name", "params", "user_id", "created_at"]
        read_only_fields = ["user_id"]


class CreateView(generics.CreateAPIView[Command]):
    serializer_class = CommandSerializer

    def perform_create(self, serializer: Any) -> None:
        with transaction.atomic():
            command = serializer.save(user_id=self.request.user.pk)
            Event(command=command, number=1, payload={"status": "pending"}).save()


urlpatterns = [path("commands/", CreateView.as_view())]
application = get_asgi_application()
