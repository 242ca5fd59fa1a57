"""The board profile: sourced values, and the integers derived from them."""

from __future__ import annotations

import math
from decimal import Decimal
from importlib import resources

import pytest

from sim_backend.description import describe
from sim_backend.errors import ProfileError
from sim_backend.fixedpoint import forming_numbers
from sim_backend.frontend import REFERENCE_MK, front_end
from sim_backend.profile import load, parse

NAME = "rram40_256k"
PROFILE = load(NAME)
TEXT = (resources.files("sim_backend") / "profiles" / f"{NAME}.toml").read_text(encoding="utf-8")


def test_the_measured_facts_are_the_published_ones():
    forming = PROFILE.forming
    assert (forming.breakdown_mean_v.value, forming.breakdown_sd_v.value) == (
        Decimal("3.433"),
        Decimal("0.114"),
    )
    assert (forming.conductance_mean_uS.value, forming.conductance_sd_uS.value) == (
        Decimal("12.35"),
        Decimal("1.86"),
    )
    assert {forming.breakdown_mean_v.source, forming.conductance_mean_uS.source} == {"measured"}


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[array]", "[array", "not valid TOML"),
        ('value = 0.114, source = "measured"', "value = 0.114", "breakdown_sd_v.source"),
        ('0.114, source = "measured"', '0.114, source = "guessed"', "breakdown_sd_v.source"),
        ("value = 0.114", "value = -0.114", "breakdown_sd_v.value"),
        ("[environment]", "[environment]\ncolour = 1", "environment.colour"),
    ],
)
def test_a_wrong_profile_is_refused_in_a_sentence_that_names_the_place(
    old: str, new: str, complaint: str
):
    with pytest.raises(ProfileError, match=complaint) as refused:
        parse(TEXT.replace(old, new, 1), "mine")
    assert "\n" not in str(refused.value)


def test_an_unknown_profile_is_refused():
    with pytest.raises(ProfileError, match="no board profile named 'nowhere'"):
        load("nowhere")


def test_only_values_make_a_different_profile():
    noted = parse(TEXT.replace("400 cells, esgnn", "some cells"), NAME)
    changed = parse(TEXT.replace("value = 0.114", "value = 0.115"), NAME)
    assert noted.digest == PROFILE.digest != changed.digest


def test_lognormal_moments_are_those_of_the_logarithm():
    numbers = forming_numbers(PROFILE)
    variance = math.log(1 + (1.86 / 12.35) ** 2)
    mean = math.log(12.35e6) - variance / 2
    assert numbers.formed_log2_mean == round(mean / math.log(2) * 2**20)
    assert numbers.formed_log2_sd == round(math.sqrt(variance) / math.log(2) * 2**20)
    octave_uv = 0.06e6 * math.log10(2)
    assert numbers.slope_uv_per_octave == round(octave_uv * 2**16)


def test_offsets_stay_within_two_millivolt_and_differ_between_boards():
    code_v = 1.8 / 2**14
    most = 0.002 / code_v * 65536
    first, second = (front_end(PROFILE, seed, REFERENCE_MK).read.offset for seed in (1, 2))
    assert abs(first).max() <= most + 1
    assert len(set(first.ravel().tolist())) == first.size
    assert (first != second).any()


def test_the_description_has_an_envelope_for_each_operation():
    facts = describe(PROFILE)
    assert [e.voltage_max_uv for e in facts.envelopes] == [4_200_000, 2_500_000, 2_500_000]
    assert facts.envelopes[2].compliance_min_na == facts.envelopes[2].compliance_max_na == 270_000
    assert [r.per_code_pS for r in facts.ranges] == [6250, 50_000, 400_000, 0]
    assert facts.pack() == describe(load(NAME)).pack()
