from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, ExpressionWrapper, OuterRef, Q, Subquery
from django.db.models.functions import Now

from commands.catalogue import SAFE_TO_REPEAT
from commands.database.like import like
from commands.models.campaign import Campaign
from commands.models.lock import VehicleLock
from commands.models.status import OPEN, TERMINAL, UNSUCCESSFUL, ErrorCode, Priority, Status
from vehicles import strict_json
from vehicles.connectors import READ_BACK
from vehicles.models import Vehicle, is_connected, is_tested

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

    from vehicles.connectors import base as connectors

MAX_LOST_WORKERS = 3  # a command that has cost so many is taken for the cause, and fails
TO_READ_BACK = (
    Q(sent_at__isnull=False)
    & ~Q(command_name__in=SAFE_TO_REPEAT)
    & Q(vehicle__connector__in=READ_BACK)
)
# A range, so that a query with it can use no other partial index than `command_vehicle_queue`,
# whatever the planner's statistics say.
IN_LINE = Q(status__range=(Status.PENDING, Status.PENDING))
# Two more ways to say that a command is pending, each the condition of one index. No other query
# can use that index: one for `status = 'pending'` would, while the statistics know of no such row.
MAY_EXPIRE = like("status", f"{Status.PENDING}%")
IS_COUNTED_FOR_USER = like("status", f"%{Status.PENDING}")
IS_DUE = ~Q(not_before__gt=Now())


def sees_all_commands(user: User | AnonymousUser) -> bool:
    return user.has_perm("commands.view_command")  # False for a user who is not active


class CommandQuerySet(models.QuerySet["Command"]):
    def visible_to(self, user: User | AnonymousUser) -> CommandQuerySet:
        """Return the commands that the user may see: all with `view_command`, else their own."""
        return self if sees_all_commands(user) else self.of(user.pk)

    def of(self, user_id: int | None) -> CommandQuerySet:
        """Return the commands that the user has submitted."""
        return self.filter(submitted_by_id=user_id)

    def with_may_run(self) -> Any:
        """Annotate `may_run`: first in line of a reachable vehicle that is not busy.

        As a column it cannot make the planner begin with the vehicles, however few its statistics
        take for connected.
        """
        vehicle = OuterRef("vehicle_id")
        is_reachable = is_connected("vehicle__") & ~is_tested("vehicle__")
        return self.annotate(
            may_run=ExpressionWrapper(
                is_reachable & Q(pk=first_in_line(vehicle)) & ~Exists(running_on(vehicle)),
                output_field=models.BooleanField(),
            )
        )

    def eligible(self) -> CommandQuerySet:
        """Return the pending commands that count in the line of their vehicle.

        A condition that keeps a command out of the line for a time belongs here, such as a lock of
        another user: the claim and `mark_ready` ask nothing else. When the condition ends by a
        write, call `lifecycle.mark_ready` after its commit; when it ends by the clock, as
        `not_before` does, the next probe of the vehicle does that.
        """
        return self.filter(
            IN_LINE, IS_DUE, ~is_barred(), is_let_go_by_campaign(), expires_at__gt=Now()
        )

    def ready(self) -> CommandQuerySet:
        """Return the commands that the claim should look at, by turn."""
        return self.filter(is_ready=True).order_by("turn", "command_id")

    def without_lock(self) -> CommandQuerySet:
        """Return the pending commands that were submitted under a lock which is gone."""
        lock = VehicleLock.objects.live().filter(lock_id=OuterRef("lock_id"))
        pending = self.filter(status=Status.PENDING, lock_id__isnull=False)
        return pending.filter(~Exists(lock))

    def ahead_of(self, command: Command) -> CommandQuerySet:
        """Return the commands that came before this one, also those that wait for a lock's end."""
        same_vehicle = self.filter(vehicle=command.vehicle_id).exclude(pk=command.pk)
        earlier = Q(submitted_at__lt=command.submitted_at) | Q(
            submitted_at=command.submitted_at, command_id__lt=command.pk
        )
        waiting = Q(IS_DUE, status=Status.PENDING, expires_at__gt=Now()) & earlier
        return same_vehicle.filter(Q(status=Status.IN_PROGRESS) | waiting)

    def still_open(self) -> CommandQuerySet:
        """Lock the open commands until the transaction ends, in the order of every such lock."""
        return self.filter(status__in=OPEN).order_by("pk").select_for_update()

    def unsuspected(self) -> CommandQuerySet:
        return self.filter(lost_workers__lt=MAX_LOST_WORKERS - 1)

    def overdue(self) -> CommandQuerySet:
        return self.filter(MAY_EXPIRE, expires_at__lte=Now()).order_by("expires_at")

    def pending_of(self, user_id: int) -> CommandQuerySet:
        """Return the pending commands of the user that are counted for their limit."""
        return self.filter(IS_COUNTED_FOR_USER, submitted_by=user_id, campaign=None)

    def lapsed(self) -> CommandQuerySet:
        """Return the commands whose worker has stopped renewing their lease."""
        return self.filter(status=Status.IN_PROGRESS, lease_expires_at__lte=Now()).order_by(
            "lease_expires_at"
        )

    def to_read_back(self) -> CommandQuerySet:
        """Return commands that were sent, are not safe to repeat, and can be read back."""
        return self.filter(TO_READ_BACK)


def still(status: str) -> Q:
    """Return the condition that a row which is found by its key has this status.

    As `status = 'pending'` it would let the planner read an index of all that waits instead, when
    its statistics say that nothing does.
    """
    return ~Q(status__in=[other for other in Status if other != status])


def running_on(vehicle: Any) -> CommandQuerySet:
    return Command.objects.filter(vehicle=vehicle, status=Status.IN_PROGRESS).order_by()


def first_in_line(vehicle: Any) -> Subquery:
    """Return the ID of the command that a vehicle carries out next.

    A subquery with a limit, which no planner turns into a join: it reads one entry of an index.
    """
    line = Command.objects.eligible().filter(vehicle=vehicle)
    return Subquery(line.order_by("submitted_at", "command_id").values("pk")[:1])


def is_barred() -> Q:
    """Kept out of the line by a lock: another user's, or its own, which is gone.

    Only what is not safe to repeat is bound by locks.
    """
    locks = VehicleLock.objects.live().filter(vehicle=OuterRef("vehicle_id"))
    of_others = Exists(locks.exclude(holder=OuterRef("submitted_by_id")))
    own = Exists(locks.filter(lock_id=OuterRef("lock_id")))
    is_bound = ~Q(command_name__in=SAFE_TO_REPEAT)
    return is_bound & (Q(of_others) | Q(lock_id__isnull=False) & ~Q(own))


def is_let_go_by_campaign() -> Any:
    """Condition for commands of no campaign, or of one that may send now.

    As an OR, which no planner turns into a join.
    """
    closed = Campaign.objects.closed().filter(pk=OuterRef("campaign_id"))
    return Q(campaign=None) | ~Exists(closed)


class Command(models.Model):
    command_id = models.UUIDField("command ID", primary_key=True, default=uuid.uuid4)
    vehicle = models.ForeignKey(
        Vehicle, on_delete=models.PROTECT, related_name="commands", db_index=False
    )
    command_name = models.CharField(max_length=64)
    command_params = models.JSONField(default=dict, decoder=strict_json.Decoder)
    status = models.CharField(max_length=12, choices=Status, default=Status.PENDING)
    error_code = models.CharField(max_length=32, choices=ErrorCode, blank=True)
    error_message = models.TextField(blank=True)
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="commands",
        db_index=False,
    )
    batch = models.ForeignKey(
        "commands.Batch",
        on_delete=models.PROTECT,
        null=True,
        related_name="commands",
        db_index=False,
    )
    campaign = models.ForeignKey(
        Campaign, on_delete=models.PROTECT, null=True, related_name="commands", db_index=False
    )
    is_counted = models.BooleanField(default=False, db_default=False)  # by its campaign
    submitted_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)  # until then it is not in the vehicle's line
    expires_at = models.DateTimeField()
    priority = models.CharField(
        max_length=11,
        choices=Priority,
        default=Priority.INTERACTIVE,
        db_default=Priority.INTERACTIVE,
    )
    last_sequence_number = models.PositiveIntegerField(default=0)

    # The place in the order of claims over all vehicles: see `lifecycle/submission.py`.
    turn = models.DateTimeField(db_default=Now())
    # A hint that the claim should look at this command: see commands/lifecycle/readiness.py.
    is_ready = models.BooleanField(default=False, db_default=False)
    # The number of the event of the last claim: only the responses after it count.
    claim_sequence_number = models.PositiveIntegerField(db_default=0)

    # The claim of a worker. The token fences its writes, the lease says until when it may be
    # silent, and `sent_at` is written before a vehicle gets a request that is not safe to repeat.
    # `codes_before` are the trouble codes that were stored in the vehicle then.
    claim_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    codes_before = models.JSONField(null=True, decoder=strict_json.Decoder)
    # By which connector, settings and ECUs it was sent: see vehicles/route.py.
    sent_route = models.CharField(max_length=64, blank=True, db_default="")
    cancel_requested_at = models.DateTimeField(null=True)
    # The lock of the vehicle under which it was submitted: without that it is not sent.
    lock_id = models.UUIDField("lock ID", null=True)
    lost_workers = models.PositiveSmallIntegerField(db_default=0)

    objects = CommandQuerySet.as_manager()

    class Meta:
        ordering = ["-submitted_at", "-command_id"]
        permissions = [("send_intrusive", "Can send commands that write to, control or reset ECUs")]
        constraints = [
            models.UniqueConstraint(
                name="one_running_command_per_vehicle",
                fields=["vehicle"],
                condition=Q(status=Status.IN_PROGRESS),
            ),
            models.CheckConstraint(
                name="command_status_is_known", condition=Q(status__in=Status.values)
            ),
        ]
        indexes = [
            # Read by the worker: the claim, its look for earlier commands, and both sweeps.
            models.Index(
                name="command_queue",
                fields=["submitted_at", "command_id"],
                condition=Q(status=Status.PENDING),
            ),
            models.Index(
                name="command_ready", fields=["turn", "command_id"], condition=Q(is_ready=True)
            ),
            models.Index(
                name="command_vehicle_queue",
                fields=["vehicle", "submitted_at", "command_id"],
                condition=IN_LINE,
            ),
            models.Index(name="command_expiring", fields=["expires_at"], condition=MAY_EXPIRE),
            models.Index(
                name="command_lapsed",
                fields=["lease_expires_at"],
                condition=Q(status=Status.IN_PROGRESS),
            ),
            # Read by the sweep of commands whose lock is gone.
            models.Index(
                name="command_under_lock",
                fields=["lock_id"],
                condition=Q(status=Status.PENDING, lock_id__isnull=False),
            ),
            # Read by a submission: how many of the user's commands wait.
            models.Index(
                name="command_waiting_of_user",
                fields=["submitted_by", "campaign", "priority", "batch"],
                condition=IS_COUNTED_FOR_USER,
            ),
            # Read by the lists of the API, the console and the admin.
            models.Index(name="command_latest", fields=["-submitted_at"]),
            models.Index(name="command_latest_of_user", fields=["submitted_by", "-submitted_at"]),
            models.Index(name="command_latest_of_vehicle", fields=["vehicle", "-submitted_at"]),
            # The same, filtered by a value that may be rare or absent: without these the whole
            # table would be read to find that out.
            models.Index(name="command_latest_of_name", fields=["command_name", "-submitted_at"]),
            models.Index(
                name="command_latest_unsuccessful",
                fields=["status", "-submitted_at"],
                condition=Q(status__in=UNSUCCESSFUL),
            ),
            # The same for two values, each of which is frequent, and both together rare or absent.
            models.Index(
                name="command_latest_of_both",
                fields=["vehicle", "command_name", "-submitted_at"],
            ),
            models.Index(
                name="command_latest_unsuccessful_of",
                fields=["status", "command_name", "-submitted_at"],
                condition=Q(status__in=UNSUCCESSFUL),
            ),
            # The same for the reason of a failure: most reasons are rare.
            models.Index(
                name="command_latest_of_error",
                fields=["error_code", "-submitted_at"],
                condition=~Q(error_code=""),
            ),
            # Read by the page of a batch and by its automatic stop.
            models.Index(
                name="command_of_batch",
                fields=["batch", "status", "completed_at"],
                condition=~Q(batch=None),
            ),
            # Read by the list of a campaign's commands.
            models.Index(
                name="command_latest_of_campaign",
                fields=["campaign", "-submitted_at"],
                condition=~Q(campaign=None),
            ),
            # Read by the workers that advance a campaign.
            models.Index(
                name="command_not_counted",
                fields=["campaign", "status"],
                condition=Q(is_counted=False, campaign__isnull=False),
            ),
            # Read by the timeline of a vehicle's trouble codes.
            models.Index(
                name="command_trouble_codes",
                fields=["vehicle", "-submitted_at"],
                condition=Q(
                    command_name__in=["ReadDTC", "ClearDTC", "ScanVehicle"],
                    status=Status.COMPLETED,
                ),
            ),
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.exchanges_to_keep: list[connectors.Exchange] = []  # stored with the next write

    def __str__(self) -> str:
        return f"{self.command_name} {self.command_id}"

    def is_visible_to(self, user: User | AnonymousUser) -> bool:
        """Return whether `visible_to` would return this command."""
        return self.submitted_by_id == user.pk or sees_all_commands(user)

    @property
    def is_suspect(self) -> bool:
        """True if one more lost worker makes the command fail."""
        return self.lost_workers >= MAX_LOST_WORKERS - 1

    @property
    def is_scan_by_itself(self) -> bool:
        """True for a scan that belongs to no batch and no campaign."""
        is_one_of_many = self.batch_id is not None or self.campaign_id is not None
        return self.command_name == "ScanVehicle" and not is_one_of_many

    @property
    def has_ended(self) -> bool:
        return self.status in TERMINAL
