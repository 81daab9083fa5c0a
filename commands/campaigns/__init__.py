"""Campaigns: one command for many vehicles, in waves.

A campaign is made of ordinary commands. Workers advance it in short transactions that hold its
row: each sends the next commands of a wave, or counts commands that have ended, and writes in the
same transaction how far it is. So a worker that is killed has sent and counted all of it or
nothing, and of two workers only one advances a campaign at a time.

While a campaign is paused, has ended, or its window is closed, none of its commands is in the line
of its vehicle: see `CommandQuerySet.eligible`.
"""
