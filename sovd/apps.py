from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class SovdConfig(AppConfig):
    name = "sovd"


class AdminConfig(DjangoAdminConfig):
    default_site = "sovd.admin.AdminSite"
