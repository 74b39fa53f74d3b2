"""The simulator itself: cameras, regions, resets, layouts, the expert, rollouts."""

import numpy as np
import pytest

from iss_jax.envs import demonstrations, libero, panels, regions, rollout, suites

pytestmark = pytest.mark.libero
CAMERAS = ("front", "overhead", "wrist")


@pytest.fixture(scope="module")
def env():
    return libero.make("libero_object", 4, image_size=48)


def labels_by_body(env):
    """Region labels of each body's pixels, over all cameras."""
    geoms = env._renderer.render(env.data)[1]
    regions = env.observation().regions
    found = {}
    for camera in CAMERAS:
        ids, labels = geoms[camera], regions[camera]
        for geom in np.unique(ids[ids >= 0]):
            body = env.model.body(env.model.geom_bodyid[geom]).name
            found.setdefault(body, set()).update(labels[ids == geom].tolist())
    return found


def reflex(observation):
    """A policy that pushes down with open fingers."""
    assert set(observation["images"]) == set(CAMERAS)
    action = np.array([0.0, 0.0, -0.2, 0.0, 0.0, 0.0, -1.0], np.float32)
    return np.tile(action, (16, 1))


def make_reflex(scale):
    return lambda observation: scale * reflex(observation)


def black(images):
    return {name: np.zeros_like(image) for name, image in images.items()}


def test_suites_and_tasks():
    assert {"libero_spatial", "libero_object", "libero_goal", "libero_10", "libero_90"} <= set(
        suites.list_suites()
    )
    tasks = suites.list_tasks("libero_object")
    assert len(tasks) == 10
    assert tasks[4].language == "pick up the ketchup and place it in the basket"
    with pytest.raises(ValueError, match="libero_objects"):
        suites.list_tasks("libero_objects")
    with pytest.raises(ValueError, match="'juggle'"):
        libero.make("libero_object", "juggle")


def test_observation(env):
    env.reset(3)
    observation = env.observation()
    assert observation.prompt == "pick up the ketchup and place it in the basket"
    assert observation.state.shape == (8,) and observation.state.dtype == np.float32
    # The hand points down: half a turn about a horizontal axis.
    np.testing.assert_allclose(np.linalg.norm(observation.state[3:6]), np.pi, atol=0.2)
    np.testing.assert_allclose(observation.state[6:], [0.04, -0.04], atol=0.002)
    for camera in CAMERAS:
        image, region = observation.images[camera], observation.regions[camera]
        assert image.shape == (48, 48, 3) and image.dtype == np.uint8
        assert image.std() > 10
        assert region.shape == (48, 48) and set(np.unique(region)) <= {0, 1, 2}


@pytest.mark.parametrize("target", [None, "milk_1"])
def test_regions_follow_the_task(env, target):
    env.reset(0, "shuffled", 1, target)
    found = labels_by_body(env)
    wanted = target or "ketchup_1"
    for body, labels in found.items():
        if body.startswith(("robot0_", "gripper0_")):
            assert labels == {2}, body
        elif body.startswith((wanted, "basket_1")):
            assert labels == {1}, body
        elif body == "floor":
            assert labels == {0, 1}
        else:
            assert labels == {0}, body
    assert any(body.startswith(wanted) for body in found)
    assert any(body.startswith("robot0_") for body in found)


def test_things_have_names_by_the_body_that_carries_the_geom(env):
    env.reset(0, "shuffled", 1)
    geoms, seen = env._renderer.render(env.data)[1], env.observation()
    shown = set()
    for camera in CAMERAS:
        ids, numbers = geoms[camera], seen.instances[camera]
        assert numbers.dtype == np.int32 and numbers.shape == (48, 48)
        for geom in np.unique(ids):
            (number,) = set(numbers[ids == geom].tolist())
            body = env.model.body(env.model.geom_bodyid[geom]).name
            name = seen.instance_names[number]
            shown.add(name)
            if name in ("robot", "gripper"):
                assert body.startswith({"robot": ("robot0_", "mount0_")}.get(name, "gripper0_"))
            elif name in ("floor", "wall"):
                assert body in ("floor", "world")
            else:
                assert body == name.replace(" ", "_") + "_1_main"
    assert {"robot", "gripper", "floor", "basket", "ketchup"} <= shown
    assert env.observation(with_regions=False).instances == {}
    assert env.observation(with_regions=False).instance_names == {}


def test_a_panel_is_a_thing_too(env):
    env.reset(0)
    rectangle = (-0.1, -0.1, 0.1, 0.1)
    env.panel = panels.Panel(rectangle, (255, 0, 0))
    try:
        seen, masks = env.observation(), env.panel_masks(rectangle)
    finally:
        env.panel = None
    (number,) = (k for k, name in seen.instance_names.items() if name == "panel")
    for camera, mask in masks.items():
        np.testing.assert_array_equal(seen.instances[camera] == number, mask)
    assert masks["overhead"].any()
    assert "panel" not in env.observation().instance_names.values()


def test_images_are_upright(env):
    env.reset(0)
    regions = env.observation().regions
    # The robot stands behind the objects as the front camera sees them: above, in the image.
    rows = np.nonzero(regions["front"] == 2)[0]
    assert rows.max() < 30
    # The basket lies to the robot's left, world +y: to the right in the overhead view too.
    basket = env.object_position("basket_1")
    assert basket[1] > 0.2
    geoms = env._renderer.render(env.data)[1]
    for camera in ("front", "overhead"):
        bodies = env.model.geom_bodyid[geoms[camera]]
        columns = np.nonzero(bodies == env.model.body("basket_1_main").id)[1]
        assert columns.min() > 30


def test_reset_is_deterministic_and_forgets_what_was_done(env):
    env.reset(7, "shuffled", 5)
    first, image = env.simulator_state(), env.render()
    rng = np.random.default_rng(0)
    for _ in range(15):
        env.step(rng.uniform(-1, 1, 7))
    assert np.abs(env.simulator_state() - first).max() > 0.01
    env.reset(7, "shuffled", 5)
    np.testing.assert_array_equal(env.simulator_state(), first)
    for camera in CAMERAS:
        np.testing.assert_array_equal(env.render()[camera], image[camera])
    env.step(np.zeros(7))
    after = env.simulator_state()
    env.reset(7, "shuffled", 5)
    env.step(np.zeros(7))
    np.testing.assert_array_equal(env.simulator_state(), after)


def test_a_step_computes_less_than_robosuites_own_and_the_same_to_the_bit(env, monkeypatch):
    actions = np.random.default_rng(0).uniform(-1, 1, (12, 7)) * (1, 1, 3, 1, 1, 1, 1)

    def states(step):
        env.reset(7, settle_steps=0)
        return np.array([step(action) or env.simulator_state() for action in actions])

    own = states(env.step)
    monkeypatch.delattr(env._env.sim, "forward")
    theirs = states(lambda action: env._env.step(np.clip(action, -1.0, 1.0)) and None)
    assert env.data.ncon > 0
    assert np.abs(np.diff(own, axis=0)).max() > 1e-3
    np.testing.assert_array_equal(own, theirs)


def test_init_states_move_objects_by_millimetres_and_layouts_by_more(env):
    env.reset(0)
    names = env.shuffled_objects
    assert len(names) == 6 and "basket_1" not in names
    native = np.stack([env.object_position(name) for name in names])
    env.reset(49)
    other = np.stack([env.object_position(name) for name in names])
    assert np.abs(other - native).max() < 0.03
    moved = []
    for seed in range(5):
        env.reset(0, "shuffled", seed)
        points = np.stack([env.object_position(name) for name in names])
        gaps = np.linalg.norm(points[:, None, :2] - points[None, :, :2], axis=-1)
        # Objects settle by millimetres after they were placed this far apart.
        assert gaps[np.triu_indices(6, 1)].min() > 0.075
        np.testing.assert_allclose(points[:, 2], native[:, 2], atol=0.01)
        moved.append(np.linalg.norm(points[:, :2] - native[:, :2], axis=1))
    assert np.mean(np.stack(moved) > 0.04) > 0.5


def test_bad_arguments_are_named(env):
    with pytest.raises(IndexError, match="init state 50"):
        env.reset(50)
    with pytest.raises(ValueError, match="'cheese_1'"):
        env.reset(0, target="cheese_1")
    with pytest.raises(ValueError, match=r"shape \(6,\)"):
        env.step(np.zeros(6))
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        env.set_simulator_state(np.zeros(3))


def test_expert_succeeds_and_its_episode_is_consistent(env):
    env.reset(30, "shuffled", 20_004, "cream_cheese_1")
    burst = demonstrations.NoiseBurst(10, 5, np.array([0.5, 0.5, 0.5, 0, 0, 0]), 0.0)
    episode = demonstrations.record(env, burst=burst, rng=np.random.default_rng(0), frame_every=4)
    assert episode is not None and env.success()
    assert episode.prompt == "pick up the cream cheese and place it in the basket"
    chunk, valid = episode.features["action_chunk"], episode.features["action_chunk_valid"]
    np.testing.assert_array_equal(episode.action[:3], chunk[:3, 0])
    # Frame 3 is control step 12, inside the burst: the label is the expert's, the action is not.
    assert np.abs(episode.action[3] - chunk[3, 0]).max() > 0.1
    assert valid[3].tolist() == [True] + [False] * 15
    assert valid[4].all()
    # A frame can be rendered again from what is stored.
    env.set_simulator_state(episode.features["simulator_state"][5])
    image = env.render()["front"].astype(int)
    assert np.abs(image - episode.images["front"][5]).max() <= 2
    np.testing.assert_allclose(env.state, episode.state[5], atol=1e-5)


def test_rollout_steps_records_and_shows_transformed_images(env):
    env.reset(0)
    start = env.eef_position
    seen = []

    def policy(observation):
        seen.append(observation["images"]["front"].max())
        return reflex(observation)

    result = rollout.rollout(env, policy, max_steps=12, transform=black, record_every=4)
    assert not result.success and result.steps == 12
    assert seen == [0, 0]
    assert env.eef_position[2] < start[2] - 0.01
    assert result.episode is not None and len(result.episode) == 3
    assert result.episode.images["front"].max() > 0
    with pytest.raises(ValueError, match=r"\(4, 7\)"):
        rollout.rollout(env, lambda observation: np.zeros((4, 7)), max_steps=8)


def test_spawned_rollouts_return_every_item():
    items = [
        rollout.RolloutItem("libero_object", suites.list_tasks("libero_object")[task].name, state)
        for task in (0, 1)
        for state in (0, 1)
    ]
    options = {"processes": 2, "image_size": 16, "max_steps": 8}
    done = dict(rollout.rollouts(items, f"{__name__}:make_reflex", {"scale": 1.0}, **options))
    assert set(done) == set(items)
    assert all(result.steps == 8 and not result.success for result in done.values())


def test_a_failing_process_is_reported():
    items = [rollout.RolloutItem("libero_object", suites.list_tasks("libero_object")[0].name)]
    with pytest.raises(RuntimeError, match="no_such_function"):
        list(rollout.rollouts(items, "iss_jax.envs.rollout:no_such_function"))


@pytest.mark.parametrize(
    ("suite", "task", "surface"),
    [
        ("libero_goal", 5, "main_table"),  # its goal names a region of the table
        ("libero_10", 0, "living_room_table"),
        ("libero_90", 0, "kitchen_table"),
        ("libero_object_swap", 4, "floor"),
    ],
)
def test_scenes_of_other_suites_are_labelled(suite, task, surface):
    env = libero.make(suite, task, image_size=32)
    env.reset(0)
    assert env._env.workspace_name == surface
    frame = env.observation()
    for camera, labels in frame.regions.items():
        share = [float(np.mean(labels == label)) for label in range(3)]
        assert sum(share) == pytest.approx(1.0), camera
        # The robot is in every view, and the surface that carries the objects is support.
        assert share[2] > 0.02 and share[1] > 0.2, camera
    assert frame.prompt == suites.list_tasks(suite)[task].language


def test_projected_centres_lie_on_the_objects(env):
    """The geom under the pixel of a free-standing object's centre belongs to that object."""
    from experiments.locate_objects import kind, scene_pixels
    from experiments.making.object_pixels import CAMERAS

    env.reset(0)
    pixels = scene_pixels(env, env.simulator_state()[None])
    env.reset(0)
    geoms = env._renderer.render(env.data)[1]
    hits = []
    for name in env.objects:
        for index, camera in enumerate(CAMERAS):
            x, y = pixels[kind(name)][0, index]
            if np.isnan(x):
                continue
            side = len(geoms[camera])
            geom = geoms[camera][int(y * side), int(x * side)]
            body = env.model.body(env.model.body_rootid[env.model.geom_bodyid[geom]]).name
            hits.append(body.startswith(name))
    # The arm hides some objects from above, and a centre at the rim of a pixel may miss.
    assert len(hits) > 10 and np.mean(hits) > 0.7


def test_the_wanted_object_is_known_by_where_it_stands(env):
    from experiments.locate_objects import kind, wanted_kind

    env.reset(0)
    for name in env.shuffled_objects:
        assert wanted_kind(env, env.simulator_state(), env.object_position(name)) == kind(name)


def test_a_panel_is_painted_on_the_floor_alone_and_is_nuisance(env):
    env.reset(3)
    env.panel = None
    plain, geoms = env.observation(), env._renderer.render(env.data)[1]
    rectangle, colour = (-0.70, -0.40, -0.33, -0.12), (1, 2, 3)
    masks = env.panel_masks(rectangle)
    assert masks["overhead"].mean() > 0.05 and masks["front"].any()
    env.panel = panels.Panel(rectangle, colour)
    seen, bare = env.observation(), env.render()
    env.panel = None
    floor = np.flatnonzero(env.model.geom_bodyid == env.model.body("floor").id)
    for camera, mask in masks.items():
        assert (seen.images[camera][mask] == colour).all()
        np.testing.assert_array_equal(seen.images[camera][~mask], plain.images[camera][~mask])
        np.testing.assert_array_equal(seen.images[camera], bare[camera])
        assert np.isin(geoms[camera][mask], floor).all()
        np.testing.assert_array_equal(seen.regions[camera], plain.regions[camera])
        assert (seen.regions[camera][mask] == regions.NUISANCE).all()
    np.testing.assert_array_equal(env.render()["front"], plain.images["front"])


def test_objects_are_known_without_building_the_scene(env):
    assert sorted(suites.objects_in(env.task)) == sorted(env.objects)
