"""Formats of the admin: times with seconds, like those of a log."""

DATETIME_FORMAT = "Y-m-d H:i:s"
