import random


def jittered(seconds: float) -> float:
    """Return a random time near this one, so that clients that failed together retry apart."""
    return seconds * random.uniform(0.5, 1.5)
