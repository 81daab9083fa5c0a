import random


def jittered(seconds: float) -> float:
    """About so long: whoever failed together must not try again together."""
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311
