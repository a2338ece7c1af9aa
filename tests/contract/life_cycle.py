"""One harness for every driver: the life of an update on a real installation, from detection to a byte-identical rollback.

The caller brings a place (`shell`, `docroot`, `php`), the driver, packages that lie on that place, and `visit`: a function that
asks the web server for a path with cookies and gives status, headers (lower case) and body.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from updater.cms.base import REFUSED_HEAD, Driver, Gate, runnable
from updater.errors import UpdateFailed
from updater.model import Installation, MigrationStep, Update
from updater.shell import Shell, code_manifest, parse_answer

Visit = Callable[[str, Mapping[str, str]], tuple[int, Mapping[str, str], str]]


@dataclass(frozen=True)
class Place:
    """A real installation of one CMS, and what is to be done to it. `updates` is ordered as sources.plan() orders."""

    driver: Driver
    shell: Shell
    docroot: str
    php: str
    updates: Sequence[Update]
    packages: Mapping[str, str]
    """Update.id → path of its package on that place"""
    broken_package: str
    """a path there, of an archive that is none"""
    visit: Visit
    doors: Sequence[str]
    """paths of the site that reach PHP, each by another way: all closed behind the gate"""
    hosts: Sequence[str] = ()


def drive(place: Place) -> None:
    """Everything a run does with a driver. Leaves the code as it was (the database stays migrated)."""
    driver, shell = place.driver, place.shell
    installation = driver.detect(shell, place.docroot, place.php)
    assert installation is not None
    assert installation.cms == driver.NAME
    assert installation.database.password not in repr(installation)
    layout = driver.layout(shell, installation)
    inventory = driver.inventory(shell, installation)
    known = {f"{component.kind}:{component.slug}": component for component in inventory.components}
    active = {name for name, component in known.items() if component.active}
    left_out = (*layout.media, *layout.caches)

    def code() -> dict[str, str]:
        return code_manifest(shell, place.php, place.docroot, left_out, installation.elsewhere)

    def real(path: str) -> str:
        for name, folder in installation.elsewhere.items():
            if path.startswith(f"{name}/"):
                return folder + path.removeprefix(name)
        return f"{place.docroot}/{path}"

    before = code()
    backup = f"/tmp/contract-{driver.NAME}-{hashlib.sha256(place.docroot.encode()).hexdigest()[:8]}.tar"
    roots = [place.docroot, *installation.elsewhere.values()]
    shell.run(["tar", "-Pcf", backup, *roots])
    driver.guard(shell, installation, place.hosts)
    staged = code()
    guarded = {path for path, value in staged.items() if before.get(path) != value}
    assert guarded <= set(driver.staging_only()), "a guard file outside staging_only() would reach a release"
    assert place.visit("/", {})[0] == 200

    _a_broken_package_changes_nothing(place, installation)
    assert code() == staged
    for update in place.updates:
        assert known[update.id].version == update.from_version
        assert driver.apply(shell, installation, update, place.packages[update.id]) == update.to_version
    run_steps(place, installation, driver.migration(installation, place.updates))

    after = driver.inventory(shell, installation)
    versions = {f"{component.kind}:{component.slug}": component.version for component in after.components}
    assert {update.id: versions[update.id] for update in place.updates} == {u.id: u.to_version for u in place.updates}
    now_active = {f"{component.kind}:{component.slug}" for component in after.components if component.active}
    assert active <= now_active
    assert place.visit("/", {})[0] == 200

    present = code()
    changed = sorted(path for path in before.keys() | present.keys() if before.get(path) != present.get(path))
    changed = [path for path in changed if path not in driver.staging_only()]
    units = driver.units(place.updates, inventory, changed)
    for path in changed:
        assert sum(path == unit or path.startswith(f"{unit}/") for unit in units) == 1, (
            f"{path} is not in exactly one unit"
        )

    the_gate_closes_and_opens(place, installation)

    for path in driver.staging_only():
        shell.run(["rm", "-f", f"{place.docroot}/{path}"])
        shell.run(["rmdir", "--ignore-fail-on-non-empty", f"{place.docroot}/{path.rsplit('/', 1)[0]}"])
    for unit in units:
        shell.run(["rm", "-rf", real(unit)])
    shell.run(["tar", "-Pxf", backup])
    shell.run(["rm", "-f", backup])
    restored = code()
    assert {path for path in before.keys() | restored.keys() if before.get(path) != restored.get(path)} == set()


def run_steps(place: Place, installation: Installation, steps: Sequence[MigrationStep]) -> None:
    """Each step in its own process, as a transaction runs it: PHP on stdin and UPDATER_RUN in the environment."""
    for step in steps:
        stdin = runnable(step, installation.database)
        done = place.shell.run([place.php], stdin=stdin, env={"UPDATER_RUN": "contract"}, check=False)
        assert parse_answer(done, step.name).get("ok") is True, step.name
        assert done.exit_code == 0, step.name


def the_gate_closes_and_opens(place: Place, installation: Installation) -> None:
    """Closed to strangers on every path, open to the bypass cookie and to this run's PHP; the token is read anew each time."""
    gate = place.driver.gate(installation)

    def token(secret: str) -> None:
        digest = hashlib.sha256(secret.encode()).hexdigest()
        place.shell.write(f"{place.docroot}/{gate.token_file}", digest.encode(), 0o644)

    with closed(place, gate, "first secret"):
        for path in place.doors:
            status, headers, body = place.visit(path, {})
            assert status == 503, path
            assert int(headers["retry-after"]) > 0
            assert "Back in a minute" in body, path
            assert body.count("<html") == 1, path
        assert place.visit("/", {gate.cookie: "a guess"})[0] == 503
        assert place.visit("/", {gate.cookie: "first secret"})[0] == 200
        token("second secret")
        assert place.visit("/", {gate.cookie: "first secret"})[0] == 503
        assert place.visit("/", {gate.cookie: "second secret"})[0] == 200
        # Again, as a promotion runs it: each step is safe to run twice, and passes the gate.
        run_steps(
            place,
            installation,
            (*place.driver.migration(installation, place.updates), *place.driver.purge(installation)),
        )
        place.shell.run(["rm", "-f", f"{place.docroot}/{gate.token_file}"])
        assert place.visit("/", {gate.cookie: ""})[0] == 503, "without a token file nobody passes"
        refused = place.shell.read(f"{place.docroot}/{gate.refused_file}").decode("ascii").removeprefix(REFUSED_HEAD)
    lines = [line.split("\t") for line in refused.splitlines()]
    assert [line[2] for line in lines[: len(place.doors)]] == list(place.doors), "whom the gate refused is told"
    assert {len(line) for line in lines} == {4}
    assert place.visit("/", {})[0] == 200


@contextmanager
def closed(place: Place, gate: Gate, secret: str) -> Iterator[None]:
    """The site behind its gate, as a promotion puts it there: what the gate needs first, its files in order, removed in reverse."""
    shell, docroot = place.shell, place.docroot
    beside = {
        gate.token_file: hashlib.sha256(secret.encode()).hexdigest(),
        **({gate.refused_file: REFUSED_HEAD} if gate.refused_file else {}),
    }
    for path, text in beside.items():
        shell.write(f"{docroot}/{path}", text.encode(), 0o644)
    for path, text in gate.files.items():
        if path in gate.kept:
            shell.run(["ln", f"{docroot}/{path}", f"{docroot}/{gate.kept[path]}"])
        shell.write(f"{docroot}/{path}", text.encode(), 0o644)
    if gate.kept:
        forget_opcache(place)
    try:
        yield
    finally:
        for path in reversed([*gate.files]):
            if path in gate.kept:
                shell.run(["mv", "-f", f"{docroot}/{gate.kept[path]}", f"{docroot}/{path}"])
            else:
                shell.run(["rm", "-f", f"{docroot}/{path}"])
        shell.run(["rm", "-f", *(f"{docroot}/{path}" for path in beside)])


def forget_opcache(place: Place) -> None:
    """As a promotion does it: opcache may go on serving the file that the gate stands in for."""
    name = f"updater-reset-{secrets.token_hex(4)}.php"
    place.shell.write(f"{place.docroot}/{name}", b"<?php echo (int) opcache_reset();", 0o644)
    try:
        assert place.visit(f"/{name}", {})[2].strip() == "1"
    finally:
        place.shell.run(["rm", "-f", f"{place.docroot}/{name}"])


def _a_broken_package_changes_nothing(place: Place, installation: Installation) -> None:
    with pytest.raises(UpdateFailed) as caught:
        place.driver.apply(place.shell, installation, place.updates[-1], place.broken_package)
    assert caught.value.cause
