"""The settings of the product, with passwords that are hashed in no time."""

from sovd.settings import *

PASSWORD_HASHERS = ["sovd.tests.hashers.QuickHasher", *PASSWORD_HASHERS[1:]]
