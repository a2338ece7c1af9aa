"""The words that data carries (states, outcomes, kinds, names of checks and steps), listed so that catalogues have them."""

from __future__ import annotations

from updater.language import Words, mark

STATES = (
    mark("awaiting approval"),
    mark("promoted"),
    mark("rejected"),
    mark("inconclusive"),
    mark("rolled back"),
    mark("nothing to do"),
    mark("unknown"),
    mark("stopped"),
    mark("failed"),
    mark("interrupted"),
    mark("running"),
)
OUTCOMES = (
    mark("planned"),
    mark("applied"),
    mark("passed"),
    mark("tested"),
    mark("held"),
    mark("not decided"),
)
KINDS = (mark("core"), mark("plugin"), mark("theme"), mark("module"), mark("language"))
STEPS = (
    mark("clone"),
    mark("look at production"),
    mark("stage"),
    mark("plan"),
    mark("update"),
    mark("look: before"),
    mark("look: noise"),
    mark("look: known fault"),
    mark("look: after"),
    mark("compare"),
    mark("judge"),
    mark("compare with production"),
    mark("watch the open shop"),
    mark("go back"),
    mark("promote"),
    mark("roll back"),
    mark("production closed"),
)
CHECKS = (
    mark("smoke tests"),
    mark("browser errors"),
    mark("production pages"),
    mark("production values"),
    mark("pages after opening"),
    mark("PHP errors after opening"),
    mark("orders after opening"),
    mark("fidelity"),
    mark("known fault"),
    mark("pictures"),
    mark("approved look"),
    mark("facts"),
    mark("pages"),
    mark("orders"),
    mark("order mail"),
    mark("records"),
    mark("PHP errors"),
    mark("crawl"),
    mark("speed"),
    mark("calls"),
    mark("background jobs"),
)
_PICTURE = "picture of "


def check_name(name: str, words: Words) -> str:
    """A check's name as people read it; a client's own check keeps the name that it was given."""
    if name.startswith(_PICTURE):
        return words.gettext("picture of {page}").format(page=name.removeprefix(_PICTURE))
    return words.term(name)
