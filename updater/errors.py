"""Every failure a user can cause or meet: what happened, where, why, and what to type next."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command (README, "Exit codes"); CI jobs map them to a job status."""

    DONE = 0
    REJECTED = 1
    USAGE = 2
    AWAITING_APPROVAL = 3
    ROLLED_BACK = 4
    UNKNOWN_STATE = 5
    LOCKED = 6
    INCONCLUSIVE = 7
    BUG = 70
    INTERRUPTED = 130


class UpdaterError(Exception):
    """An expected failure. `hint` names the next command to type or the line to change."""

    exit_code: ExitCode = ExitCode.USAGE

    def __init__(self, what: str, *, where: str = "", cause: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.cause = cause
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.cause:
            lines.append(f"  why:   {self.cause}")
        if self.hint:
            lines.append(f"  next:  {self.hint}")
        return "\n".join(lines)


class ConfigError(UpdaterError):
    """site.yml is wrong. Carries every mistake at once, one per line."""


class ConnectionFailed(UpdaterError):
    """Production could not be reached: host key, network, credentials."""


class UnsupportedSite(UpdaterError):
    """The site was recognised and is refused: no CMS in the docroot, multisite, Composer, a version out of range."""


class CulpritUnknown(UpdaterError):
    """The updates break the shop, and it could not be found which of them does."""

    exit_code = ExitCode.INCONCLUSIVE


class CommandFailed(UpdaterError):
    """A command on production or in staging ended with another exit code than 0, or ran out of time."""

    exit_code = ExitCode.INCONCLUSIVE


class CloneFailed(UpdaterError):
    """Production could not be copied whole. What was copied is marked incomplete and never staged."""

    exit_code = ExitCode.INCONCLUSIVE


class StagingFailed(UpdaterError):
    """Docker is missing or the stack did not come up. Says nothing about the updates."""

    exit_code = ExitCode.INCONCLUSIVE


class BackupFailed(UpdaterError):
    """A backup could not be made, found or fetched. Production was only read."""

    exit_code = ExitCode.INCONCLUSIVE


class PackageRefused(UpdaterError):
    """An update package that must not be opened or applied: truncated, another slug, a path that climbs out, a symlink."""

    exit_code = ExitCode.REJECTED


class UpdateFailed(UpdaterError):
    """The CMS's own updater failed on staging, or the version read back is not the one it was asked for."""

    exit_code = ExitCode.REJECTED


class VendorSilent(UpdaterError):
    """The server that alone gives a CMS its updates did not answer, or refused the site. Says nothing about the updates."""

    exit_code = ExitCode.INCONCLUSIVE


class SiteLocked(UpdaterError):
    """Another run works on this site."""

    exit_code = ExitCode.LOCKED


class Drifted(UpdaterError):
    """Production changed between the clone and the approval: what was tested is not what would be deployed."""

    exit_code = ExitCode.REJECTED


class PromotionRefused(UpdaterError):
    """The server refused before the shop was closed: no space, no restarter, a foreign gate. The approval can be given again."""


class ApprovalRefused(UpdaterError):
    """The run cannot be approved: not passed, expired, approved already, evidence altered."""


class NotNow(UpdaterError):
    """The run may be approved, but policy lets nothing be deployed at this moment. It waits on."""

    exit_code = ExitCode.AWAITING_APPROVAL


class StateUnknown(UpdaterError):
    """The rollback failed or production's state is unknown: page someone."""

    exit_code = ExitCode.UNKNOWN_STATE


class WaitsForAPerson(StateUnknown):
    """A deploy can go neither on nor back by itself. Production stands still, in a way that is known; the hint says what ends that."""


class Interrupted(UpdaterError):
    """Ctrl-C. Production is whole; the hint says how to go on."""

    exit_code = ExitCode.INTERRUPTED
