"""What is done to a promotion: each fault, and how it is mended where the world would mend it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from hosting import Hosting

NOTHING = "nothing"
PAUSE = "six seconds' pause"
UPDATER_KILLED = "kill -9 of the updater"
SSH_CUT = "ssh cut"
NETWORK = "network to the server dropped"
PROCESS_KILLED = "kill -9 of the process on the server"
WATCHDOG_KILLED = "kill -9 of the watchdog"
ALL_KILLED = "kill -9 of the updater, the process and its watchdog"
RESTART = "server container restarted"
DATABASE = "database restarted"
DISK_FULL = "disk full on the server"
REPLY_LOST = "reply lost after success"
MIGRATION_FAILS = "migration that fails half way"
MIGRATION_HANGS = "migration that hangs"
CHECK_FAILS = "post-deploy check that fails"
AT_DEADLINE = "confirmation exactly at the deadline"

INJURIES = (
    UPDATER_KILLED, SSH_CUT, NETWORK, PROCESS_KILLED, WATCHDOG_KILLED, ALL_KILLED, RESTART, DATABASE, DISK_FULL, REPLY_LOST,
)  # fmt: skip
"""What can happen at any point."""
ON_THE_SERVER = (PROCESS_KILLED, ALL_KILLED, RESTART, DATABASE, DISK_FULL)
"""What the way back can still be hurt by: nobody is asked any more."""
CRON_MENDS = (ALL_KILLED, RESTART)
"""Nothing of ours is left alive on the server: cron starts the watchdog within a minute."""


STOP = "if (@rename('/fault/in-migration', '/fault/reached')) { while (!file_exists('/fault/go')) { usleep(20000); clearstatcache(); } }\n"
"""PHP: a migration stops here once, where `points.IN_MIGRATION` was armed."""


@dataclass
class Scene:
    """Where a fault happens."""

    host: Hosting
    updater: subprocess.Popen[str]
    run_folder: str
    exact: bool
    """At a known place, where what is hurt must be there."""


def _kill_updater(scene: Scene) -> None:
    with suppress(ProcessLookupError):  # at a random time it may have ended
        os.killpg(scene.updater.pid, signal.SIGKILL)


def cut_ssh(scene: Scene) -> None:
    scene.host.root("pkill -9 -u deploy -x sshd", check=False)


def _drop_network(scene: Scene) -> None:
    # The updater's: customers come by another port, the server's own calls by lo.
    scene.host.root(
        "iptables -I INPUT -i eth0 -p tcp ! --dport 8080 -j DROP; iptables -I OUTPUT -o eth0 -p tcp ! --sport 8080 -j DROP"
    )


def _kill_process(scene: Scene) -> None:
    scene.host.root(f"kill -9 -$(cat {scene.run_folder}/actor.pid)", check=scene.exact)


def _kill_watchdog(scene: Scene) -> None:
    _await_watchdog(scene)
    scene.host.root(f"kill -9 $(cat {scene.run_folder}/watch.pid)", check=scene.exact)


def _await_watchdog(scene: Scene) -> None:
    """At the first places it may not have begun yet."""
    if scene.exact:
        assert scene.host.holds(f"[ -s {scene.run_folder}/watch.pid ]", 10), "no watchdog was ever started"


def _kill_all(scene: Scene) -> None:
    _kill_updater(scene)
    _await_watchdog(scene)
    scene.host.root(
        f"cd {scene.run_folder} && kill -9 $(cat watch.pid) && kill -9 -$(cat actor.pid) && {{ kill -9 -$(cat job.pid) || true; }}",
        check=scene.exact,
    )


def _restart_database(scene: Scene) -> None:
    scene.host.root("pkill -9 -x mariadbd")


def _fill_disk(scene: Scene) -> None:
    scene.host.root(
        "dd if=/dev/zero of=/srv/full bs=1M 2>/dev/null; dd if=/dev/zero of=/srv/fuller bs=512 2>/dev/null", check=False
    )


def _lose_reply(scene: Scene) -> None:
    if not (scene.host.signals / "held").exists():  # the point may be an answer itself
        (scene.host.signals / "hold").touch()


INFLICT: dict[str, Callable[[Scene], None]] = {
    UPDATER_KILLED: _kill_updater,
    SSH_CUT: cut_ssh,
    NETWORK: _drop_network,
    PROCESS_KILLED: _kill_process,
    WATCHDOG_KILLED: _kill_watchdog,
    ALL_KILLED: _kill_all,
    RESTART: lambda scene: scene.host.restart(),
    DATABASE: _restart_database,
    DISK_FULL: _fill_disk,
    REPLY_LOST: _lose_reply,
    PAUSE: lambda scene: time.sleep(6),
}


def afterwards(fault: str, scene: Scene) -> None:
    """The second half of a fault, once the transaction goes on: the line is cut while an answer is on its way."""
    if fault == REPLY_LOST:
        limit = time.monotonic() + 10
        while not (scene.host.signals / "held").exists() and time.monotonic() < limit:
            time.sleep(0.02)
        cut_ssh(scene)
        (scene.host.signals / "cut").touch()


def mend(fault: str, host: Hosting) -> None:
    """What comes back by itself or by the hosting's hand: the network, space on the disk."""
    if fault == NETWORK:
        host.root("iptables -F INPUT; iptables -F OUTPUT")
    if fault == DISK_FULL:
        host.root("rm -f /srv/full /srv/fuller")
