"""The walls of the house: who may import whom, where CMS names may stand, who may say PASS, and no traces of a machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UPDATER = ROOT / "updater"


def tracked() -> list[Path]:
    """The files of this checkout, also those not yet added, without what git ignores."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    files = [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]
    assert len(files) > 20, "git lists hardly any file: this test would prove nothing"
    return files


def test_imports_run_downwards() -> None:
    """The contracts of pyproject.toml, [tool.importlinter]."""
    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert re.search(r"[1-9]\d* kept, 0 broken", checked.stdout)


# A name that starts a word or stands within one: `WordPressError` and `is_wordpress` tell a CMS from another, too.
CMS_NAMES = re.compile(r"wordpress|woocommerce|opencart|bitrix|\bwp[-_]", re.IGNORECASE)

MAY_NAME_A_CMS = {
    "cli.py": "help texts are for people, who look for these names",
    "checks/browser.py": "docstrings tell which CMS appends versions to its scripts",
    "model.py": "docstrings give examples of what a field holds",
    "resources.py": "docstrings give examples",
    "locale/ru/LC_MESSAGES/updater.po": "what the smoke tests of a CMS say",
    "locale/uk/LC_MESSAGES/updater.po": "what the smoke tests of a CMS say",
}
"""Files outside cms/, by reason. In .py files with "docstrings" in the reason, code must still be free of them."""


parsed = cache(ast.parse)


def cms_names_in_code(source: str) -> set[str]:
    """CMS names in identifiers and in string constants that are not docstrings."""
    tree = parsed(source)
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    words = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings]
    words += [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    words += [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    words += [getattr(node, "name", None) for node in ast.walk(tree)]
    return {word for word in words if isinstance(word, str) and CMS_NAMES.search(word)}


def test_cms_names_stand_only_where_a_cms_is_spoken_of() -> None:
    found = {}
    for path in sorted(UPDATER.rglob("*")):
        name = path.relative_to(UPDATER).as_posix()
        if not path.is_file() or name.startswith(("cms/", "_data/")) or "__pycache__" in name:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        reason = MAY_NAME_A_CMS.get(name, "")
        if not reason:
            lines = [
                f"{number}: {line.strip()}"
                for number, line in enumerate(text.splitlines(), 1)
                if CMS_NAMES.search(line)
            ]
            found[name] = lines
        elif "docstrings" in reason:
            found[name] = sorted(cms_names_in_code(text))
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_every_exception_to_the_rule_on_cms_names_is_a_file_that_needs_it() -> None:
    needless = [name for name in MAY_NAME_A_CMS if not CMS_NAMES.search((UPDATER / name).read_text(encoding="utf-8"))]
    assert needless == [], "strike these off the list"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('"""A wordpress thing."""', set()),
        ('x = "woocommerce"', {"woocommerce"}),
        ("def is_bitrix(): ...", {"is_bitrix"}),
    ],
)
def test_the_search_for_cms_names_finds_code_and_leaves_docstrings(source: str, found: set[str]) -> None:
    assert cms_names_in_code(source) == found


def uses_of(source: str, dotted: str) -> list[int]:
    """Lines where this attribute is read other than in a comparison, a `case` or a membership test."""
    tree = parsed(source)
    compared = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        for side in (node.left, *node.comparators)
        for part in ast.walk(side)
    } | {id(part) for node in ast.walk(tree) if isinstance(node, ast.MatchValue) for part in ast.walk(node)}
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith(dotted) and id(node) not in compared
    ]


def test_pass_is_said_in_verdict_py_alone() -> None:
    """Comparing with Verdict.PASS is free; making one is not, neither by attribute nor by its text."""
    made = {}
    for path in sorted(UPDATER.rglob("*.py")):
        name = path.relative_to(UPDATER).as_posix()
        if name == "checks/verdict.py":
            continue
        source = path.read_text(encoding="utf-8")
        if "Verdict" not in source:
            continue
        lines = uses_of(source, "Verdict.PASS") if "PASS" in source else []
        lines += [
            number for number, line in enumerate(source.splitlines(), 1) if re.search(r"Verdict(\(|\[)[\"']PASS", line)
        ]
        made[name] = lines
    assert {name: lines for name, lines in made.items() if lines} == {}
    assert uses_of((UPDATER / "checks/verdict.py").read_text(encoding="utf-8"), "Verdict.PASS"), "nothing says PASS"


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("if verdict is Verdict.PASS: ...", []),
        ("ok = verdict in (Verdict.PASS, Verdict.FAIL)", []),
        ("return_value = model.Verdict.PASS", [1]),
        ("\njudge(Verdict.PASS)", [2]),
    ],
)
def test_the_search_for_pass_tells_comparing_from_making(source: str, lines: list[int]) -> None:
    assert uses_of(source, "Verdict.PASS") == lines


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    """Folders of one person's machine; /home/… is a server's, in examples. Spelled so that it does not match itself."""
    machine = re.compile(rb"(?<![\w.$}])/(wo" rb"rk|Us" rb"ers/[a-z]+)/")
    found = {}
    for path in tracked():
        if path.suffix in {".png", ".jpg", ".zip", ".woff2", ".lock"}:
            continue
        lines = [line for line in path.read_bytes().splitlines() if machine.search(line)]
        if lines:
            found[path.relative_to(ROOT).as_posix()] = lines[:3]
    assert found == {}


def test_every_script_can_be_run() -> None:
    scripts = [path for path in tracked() if path.parent in (ROOT / "scripts", ROOT / ".ci")]
    assert len(scripts) >= 3
    assert [path for path in scripts if not path.stat().st_mode & 0o100] == []


@pytest.mark.parametrize("page", ["security.md", "hosts.md"])
def test_each_test_that_a_page_of_promises_names_is_there(page: str) -> None:
    tests = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    named = re.findall(r"`(test_\w+(?:\.py)?)`", (ROOT / "docs" / page).read_text())
    assert len(named) > 10
    missing = [
        name for name in named if name not in tests and not any(f"def {name}(" in text for text in tests.values())
    ]
    assert missing == []
