"""The web server: uvicorn, with the limits that it lacks on requests and on WebSockets."""
