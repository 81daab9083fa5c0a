"""How the admin writes times: with seconds, as one reads them in a log."""

DATETIME_FORMAT = "Y-m-d H:i:s"
