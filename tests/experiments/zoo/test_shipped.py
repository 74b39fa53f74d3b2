from experiments.zoo.design import design
from experiments.zoo.measures import cost_rows, measure_rows, steady
from experiments.zoo.shipped import TABLES, gather, is_done, keep
from iss_jax.data.table import read_rows


def tables(row):
    return {name: [{"row": row, "value": f"{name} of {row}"}] for name in TABLES}


def test_tables_hold_every_policy_that_is_done_in_the_order_of_the_design(tmp_path):
    recipes = design()[:4]
    for recipe in (recipes[2], recipes[0]):
        keep(tmp_path / "policies", recipe, tables(recipe.row))
    half = tables(2)
    half.popitem()
    keep(tmp_path / "policies", recipes[1], half)
    leaves = tmp_path / "policies" / recipes[0].name / "leaves.npz"
    leaves.write_bytes(b"leaves")
    into = tmp_path / "docs"
    assert gather(tmp_path / "policies", recipes, into) == [recipes[0], recipes[2]]
    assert [is_done(tmp_path / "policies", one) for one in recipes] == [True, False, True, False]
    for name in TABLES:
        rows = read_rows(into / f"{name}.csv")
        assert [row["value"] for row in rows] == [f"{name} of 1", f"{name} of 3"]
    assert (into / "leaves" / f"{recipes[0].name}.npz").read_bytes() == b"leaves"
    # One that is done later joins them.
    keep(tmp_path / "policies", recipes[1], tables(2))
    gather(tmp_path / "policies", recipes, into)
    assert [row["row"] for row in read_rows(into / "costs.csv")] == ["1", "2", "3"]


def test_a_measure_is_a_mean_with_its_standard_error():
    values = {"nmr": [0.1, 0.3, None, 0.2]}
    parts = [{"part": "maps", "values": values, "seconds": 2.04, "inferences": 7.6}]
    (row,) = measure_rows(5, parts)
    assert (row["row"], row["measure"], row["value"], row["frames"]) == (5, "nmr", 0.2, 3)
    assert row["stderr"] == 0.0577
    assert cost_rows(5, parts) == [{"row": 5, "step": "maps", "seconds": 2.0, "inferences": 8}]


def test_compilation_is_no_cost_of_a_measure():
    assert steady([30.0, 2.0, 2.2, 2.4]) == 8.8
    assert steady([3.0]) == 3.0
