"""A hasher of passwords for tests. Secure ones take most of a second of CPU, by design."""

from commands.accounts.passwords import BoundedHasher


class QuickHasher(BoundedHasher):
    iterations = 1
