"""SOVD (ISO 17978-3). From the outside in: `connector` runs `scripts` over a `session` of requests
to a `server`, after it checked the vehicle's `identity`.
"""
