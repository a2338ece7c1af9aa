"""The languages that owners read: catalogues that miss nothing, and figures as each language writes them."""

from __future__ import annotations

import ast
import string
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from babel.messages import pofile
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg

from updater.language import mark, speak
from updater.model import Language

ROOT = Path(__file__).resolve().parents[2]
TRANSLATED = [language for language in Language if language is not Language.EN]
CALLS = {"_", "mark", "gettext", "ngettext"}
MONDAY = datetime(2026, 3, 4, 14, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def messages() -> set[str]:
    """Every message of the code and the templates; of one with a plural, the singular."""
    with (ROOT / "babel.cfg").open(encoding="utf-8") as mapping:
        methods, options = parse_mapping_cfg(mapping)
    keywords = DEFAULT_KEYWORDS | {"mark": None}
    found = extract_from_dir(ROOT / "updater", methods, options, keywords)
    ids = {message[0] if isinstance(message, tuple) else message for _, _, message, _, _ in found}
    assert len(ids) > 100, "hardly any message was found: this test would prove nothing"
    return ids


def catalogue(language: Language) -> Catalog:
    path = ROOT / "updater" / "locale" / language / "LC_MESSAGES" / "updater.po"
    return pofile.read_po(path.open("rb"), locale=str(language), abort_invalid=True)


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_message_is_translated_and_no_other_is_kept(language: Language, messages: set[str]) -> None:
    translated = {}
    for message in catalogue(language):
        if message.id:
            one = message.id[0] if isinstance(message.id, tuple) else message.id
            texts = message.string if isinstance(message.string, tuple) else (message.string,)
            translated[one] = all(texts) and not message.fuzzy
    assert messages - translated.keys() == set(), "`make languages` brings these into the catalogue"
    assert translated.keys() - messages == set(), "`make languages` strikes these off"
    assert [message for message, done in translated.items() if not done] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_fills_in_what_the_message_fills_in(language: Language) -> None:
    """A name that is misspelt there would raise while a report is written."""
    for message in catalogue(language):
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        wanted = {name for text in ids for name in fields(text)}
        assert [text for text in texts if set(fields(text)) != wanted] == [], message.id


def fields(text: str) -> list[str]:
    """The names in `{name}` and `%(name)s`."""
    percents = [part.partition(")s")[0] for part in text.split("%(")[1:]]
    return [name for _, name, _, _ in string.Formatter().parse(text) if name] + percents


def test_no_message_hides_from_the_search() -> None:
    """Babel does not look into f-strings on Python 3.11: a message inside one would stay English for ever."""
    hidden = {}
    for path in sorted((ROOT / "updater").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [
            ast.unparse(call)
            for text in ast.walk(tree)
            if isinstance(text, ast.JoinedStr)
            for call in ast.walk(text)
            if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in CALLS
        ]
        if calls:
            hidden[path.name] = calls
    assert hidden == {}


def test_a_message_without_a_translation_comes_back_in_english() -> None:
    assert speak(Language.RU).gettext("a message of tomorrow") == "a message of tomorrow"
    assert speak(Language.RU).term("") == ""  # gettext would answer with the catalogue's header
    assert mark("promoted") == "promoted"


@pytest.mark.parametrize(
    ("language", "one", "three", "five"),
    [
        (Language.EN, "1 component", "3 components", "5 components"),
        (Language.RU, "1 компонент", "3 компонента", "5 компонентов"),
        (Language.UK, "1 компонент", "3 компоненти", "5 компонентів"),
    ],
)
def test_counted_things_follow_the_languages_plurals(language: Language, one: str, three: str, five: str) -> None:
    words = speak(language)
    assert [words.ngettext("%(n)s component", "%(n)s components", n) % {"n": n} for n in (1, 3, 5)] == [
        one,
        three,
        five,
    ]


def test_figures_are_written_for_people() -> None:
    english, russian, ukrainian = (speak(language) for language in (Language.EN, Language.RU, Language.UK))
    assert [english.percent(x) for x in (0, 0.000001, 0.0031, 0.123)] == ["0 %", "< 0.01 %", "0.31 %", "12 %"]
    assert [english.duration(x) for x in (0.42, 38.2, 725, 3720, 100_000)] == [
        "0.4 s",
        "38 s",
        "12 min 5 s",
        "1 h 2 min",
        "1 d 3 h",
    ]
    assert (russian.percent(0.0031), russian.duration(0.42), russian.duration(725)) == ("0,31 %", "0,4 с", "12 мин 5 с")
    assert ukrainian.duration(3720) == "1 год 2 хв"


def test_days_and_months_stand_in_their_cases() -> None:
    assert speak(Language.EN).moment(MONDAY) == "4 March 2026, 14:12 UTC"
    assert speak(Language.RU).moment(MONDAY) == "4 марта 2026, 14:12 UTC"
    assert speak(Language.UK).moment(MONDAY) == "4 березня 2026, 14:12 UTC"
    assert speak(Language.RU).month(date(2026, 3, 4)) == "март 2026"
    assert speak(Language.UK).month(date(2026, 3, 4)) == "березень 2026"
