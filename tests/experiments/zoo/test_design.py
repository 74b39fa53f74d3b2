from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from experiments.zoo import design as zoo_design
from experiments.zoo.design import FACTORS, chosen, confounded, confounding, design, read_design

COMMITTED = Path(__file__).parents[3] / "docs/zoo/design.csv"


def test_the_committed_design_is_the_one_that_the_command_makes():
    assert read_design(COMMITTED) == design()


def test_every_level_is_met_alike_and_no_recipe_twice():
    recipes = design()
    assert len(set(recipes)) == len({one.name for one in recipes}) == len(recipes) == 24
    for name in ("cue", "augmentation", "layouts", "seed"):
        assert len(set(Counter(getattr(one, name) for one in recipes).values())) == 1, name
    cells = Counter((one.cue, one.rho, one.layouts) for one in recipes if one.cue != "none")
    assert len(cells) == 18 and set(cells.values()) == {1}


def test_no_factor_of_the_committed_design_is_confounded():
    recipes = read_design(COMMITTED)
    assert confounded(recipes) == []
    pairs = confounding(recipes)
    # What is asked of the zoo rests on these four; training seeds are a nuisance of it.
    for one in FACTORS[:4]:
        for other in FACTORS[:4]:
            if (one, other) in pairs:
                assert pairs[one, other] < 1e-9, (one, other)
    assert max(pairs[one, "seed"] for one in FACTORS[:4]) < 0.15


@pytest.mark.parametrize(
    ("change", "found"),
    [
        # Background replacement wherever rho is 1: whatever helps is taken for the other.
        (lambda r: r._replace(augmentation="background" if r.rho == 1 else "none"), "rho and aug"),
        (lambda r: r._replace(layouts="native" if r.cue == "floor" else "shuffled"), "cue and lay"),
        (lambda r: r._replace(augmentation="none"), "rank"),
    ],
)
def test_a_confounded_design_is_found(change, found):
    assert any(
        line.startswith(found) or found in line
        for line in confounded([change(one) for one in design()])
    )


def test_a_cue_that_decides_the_augmentation_cannot_be_told_from_their_interaction():
    augmentations = dict(zip(("panel", "floor", "tint", "none"), (0, 1, 2, 0), strict=True))
    recipes = [
        one._replace(augmentation=zoo_design.AUGMENTATIONS[augmentations[one.cue]])
        for one in design()
    ]
    assert confounding(recipes)["cue", "augmentation"] == pytest.approx(1.0)


def test_canonical_correlation_is_that_of_two_columns():
    """Two two-level factors, 3 of 4 alike: the correlation of their columns is 1/2."""
    base = design()[0]
    recipes = [
        base._replace(row=i, layouts=a, seed=b)
        for i, (a, b) in enumerate(
            [("native", 0), ("native", 0), ("shuffled", 1), ("native", 1)] * 2
        )
    ]
    columns = np.array([[1, 1, 0, 1], [1, 1, 0, 0]], float)
    wanted = abs(np.corrcoef(columns)[0, 1])
    assert confounding(recipes)["layouts", "seed"] == pytest.approx(wanted)


def test_rows_are_chosen_by_number():
    recipes = design()
    assert [one.row for one in chosen(recipes, (3, 1))] == [3, 1]
    assert chosen(recipes, ()) == recipes
    with pytest.raises(ValueError, match=r"rows \[25\] given, 1 to 24 wanted"):
        chosen(recipes, (25,))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,panel,0.5,colour,native,zero", "no recipe \\("),
        ("1,panel,0.5,crop,native,0", "no recipe of the zoo"),
        ("1,panel,0.5,colour,native,0\n1,tint,0.5,colour,native,0", "two recipes have one number"),
    ],
)
def test_another_table_is_refused(tmp_path, line, message):
    path = tmp_path / "design.csv"
    path.write_text(f"row,cue,rho,augmentation,layouts,seed\n{line}\n")
    with pytest.raises(ValueError, match=message):
        read_design(path)
