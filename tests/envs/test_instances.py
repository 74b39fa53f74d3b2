"""Names of a scene's things; models are stood in for, so no simulator is needed."""

import types

import numpy as np
import pytest

from iss_jax.envs.instances import geom_instances, object_names


def a_model(bodies, geoms):
    """Bodies as (name, parent's index) and geoms as (name, body's index)."""
    return types.SimpleNamespace(
        nbody=len(bodies),
        body=lambda i: types.SimpleNamespace(name=bodies[i][0]),
        body_parentid=[parent for _, parent in bodies],
        geom=lambda i: types.SimpleNamespace(name=geoms[i][0]),
        geom_bodyid=np.array([body for _, body in geoms]),
    )


BODIES = [
    ("world", 0),
    ("robot0_base", 0),
    ("robot0_right_hand", 1),
    ("gripper0_leftfinger", 2),
    ("mount0_pedestal", 1),
    ("living_room_table", 0),
    ("akita_black_bowl_1_main", 0),
    ("akita_black_bowl_2_main", 0),
    ("wooden_cabinet_1_main", 0),
    ("wooden_cabinet_1_cabinet_top", 8),
    ("handle", 9),
    ("plate_1_main", 0),
    ("plate_10_main", 0),
]
GEOMS = [
    *(("", body) for body in range(1, len(BODIES))),
    ("wall_left_visual", 0),
    ("wall_decoration", 0),
    ("floor", 0),
    ("", 0),
]
OBJECTS = ("akita_black_bowl_1", "akita_black_bowl_2", "wooden_cabinet_1", "plate_10", "plate_1")


def test_bodies_of_one_thing_are_joined_and_every_geom_has_its_name():
    numbers, names = geom_instances(a_model(BODIES, GEOMS), OBJECTS)
    assert numbers.dtype == np.int32 and len(numbers) == len(GEOMS) + 1
    assert [names.get(number) for number in numbers.tolist()] == [
        *("robot", "robot", "gripper", "robot", "table"),
        *("black bowl 1", "black bowl 2"),
        *("wooden cabinet", "wooden cabinet", "wooden cabinet"),
        *("plate 2", "plate 1"),  # in the order given, and "plate_10" is not of "plate_1"
        *("wall", "wall", "floor"),
        *(None, None),
    ]
    assert numbers[-2:].tolist() == [0, 0]
    assert len(set(names.values())) == len(names) and sorted(names) == list(range(1, 11))
    assert list(names.values())[:2] == ["robot", "gripper"]


def test_an_object_without_a_body_is_named():
    with pytest.raises(ValueError, match=r"objects \['milk_1'\] have no body .*plate_10_main"):
        geom_instances(a_model(BODIES, GEOMS), (*OBJECTS, "milk_1"))


def test_names_are_those_of_the_instructions():
    wanted = {
        "cookies_1": "cookie box",
        "glazed_rim_porcelain_ramekin_1": "ramekin",
        "flat_stove_1": "stove",
        "akita_black_bowl_1": "black bowl",
        "porcelain_mug_1": "white mug",
        "white_yellow_mug_1": "yellow and white mug",
        "plate_1": "plate 1",
        "plate_2": "plate 2",
        "alphabet_soup_1": "alphabet soup",
    }
    assert object_names(list(wanted)) == wanted


def test_two_categories_of_one_name_are_told_apart():
    names = object_names(["black_bowl_1", "akita_black_bowl_1"])
    assert names == {"black_bowl_1": "black bowl 1", "akita_black_bowl_1": "black bowl 2"}
