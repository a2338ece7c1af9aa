"""A clone of a site of 9,000 files and a database of 300 MB over ssh, its load into a stack, and the way back to a checkpoint."""

from __future__ import annotations

import shlex
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from live_server import LiveServer, running

from measure import filling
from measure.pairs import Pairs, measured, middle
from measure.table import Line, Row, amount
from updater.log import Silent
from updater.model import Snapshot
from updater.production.clone import clone
from updater.production.host import Host, connect
from updater.staging.stack import StackHandle, stage

ABOUT = "cloning 9,000 files and 300 MB of database, loading it, restoring a checkpoint, beside mariadb-dump | ssh | mariadb"
PAIRS = 3
FILES, MEDIA = 7500, 1500
MEGABYTES = 303

MEGABYTES_SQL = (
    "SELECT ROUND(SUM(data_length + index_length) / 1e6) FROM information_schema.tables WHERE table_schema = 'shop'"
)


@dataclass
class Stages:
    """Progress that notes when each thing was said."""

    said: list[tuple[float, str]] = field(default_factory=list)

    def step(self, name: str) -> None:
        self.say(name)

    def say(self, message: str) -> None:
        self.said.append((time.monotonic(), message))

    def seconds(self, begins: str, ends: str) -> float:
        """From the first line that begins with one to the first that begins with the other."""
        times = [next(at for at, what in self.said if what.startswith(wanted)) for wanted in (begins, ends)]
        return times[1] - times[0]


@dataclass(frozen=True)
class Cloned:
    snapshot: Snapshot
    files: float
    dump: float
    proof: float
    """Seconds; `proof` is the comparison of every code file with the server"""


def run() -> Row:
    with TemporaryDirectory(prefix="updater-bench-") as temporary:
        folder = Path(temporary)
        (folder / "server").mkdir()
        with running(folder / "server") as live, connect(live.server) as host:
            live.root(filling.files(live.docroot, FILES, MEDIA))
            live.root(filling.tables("shop_", MEGABYTES))
            live.root(
                'printf \'[client]\\nuser=shop\\npassword="%s"\\n\' "$p" > /home/deploy/.my.cnf; chown deploy: /home/deploy/.my.cnf',
                p=live.installation.database.password.replace("\\", "\\\\").replace('"', '\\"'),
            )
            return _row(live, host, folder)


def _row(live: LiveServer, host: Host, folder: Path) -> Row:
    count = int(live.root("find /srv/shop -type f | wc -l"))
    size = float(live.root(f'mariadb -N -e "{MEGABYTES_SQL}"'))
    by_hand, by_hand_again = _by_hand(live, folder)
    first = cloned(live, host, folder, "first")
    again = [cloned(live, host, folder, f"again-{turn}") for turn in range(PAIRS)]
    layout = replace(live.layout, volatile_tables=())
    with stage(live.site, first.snapshot, layout, Silent()) as stack:
        moved, why = _database(live, host, folder, stack)
        wrong = _unequal(live, stack)
        checkpoints = checkpointed(stack)
        wrong += _unequal(live, stack)
    files = Line(
        "files, second clone of an unchanged site, beside the first",
        middle(tuple(one.files for one in again)),
        "s",
        first.files,
        0.1,
        why=f"the first is quick; of the second, asking alone (`rsync` by hand, with nothing to copy) is {amount(by_hand_again, 's')}",
    )
    return Row(
        title="Cloning and restoring",
        peer="peer",
        how=f"A server in a container over ssh: {count} files, {size:.0f} MB of database with its indexes. Production and staging share "
        "these cores. The dump is one consistent snapshot; CHECKSUM TABLE of every table was equal after each load and restore."
        if not wrong
        else f"A server in a container over ssh: {count} files, {size:.0f} MB of database with its indexes.",
        lines=(
            files,
            Line("every code file compared with the server, each time", middle(tuple(one.proof for one in again)), "s"),
            Line("files, first clone, beside rsync by hand", first.files, "s", by_hand),
            Line.of("database dumped and loaded, beside `mariadb-dump | ssh | mariadb`", moved, 0.75, why=why),
            Line("a checkpoint made", checkpoints[0], "s"),
            Line("a checkpoint restored (files, database, both running again)", checkpoints[1], "s", goal=3.0),
        ),
        wrong=tuple(wrong),
    )


def cloned(live: LiveServer, host: Host, folder: Path, name: str, mirror: str = "mirror") -> Cloned:
    """A clone as a run takes it, into `folder`/`name`; it begins from what the mirror holds."""
    stages = Stages()
    layout = replace(live.layout, volatile_tables=())
    snapshot = clone(
        host,
        live.site,
        live.installation,
        layout,
        live.platform,
        f"bench-{name}",
        folder / mirror,
        folder / name,
        stages,
    )
    stages.say("done")
    compared = "comparing every code file"
    return Cloned(
        snapshot,
        files=stages.seconds("copying files", "reading the tables"),
        dump=stages.seconds("dumping", compared),
        proof=stages.seconds(compared, "done"),
    )


def _by_hand(live: LiveServer, folder: Path) -> tuple[float, float]:
    """Seconds of a first copy with rsync as one types it, and of a second; gone afterwards."""
    took = []
    with TemporaryDirectory(dir=folder) as target:
        *reached, account = _ssh(live, folder)
        command = ["rsync", "-az", "-e", shlex.join(reached), f"{account}:/srv/shop/", target]
        for _ in range(2):
            begun = time.monotonic()
            subprocess.run(command, check=True)
            took.append(time.monotonic() - begun)
    return took[0], took[1]


def _ssh(live: LiveServer, folder: Path) -> list[str]:
    known = folder / "known_hosts"
    known.write_text(f"{live.server.host} {live.server.host_key}\n", encoding="ascii")
    options = ["-i", str(live.server.key), "-o", f"UserKnownHostsFile={known}", "-o", "IdentitiesOnly=yes"]
    return ["ssh", *options, f"deploy@{live.server.host}"]


# ------------------------------------------------------------------------------------------------------- the database


def _database(live: LiveServer, host: Host, folder: Path, stack: StackHandle) -> tuple[Pairs, str]:
    """Both load into the stack's own server, and what ours spends its time on. Ours: the dump of a clone and its load, whole."""
    turns = iter(range(100))
    loads: list[float] = []
    dumps: list[float] = []

    def ours() -> float:
        taken = cloned(live, host, folder, f"database-{next(turns)}")
        begun = time.monotonic()
        stack.database.load(taken.snapshot.dump)
        loads.append(time.monotonic() - begun)
        dumps.append(taken.dump)
        return taken.dump + loads[-1]

    def theirs() -> float:
        _root(stack, "DROP DATABASE IF EXISTS byhand; CREATE DATABASE byhand")
        begun = time.monotonic()
        dump = subprocess.Popen([*_ssh(live, folder), "mariadb-dump --single-transaction shop"], stdout=subprocess.PIPE)
        client = ["docker", "exec", "-i", stack.stack.database, "mariadb", "byhand"]
        subprocess.run(client, stdin=dump.stdout, check=True)
        assert dump.wait() == 0
        return time.monotonic() - begun

    pairs = measured(ours, theirs, PAIRS)
    _root(stack, "DROP DATABASE byhand")
    print(f"dumps {dumps}, loads {loads}, by hand {pairs.theirs}", flush=True)
    dump, load = (amount(middle(tuple(seconds)), "s") for seconds in (dumps, loads))
    why = (
        f"the dump takes {dump}, loading it over two connections {load}; it is stored first, whole, since half of one must not be loaded, "
        "and production's processors are these too. By hand both go on at once"
    )
    return pairs, why


def _root(stack: StackHandle, statements: str) -> None:
    """As the staging server's own root, beside what the site may do."""
    subprocess.run(["docker", "exec", stack.stack.database, "mariadb", "-e", statements], check=True)


def _unequal(live: LiveServer, stack: StackHandle) -> list[str]:
    ours = stack.checksums()
    names = ", ".join(ours)
    told = live.root(f"mariadb -N shop -e 'CHECKSUM TABLE {names}'")
    theirs = {line.split("\t")[0].removeprefix("shop."): line.split("\t")[1] for line in told.splitlines()}
    assert len(theirs) >= 4, told
    return [
        f"CHECKSUM TABLE {name}: {ours[name]} here, {theirs.get(name)} on production"
        for name in ours
        if ours[name] != theirs.get(name)
    ]


def checkpointed(stack: StackHandle, times: int = PAIRS) -> tuple[float, float]:
    """Seconds to make one, and to come back to it after changes (median of so many times)."""
    begun = time.monotonic()
    stack.checkpoint("bench")
    made = time.monotonic() - begun
    restored = []
    for _ in range(times):
        stack.sql("UPDATE shop_orders SET total = total + 1; DROP TABLE shop_goods;")
        stack.run(["sh", "-c", "rm -r plugins/p00; echo x > index.php"])
        begun = time.monotonic()
        stack.restore("bench")
        restored.append(time.monotonic() - begun)
    return made, middle(tuple(restored))
