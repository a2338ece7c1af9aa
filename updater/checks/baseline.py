"""The look that a person last approved: `baselines/<site>/` beside site.yml. Tells that production itself has drifted.

It is no baseline of a verdict (that is the un-updated clone of five minutes ago): what differs here was changed on
production by others since, and is told without failing anything.
"""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import yaml

from updater.checks import visual
from updater.checks.observation import Observation, Shot
from updater.errors import UpdaterError
from updater.language import sentence
from updater.model import Check, Finding, Status, Thresholds

_FILE = "baseline.yml"


def keep(approved: Observation, folder: Path, *, run: str, person: str, at: datetime) -> None:
    """Make these pictures the approved look. Written beside the old one and put in its place by rename."""
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shots = []
    for shot in approved.shots:
        file = Path(_name(shot.page), f"{shot.viewport}.png")
        (fresh / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(approved.folder / shot.file, fresh / file)
        shots.append(
            {
                "page": shot.page,
                "viewport": shot.viewport,
                "file": str(file),
                "sha256": shot.sha256,
                "size": [shot.width, shot.height],
                "masks": [list(mask) for mask in shot.masks],
            }
        )
    head = {"run": run, "approved_by": person, "at": at.isoformat()}
    (fresh / _FILE).write_text(yaml.safe_dump({**head, "pictures": shots}, allow_unicode=True, sort_keys=False))
    if folder.exists():
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        fresh.rename(folder)
        shutil.rmtree(old)
    else:
        fresh.rename(folder)


def compare(now: Observation, folder: Path, thresholds: Thresholds, into: Path, root: Path) -> tuple[Check, ...]:
    """One check that never decides: which pages of the clone look other than approved. () when nothing was approved yet.

    Raises UpdaterError when baseline.yml cannot be read.
    """
    if not (folder / _FILE).exists():
        return ()
    approved, when = _load(folder)
    known = {(shot.page, shot.viewport) for shot in approved.shots}
    seen = Observation(now.folder, 0, (), (), tuple(s for s in now.shots if (s.page, s.viewport) in known), {})
    _pictures, checks = visual.compare(approved, approved, seen, thresholds, into, root)
    drifted = [check for check in checks if check.status is not Status.PASSED]
    findings = tuple(Finding("drift", check.name.removeprefix(f"{visual.NAME} "), check.detail) for check in drifted)
    detail = (
        sentence(
            "{differ} of {all} pictures of production differ from the look approved on {day:%Y-%m-%d}",
            differ=len(drifted),
            all=len(checks),
            day=when,
        )
        if drifted
        else sentence("production looks as approved on {day:%Y-%m-%d}", day=when)
    )
    status = Status.FAILED if drifted else Status.PASSED
    return (Check("approved look", "before", status, detail, required=False, findings=findings),)


def _load(folder: Path) -> tuple[Observation, datetime]:
    try:
        data = yaml.safe_load((folder / _FILE).read_text(encoding="utf-8"))
        shots = tuple(
            Shot(
                each["page"],
                each["viewport"],
                each["file"],
                each["sha256"],
                each["size"][0],
                each["size"][1],
                tuple((mask[0], mask[1], mask[2], mask[3]) for mask in each["masks"]),
            )
            for each in data["pictures"]
        )
        return Observation(folder, 0, (), (), shots, {}), datetime.fromisoformat(data["at"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError, IndexError) as error:
        raise UpdaterError(
            "the approved look cannot be read",
            where=str(folder / _FILE),
            cause=str(error),
            hint="remove that folder; the next approval writes it anew",
        ) from error


def _name(page: str) -> str:
    """A folder's name for a page: `/shop/` and `checkout` are different, and no path climbs out."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in page) or "_"
