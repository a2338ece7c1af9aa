"""The languages that owners read: catalogues that miss nothing, and figures as each language writes them."""

from __future__ import annotations

import ast
import string
from datetime import UTC, date, datetime
from functools import cache
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
CODE = ("updater", "smoke_tests")
with (ROOT / "babel.cfg").open(encoding="utf-8") as _mapping:
    MAPPING = parse_mapping_cfg(_mapping)
CALLS = {"_", "mark", "sentence", "counted", "gettext", "ngettext"}
MONDAY = datetime(2026, 3, 4, 14, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def messages() -> set[str]:
    """Every message of the code and the templates; of one with a plural, the singular."""
    keywords = DEFAULT_KEYWORDS | {"mark": None, "sentence": None, "counted": (1, 2)}
    found = [it for name in CODE for it in extract_from_dir(ROOT / name, *MAPPING, keywords)]
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


class Anything:
    """A value, whatever its message does with it."""

    def __init__(self, shown: str) -> None:
        self.shown = shown

    def __format__(self, spec: str) -> str:
        return self.shown


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_sentence_is_known_again_in_a_text_that_was_made_of_it(language: Language) -> None:
    words, made = speak(language), sentences()
    assert len(made) > 100, "hardly any sentence was found: this test would prove nothing"
    for one, many in made:
        for text, count in ((one, 1), (many, 5)) if many else ((one, 0),):
            values = {name: Anything(f"‹{name}›" if name != "n" else str(count)) for name in fields(text)}
            english = text.format(**values)
            into = words.ngettext(one, many, count) if many else words.gettext(one)
            assert words.translated(english) == into.format(**values)
            assert words.translated(f"facts: {english}; {english}") == "{0}: {1}; {1}".format(
                words.gettext("facts"), into.format(**values)
            )


@cache
def sentences() -> frozenset[tuple[str, str]]:
    """The messages of `sentence` and `counted`, and of `mark` where they are sentences: (one, many), '' when it counts nothing."""
    keywords = {"mark": None, "sentence": None, "counted": (1, 2)}
    found = set()
    for name in CODE:
        for _, _, message, _, _ in extract_from_dir(ROOT / name, *MAPPING, keywords):
            one, many = message if isinstance(message, tuple) else (message, "")
            if (fields(one) or " " in one) and not one.startswith(
                "{site}: "
            ):  # a message's title, never part of a text
                found.add((one, many))
    return frozenset(found)


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_asks_for_no_format_of_its_own(language: Language) -> None:
    """Its values are pieces of a text: `{seconds:.0f}` would raise while a report is written."""
    for message in catalogue(language):
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        assert [
            text for text in texts if message.id and any(spec for _, _, spec, _ in string.Formatter().parse(text))
        ] == []


def test_what_is_no_message_of_ours_stays_as_it_is() -> None:
    words = speak(Language.RU)
    for text in (
        "Warning: Undefined variable $facts in /srv/shop/orders.php on line 3: orders",
        "the licence is renewed in December",
        "",
        "x: " * 5000,
    ):
        assert words.translated(text) == text
    assert words.translated("orders") == "заказы"
    assert speak(Language.EN).translated("facts: orders") == "facts: orders"


def test_a_verdict_is_told_in_the_language_of_its_reader() -> None:
    words = speak(Language.RU)
    reason = "smoke tests: 1 of 8 smoke tests did not pass: Clicking “Place order” did nothing for 8 s: no thanks; the shop said: Oops: no luck"
    assert words.translated(reason) == (
        "сценарии покупателя: не пройдено 1 из 8: Нажатие на «Place order» ничего не дало за 8 с: "
        "не появилось «thanks»; магазин сообщил: Oops: no luck"
    )
    assert words.translated(
        "picture of cart (mobile): The page is 12 px taller (10 → 22 px). Nothing else changed."
    ) == ("снимок cart (mobile): Страница стала на 12 px длиннее (10 → 22 px). Больше ничего не изменилось.")


def fields(text: str) -> list[str]:
    """The names in `{name}` and `%(name)s`."""
    percents = [part.partition(")s")[0] for part in text.split("%(")[1:]]
    return [name for _, name, _, _ in string.Formatter().parse(text) if name] + percents


def test_no_message_hides_from_the_search() -> None:
    """Babel does not look into f-strings on Python 3.11: a message inside one would stay English for ever."""
    hidden = {}
    for path in sorted(path for name in CODE for path in (ROOT / name).rglob("*.py")):
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
