"""Deliveries: the ends of commands, batches and campaigns, told by webhooks and by e-mail.

`outbox` writes a row for each webhook that asks, in the transaction of the end: whoever dies
afterwards, it is sent. `delivery` claims a row, sends it to a checked address or by `mail`, and
writes down what came of it. A worker that dies in between sends it again with the same ID.
"""
