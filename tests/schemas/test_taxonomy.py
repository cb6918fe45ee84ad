"""The taxonomy: what it holds, how its keywords look, and that the draw is balanced and independent."""

from __future__ import annotations

from collections import Counter

import pytest
from pydantic import ValidationError

from schemas.taxonomy import Taxonomy, all_scenes, draw_keyword, find_scene, load_taxonomy, themes

DRAWS = 6000


def test_it_holds_four_themes_22_subthemes_and_100_scenes() -> None:
    taxonomy = load_taxonomy()
    assert themes() == ("location", "season", "time", "style")
    assert sum(len(theme.subthemes) for theme in taxonomy.themes) == 22
    assert len(all_scenes()) == 100


def test_every_keyword_is_unique_has_one_separator_and_no_forbidden_marks() -> None:
    keywords = [spec.chosen_keyword for spec in all_scenes()]
    assert len(set(keywords)) == 100
    for keyword in keywords:
        subtheme, separator, scene = keyword.partition(": ")
        assert all((subtheme, separator, scene)), keyword
        assert ": " not in scene, keyword
        assert not any(mark in keyword for mark in ("/", "\\", "---")), keyword
        assert find_scene(keyword).chosen_keyword == keyword


def test_every_scene_says_what_moves_and_names_a_place_of_its_own() -> None:
    places = [spec.place for spec in all_scenes()]
    assert len(set(places)) == 100
    for spec in all_scenes():
        assert len(spec.motion) >= 2, spec.chosen_keyword
        assert all((spec.motions, spec.light.phrase, spec.palette, spec.mood, spec.place)), (
            spec.chosen_keyword
        )


def test_the_draw_is_uniform_over_subthemes_and_then_over_their_scenes() -> None:
    for theme in load_taxonomy().themes:
        drawn = Counter(draw_keyword(1, f"Sparkle_{theme.name}_{n:06d}", theme.name, n) for n in range(DRAWS))
        for subtheme in theme.subthemes:
            for row in subtheme.scenes:
                expected = DRAWS / len(theme.subthemes) / len(subtheme.scenes)
                found = drawn[f"{subtheme.name}: {row.scene}"]
                assert abs(found - expected) < 5 * expected**0.5, (subtheme.name, row.scene, found, expected)


def test_a_draw_depends_on_its_own_sample_and_on_the_run_seed_alone() -> None:
    def draw(seed: int, number: int) -> str:
        return draw_keyword(seed, f"Sparkle_season_{number:06d}", "season", number)

    alone = draw(7, 41)
    others = [draw(7, n) for n in range(60)]
    assert others[41] == alone
    assert [draw(8, n) for n in range(60)] != others
    pairs = Counter((draw(7, n).partition(": ")[0], draw(7, n + 1).partition(": ")[0]) for n in range(3000))
    names = [
        subtheme.name
        for theme in load_taxonomy().themes
        if theme.name == "season"
        for subtheme in theme.subthemes
    ]
    expected = 3000 / len(names) ** 2
    assert all(abs(pairs[a, b] - expected) < 5 * expected**0.5 for a in names for b in names)


def test_a_theme_without_scenes_and_an_unknown_keyword_are_named_in_the_error() -> None:
    with pytest.raises(ValueError, match=r"openve3m.*location"):
        draw_keyword(1, "Sparkle_openve3m_000001", "openve3m", 1)
    with pytest.raises(KeyError, match="atlantis"):
        find_scene("Places: atlantis")


def test_a_scene_with_a_slash_an_unknown_light_or_a_twin_is_refused() -> None:
    whole = load_taxonomy().model_dump()
    for change, message in (
        ({"scene": "a lake / a pond"}, "slash"),
        ({"light": "lamp"}, "unknown light"),
        ({"scene": whole["themes"][0]["subthemes"][0]["scenes"][1]["scene"]}, "stands twice"),
    ):
        broken = load_taxonomy().model_dump()
        broken["themes"][0]["subthemes"][0]["scenes"][0].update(change)
        with pytest.raises(ValidationError, match=message):
            Taxonomy.model_validate(broken)
