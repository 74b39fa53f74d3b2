"""The table of what fits: each row, both ways."""

import dataclasses

import episodes
import pytest
import tiny_policy

from iss_jax import embedded
from iss_jax.cli.fit import DIFFERS, NO, UNKNOWN, YES, fit_rows, fit_table, require_fit
from iss_jax.data.dataset import open_dataset
from iss_jax.data.folders_write import write_folders
from iss_jax.policies.checkpoint_facts import checkpoint_facts
from iss_jax.policies.configs import EMBEDDED


@pytest.fixture(scope="module")
def facts():
    return checkpoint_facts(embedded.checkpoint_path())


@pytest.fixture(scope="module")
def dataset():
    return open_dataset(embedded.episodes_path())


@pytest.mark.parametrize(
    ("changes", "what", "fits"),
    [
        ({}, "model", YES),
        ({"model": "π0"}, "model", NO),
        ({"asset_id": "droid"}, "statistics", NO),
        ({"normalisation": "mean_std"}, "normalisation", NO),
        ({"cameras": {"base_0_rgb": "top"}}, "camera base_0_rgb", NO),
        ({"cameras": {"base_0_rgb": "observation/front"}}, "camera base_0_rgb", YES),
        ({"state": {"state": 9}}, "state", NO),
        ({"action_dims": 8}, "action", NO),
        ({"action_dims": 6}, "action", DIFFERS),
        ({"action_horizon": 8}, "chunk", UNKNOWN),
    ],
)
def test_each_row_is_of_its_own_thing(facts, dataset, changes, what, fits):
    robot = dataclasses.replace(EMBEDDED, **changes)
    rows = {row.what: row.fits for row in fit_rows(robot, facts, dataset)}
    assert rows.pop(what) == fits
    assert rows.pop("chunk", UNKNOWN) == UNKNOWN and set(rows.values()) <= {YES}


def test_one_camera_does_not_fit_two_views(dataset):
    views = {"base_0_rgb": "base/front", "left_wrist_0_rgb": "hand/front"}
    robot = dataclasses.replace(EMBEDDED, cameras=views, optional=())
    rows = {row.what: row.fits for row in fit_rows(robot, None, dataset)}
    assert [rows[f"camera {view}"] for view in views] == [NO, NO]
    rows = {row.what: row for row in fit_rows(robot, None, dataset, {"left_wrist_0_rgb": "wrist"})}
    assert [rows[f"camera {view}"].fits for view in views] == [YES, YES]
    assert rows["camera base_0_rgb"].dataset == "front"


@pytest.mark.parametrize(("horizon", "fits"), [(16, YES), (8, DIFFERS)])
def test_a_dataset_of_chunks_tells_their_length(tmp_path, horizon, fits):
    write_folders(tmp_path, [episodes.an_episode()])
    robot = dataclasses.replace(EMBEDDED, action_horizon=horizon)
    rows = {row.what: row for row in fit_rows(robot, None, open_dataset(tmp_path))}
    assert rows["chunk"][3:] == ("16", fits)


def test_what_nobody_says_is_not_known(facts):
    rows = {row.what: row.fits for row in fit_rows(EMBEDDED, facts, None)}
    assert rows["camera base_0_rgb"] == rows["chunk"] == UNKNOWN and rows["state"] == YES
    assert {row.fits for row in fit_rows(EMBEDDED, None, None)} == {UNKNOWN}


def test_an_optional_view_may_be_missing(tmp_path, facts):
    write_folders(tmp_path, [tiny_policy.episode(1)])
    there = open_dataset(tmp_path)
    rows = {row.what: row for row in fit_rows(EMBEDDED, facts, there)}
    assert rows["camera right_wrist_0_rgb"].fits == NO
    robot = dataclasses.replace(EMBEDDED, optional=("right_wrist_0_rgb",))
    rows = {row.what: row for row in fit_rows(robot, facts, there)}
    assert rows["camera right_wrist_0_rgb"][3:] == ("absent", YES)


def test_the_table_lines_up_and_the_error_holds_it(facts, dataset):
    robot = dataclasses.replace(EMBEDDED, action_dims=9)
    rows = fit_rows(robot, facts, dataset)
    table = fit_table(rows).splitlines()
    column = table[0].index("fits")
    assert {line[column:] for line in table[1:]} == {YES, NO, UNKNOWN}
    with pytest.raises(ValueError, match="robot 'embedded' does not fit: action\n"):
        require_fit(rows, "embedded")
    require_fit(fit_rows(EMBEDDED, facts, dataset), "embedded")
