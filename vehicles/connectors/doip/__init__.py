"""UDS over DoIP. From the outside in: `connector` runs the `scripts` of commands by `requests`
(encoded by `uds`), on the `connection` of a `gateway`, after it checked the vehicle's `identity`.
"""
