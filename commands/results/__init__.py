"""Results of commands, in few words: those of a list, and those of a whole batch."""

from commands.results.lines import lines_of
from commands.results.summary import ENDED_BADLY, Summary, of_batch, with_code

__all__ = ["ENDED_BADLY", "Summary", "lines_of", "of_batch", "with_code"]
