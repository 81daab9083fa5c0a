from django.contrib import admin

from commands.admin import (
    campaigns,
    commands,
    descriptions,
    records,
    saved_views,
    vehicles,
    webhooks,
)

__all__ = [
    "campaigns",
    "commands",
    "descriptions",
    "records",
    "saved_views",
    "vehicles",
    "webhooks",
]  # they register the models

admin.site.site_header = admin.site.site_title = "SOVD command console"
admin.site.index_title = "Administration"
admin.site.enable_nav_sidebar = False  # its place is the tables'
