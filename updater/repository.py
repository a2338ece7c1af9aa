"""The client's git repository: what passed waits there on a branch, what was deployed is merged, what was rejected is gone.

A run that passed is one commit on `updates/<date>`: inventory, pictures, the passport, and its report on one page. `git log`
answers what changed, when, and who approved. Nothing is done where site.yml is in no commit. The working tree is not needed for it, so
that somebody's uncommitted changes stay as they are; a failure here never changes what happened to the shop.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from updater.checks import baseline, smoke
from updater.checks.evidence import AFTER
from updater.errors import UpdaterError
from updater.model import Component, Inventory, Site
from updater.report.markdown import markdown
from updater.report.record import RunRecord, public
from updater.secrets import redact

if TYPE_CHECKING:
    import git

BRANCHES = "updates"
INVENTORY, PASSPORT, SUMMARIES, BASELINES = "inventory.yml", "passport.md", "updates", "baselines"
"""What this module writes beside site.yml: two files and two folders."""
_REMOTE = "origin"
_RUN, _RELEASE, _PERSON = "Updater-Run", "Updater-Release", "Approved-by"
_SECONDS = 60
"""For one push or fetch: a server that hangs must not hang a run."""
_UNATTENDED = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")}
"""Nobody is there to type a password."""


class RepositoryFailed(UpdaterError):
    """The client repository could not be brought up to date. Says nothing of the shop."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A checkout, and where site.yml lies in it."""

    git: git.Repo
    below: Path
    """The folder of site.yml, relative to the repository's"""

    @property
    def has_remote(self) -> bool:
        return any(remote.name == _REMOTE for remote in self.git.remotes)


# ------------------------------------------------------------------------------------------- waits, merged, or deleted


def propose(site: Site, record: RunRecord, folder: Path, release_sha256: str, passport: Callable[[], str]) -> str:
    """Commit what passed on a branch of its own, and push it. Returns the branch; '' where there is no client repository.

    `folder` is the run's; `passport` asks the server, and only when there is something to commit. RepositoryFailed says what
    stands in the way; when only the push failed, the commit is there.
    """
    with _opened(site) as repository:
        if repository is None:
            return ""
        branch = _branch(repository, record.run)
        if branch:
            return branch
        branch = _free_name(repository, record)
        with _worktree(repository, "HEAD") as tree:
            _write(tree, repository.below, site, record, folder, passport())
            tree.git.commit("--no-verify", "-q", "-m", _message("Passed", record, release_sha256))
            repository.git.git.branch(branch, tree.head.commit.hexsha)
        if repository.has_remote:
            _push(repository, f"refs/heads/{branch}:refs/heads/{branch}", f"git push {_REMOTE} {branch}")
        return branch


def accept(site: Site, record: RunRecord, folder: Path, release_sha256: str, passport: Callable[[], str]) -> str:
    """Merge the branch of a run that was deployed, with who approved it, push, and delete the branch. Returns the branch merged into.

    A branch that CI pushed is fetched, and its passport taken: who tests a site knows more of it than who approves. One that
    nobody made is made first, as by `propose`. RepositoryFailed leaves everything as it is, or the
    merge made here and not pushed.
    """
    with _opened(site) as repository:
        if repository is None:
            return ""
        _fetch(repository)
        branch = _branch(repository, record.run) or propose(site, record, folder, release_sha256, passport)
        into = _main(repository)
        with _worktree(repository, _newest(repository, into)) as tree:
            _merge(tree, _tip(repository, branch), branch)
            _write(tree, repository.below, site, record, folder)
            tree.git.commit("--no-verify", "-q", "-m", _message("Deployed", record, release_sha256))
            merged = tree.head.commit.hexsha
        repository.git.git.branch("--force", branch, merged)  # whatever fails below, the merge has a name
        if repository.has_remote:
            _push(repository, f"{merged}:refs/heads/{into}", f"git pull && git merge {branch} && git push")
        _move_on(repository, site, into, branch)
        _delete(repository, branch)
        return into


def discard(site: Site, run: str) -> str:
    """Delete the branch of a run that was rejected, here and on the remote. Returns its name; '' when there is none."""
    with _opened(site) as repository:
        if repository is None:
            return ""
        _fetch(repository)
        branch = _branch(repository, run)
        if branch:
            _delete(repository, branch)
        return branch


def release_of(site: Site, run: str) -> str:
    """The sha256 of the release that this run's branch names; '' when there is none. What CI pushed vouches for an export."""
    with _opened(site) as repository:
        if repository is None:
            return ""
        _fetch(repository)
        branch = _branch(repository, run)
        return _trailer(repository, _tip(repository, branch), _RELEASE) if branch else ""


def waiting(site: Site) -> dict[str, str]:
    """Run → branch, of every run that waits on one, here or on the remote as last fetched."""
    with _opened(site) as repository:
        if repository is None:
            return {}
        return {_trailer(repository, _tip(repository, name), _RUN): name for name in _names(repository)}


# --------------------------------------------------------------------------------------------------------- the content


def inventory_yml(inventory: Inventory, run: str = "") -> str:
    """What the shop runs, for people and for `git log -p inventory.yml`."""
    head = f"# What the shop runs{f' after run {run}' if run else ''}. Written by updater: a change made by hand is overwritten.\n"
    parts = [
        {"kind": it.kind, "slug": it.slug, "name": it.name, "version": it.version, "active": it.active}
        for it in sorted(inventory.components, key=lambda it: (it.kind, it.slug))
    ]
    content = {"cms": inventory.cms, "version": inventory.version, "php": inventory.php, "components": parts}
    return head + str(yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=120))


def read_inventory(site: Site) -> tuple[Inventory, str] | None:
    """inventory.yml beside site.yml, and the run that wrote it ('' for the first look); None when there is none."""
    path = site.config.parent / INVENTORY
    if not path.exists():
        return None
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
        parts = tuple(map(_component, content["components"]))
        found = Inventory(content["cms"], content["version"], content["php"], parts)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise UpdaterError(
            "inventory.yml cannot be read",
            where=str(path),
            cause=" ".join(str(error).split()),
            hint="it is written by updater: git checkout -- inventory.yml brings the last one back",
        ) from error
    written = re.match(r"# What the shop runs after run (\S+)\. ", text)
    return found, written[1] if written else ""


def _component(written: Mapping[str, object]) -> Component:
    texts = [written[key] for key in ("kind", "slug", "name", "version")]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"of {written['slug']} something is no text")
    kind, slug, name, version = map(str, texts)
    return Component(kind, slug, name, version, bool(written["active"]), "")


def inventory_after(record: RunRecord) -> Inventory | None:
    """The inventory with the versions that the run brings."""
    if record.inventory is None:
        return None
    brought = {it.id: it.to_version for it in record.updates if it.outcome != "held"}
    parts = tuple(
        replace(it, version=brought.get(f"{it.kind}:{it.slug}", it.version)) for it in record.inventory.components
    )
    core = next((it.version for it in parts if it.kind == "core"), record.inventory.version)
    return replace(record.inventory, version=core, components=parts)


def _write(tree: git.Repo, below: Path, site: Site, record: RunRecord, folder: Path, passport: str = "") -> None:
    """Inventory, pictures, passport and summary into the tree, and staged. Nothing else of it is touched."""
    assert tree.working_tree_dir is not None
    home = Path(tree.working_tree_dir) / below
    inventory = inventory_after(public(record))
    if inventory is not None:
        (home / INVENTORY).write_text(inventory_yml(inventory, record.run), encoding="utf-8")
    person = record.approval.person if record.approval else ""
    at = record.approval.at if record.approval else record.finished or record.started
    baseline.keep(smoke.load(folder / AFTER), home / BASELINES / site.name, run=record.run, person=person, at=at)
    (home / SUMMARIES).mkdir(exist_ok=True)
    (home / SUMMARIES / f"{record.run}.md").write_text(markdown(public(record)), encoding="utf-8")
    if passport:
        (home / PASSPORT).write_text(passport, encoding="utf-8")
    ours = (INVENTORY, PASSPORT, f"{BASELINES}/{site.name}", SUMMARIES)
    tree.git.add("--force", "--", *(str(below / name) for name in ours if (home / name).exists()))


def _message(done: str, record: RunRecord, release_sha256: str) -> str:
    """A subject that `git log --oneline` shows whole, each change on a line, and what scripts ask for as trailers."""
    changes = [f"{it.name} {it.from_version} → {it.to_version}" for it in record.updates if it.outcome != "held"]
    held = [f"{it.name} {it.to_version} is held back" for it in record.held_here]
    what = changes[0] if len(changes) == 1 else f"{len(changes)} updates"
    if record.restored:
        what = f"the backup of {record.restored:%Y-%m-%d %H:%M} UTC"
    subject = f"{done}: {what} of {record.site}"
    trailers = [f"{_RUN}: {record.run}", f"{_RELEASE}: {release_sha256}"]
    trailers += [f"{_PERSON}: {' '.join(record.approval.person.split())}"] if record.approval else []
    return redact("\n".join([subject, "", *changes, *held, "", *trailers]))


# -------------------------------------------------------------------------------------------------------------- git


@contextmanager
def _opened(site: Site) -> Iterator[Repository | None]:
    """The repository in which site.yml is committed, or None. git's own failures become RepositoryFailed."""
    try:
        import git  # looks for the git program when imported, which a machine need not have
    except ImportError:
        yield None
        return
    try:
        repo = git.Repo(site.config.parent, search_parent_directories=True)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        yield None
        return
    with repo:
        try:
            repo.git.update_environment(**_UNATTENDED)
            if repo.working_tree_dir is None or not repo.head.is_valid():
                yield None
                return
            config = site.config.resolve().relative_to(Path(repo.working_tree_dir).resolve())
            known = repo.git.ls_tree("--name-only", "HEAD", "--", str(config))
            yield Repository(repo, config.parent) if known else None
        except git.GitCommandError as error:
            raise RepositoryFailed(
                "the client repository could not be brought up to date",
                where=str(repo.working_tree_dir),
                cause=_said(error),
                hint="the shop is as the run says; `git status` and `git branch -a` there show what is missing",
            ) from error


def _said(error: git.GitCommandError) -> str:
    text = str(error.stderr).partition("stderr: '")[2].rstrip("'") or str(error)
    return redact(" ".join(text.split()))[-500:]


@contextmanager
def _worktree(repository: Repository, start: str) -> Iterator[git.Repo]:
    """The tree of `start` in a folder of its own, for one commit that leaves the person's working tree alone."""
    import git

    with tempfile.TemporaryDirectory(prefix="updater-tree-") as folder:
        place = Path(folder, "tree")
        repository.git.git.worktree("add", "--quiet", "--detach", str(place), start)
        try:
            with git.Repo(place) as tree:
                tree.git.update_environment(**_UNATTENDED, **nobody(tree))
                yield tree
        finally:
            repository.git.git.worktree("remove", "--force", str(place))


def nobody(repo: git.Repo) -> dict[str, str]:
    """Who commits where git knows no person, as on a CI runner; {} where it does."""
    if repo.git.config("--get", "user.email", with_exceptions=False) or "GIT_AUTHOR_EMAIL" in os.environ:
        return {}
    names = {"NAME": "updater", "EMAIL": "updater@localhost"}
    return {f"GIT_{who}_{what}": name for who in ("AUTHOR", "COMMITTER") for what, name in names.items()}


def _merge(tree: git.Repo, tip: str, branch: str) -> None:
    """What this module writes is taken from the branch, should both have it."""
    tree.git.merge("--no-ff", "--no-commit", "--no-verify", "--quiet", "-X", "theirs", "-m", f"Merge {branch}", tip)


def _branch(repository: Repository, run: str) -> str:
    """The branch whose last commit is of this run; '' when there is none."""
    for name in _names(repository):
        if _trailer(repository, _tip(repository, name), _RUN) == run:
            return name
    return ""


def _names(repository: Repository) -> list[str]:
    """Every `updates/…` here and, as last fetched, on the remote."""
    places = ("refs/heads/", f"refs/remotes/{_REMOTE}/")
    refs = repository.git.git.for_each_ref("--format=%(refname)", *(f"{place}{BRANCHES}/" for place in places))
    found = [ref.removeprefix(place) for ref in refs.splitlines() for place in places if ref.startswith(place)]
    return sorted(set(found))


def _tip(repository: Repository, branch: str) -> str:
    here, there = f"refs/heads/{branch}", f"refs/remotes/{_REMOTE}/{branch}"
    return here if _exists(repository, here) else there


def _exists(repository: Repository, ref: str) -> bool:
    return bool(repository.git.git.for_each_ref("--format=x", ref))


def _trailer(repository: Repository, commit: str, key: str) -> str:
    return str(repository.git.git.log("-1", f"--format=%(trailers:key={key},valueonly,separator=%x2C)", commit)).strip()


def _free_name(repository: Repository, record: RunRecord) -> str:
    day, taken = f"{BRANCHES}/{record.started:%Y-%m-%d}", set(_names(repository))
    return next(name for name in (day, *(f"{day}-{n}" for n in range(2, 10_000))) if name not in taken)


def _main(repository: Repository) -> str:
    """The branch that deployed updates belong to: the one checked out, else (a CI job has none) the remote's own."""
    if not repository.git.head.is_detached:
        return str(repository.git.active_branch.name)
    if repository.has_remote:
        for line in str(repository.git.git.ls_remote("--symref", _REMOTE, "HEAD")).splitlines():
            if line.startswith("ref: refs/heads/"):
                return line.split()[1].removeprefix("refs/heads/")
    raise RepositoryFailed(
        "no branch is checked out",
        where=str(repository.git.working_tree_dir),
        hint="git switch main, then git merge the updates/… branch",
    )


def _newest(repository: Repository, into: str) -> str:
    """The tip to merge into: ours, or the remote's where it moved on. RepositoryFailed when both did."""
    here, there = f"refs/heads/{into}", f"refs/remotes/{_REMOTE}/{into}"
    if not _exists(repository, there):
        return here
    if not _exists(repository, here):
        return there
    ours, theirs = repository.git.commit(here), repository.git.commit(there)
    if repository.git.is_ancestor(ours, theirs):
        return there
    if repository.git.is_ancestor(theirs, ours):
        return here
    raise RepositoryFailed(
        f"{into} here and on {_REMOTE} went different ways",
        where=str(repository.git.working_tree_dir),
        cause="commits were made on both",
        hint=f"git pull --rebase, then git merge the {BRANCHES}/… branch and git push",
    )


def _move_on(repository: Repository, site: Site, into: str, branch: str) -> None:
    """The checked-out branch moves to the merge; git refuses where somebody's uncommitted changes stand in its way."""
    import git

    if repository.git.head.is_detached:
        return
    # The promotion wrote the pictures, and `updater passport` may have written a page: the merge holds both.
    for ours in (str(repository.below / BASELINES / site.name), str(repository.below / PASSPORT)):
        if repository.git.git.ls_tree("-r", "--name-only", "HEAD", "--", ours):
            repository.git.git.checkout("HEAD", "--", ours)
        repository.git.git.clean("-fdq", "--", ours)
    try:
        repository.git.git.merge("--ff-only", "--quiet", branch)
    except git.GitCommandError as error:
        raise RepositoryFailed(
            f"{into} was not moved on: uncommitted changes stand in the way",
            where=str(repository.git.working_tree_dir),
            cause=_said(error),
            hint=f"commit or stash them, then git merge {branch}",
        ) from error


def _delete(repository: Repository, branch: str) -> None:
    if _exists(repository, f"refs/heads/{branch}"):
        repository.git.git.branch("-D", branch)
    if repository.has_remote and _exists(repository, f"refs/remotes/{_REMOTE}/{branch}"):
        _push(repository, f":refs/heads/{branch}", f"git push {_REMOTE} --delete {branch}")


def _fetch(repository: Repository) -> None:
    """What others pushed; nothing where there is no remote."""
    if not repository.has_remote:
        return
    repository.git.git.fetch("--quiet", "--prune", _REMOTE, kill_after_timeout=_SECONDS)


def _push(repository: Repository, what: str, by_hand: str) -> None:
    import git

    try:
        repository.git.git.push("--quiet", "--no-verify", _REMOTE, what, kill_after_timeout=_SECONDS)
    except git.GitCommandError as error:
        raise RepositoryFailed(
            f"{_REMOTE} did not take the commit, which is kept here",
            where=str(repository.git.working_tree_dir),
            cause=_said(error),
            hint=f"once the cause is mended: {by_hand}",
        ) from error
