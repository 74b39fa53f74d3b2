"""LIBERO tasks on a CPU without GL: any task of any suite, cameras, region labels, success.

    env = make("libero_object", "pick_up_the_ketchup_and_place_it_in_the_basket")
    env.reset(init_state=0, layout="shuffled", seed=3)
    observation = env.observation()
    success = env.step(action)

LIBERO: Liu et al. 2023. Needs the extra: `pip install 'iss-jax[libero]'`.
"""

import contextlib
import dataclasses
import functools
import io
import os
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from iss_jax.envs import instances, layouts, panels, regions, relations, simulator
from iss_jax.envs.rendering import Renderer
from iss_jax.envs.suites import LiberoTask, definition_path, list_tasks, load_suite

CONTROL_HZ = 20
SETTLE_STEPS = 10  # openpi's LIBERO protocol: objects fall into place before the episode begins
OPEN, CLOSE = -1.0, 1.0
CAMERAS = {"front": "agentview", "overhead": "birdview", "wrist": "robot0_eye_in_hand"}
# Narrower than LIBERO's, so that an object is about ten pixels wide at 80 px.
FIELDS_OF_VIEW = {"front": 36.0, "overhead": 16.0}
MAX_STEPS = {
    "libero_spatial": 220,
    "libero_object": 280,
    "libero_goal": 300,
    "libero_10": 520,
    "libero_90": 400,
}
_HOLD_OPEN = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, OPEN])
# Body of the surface that carries the objects, by LIBERO's name of the workspace.
_SURFACES = {"main_table": "table", "kitchen_table": "table"}
_FLOOR_MARGIN = 0.08  # metres around LIBERO's placement regions: where the floor is a work surface


@dataclasses.dataclass(frozen=True)
class Observation:
    """What a policy sees.

    Attributes:
        images: camera to uint8 `[size, size, 3]`, upright.
        regions: camera to uint8 `[size, size]`: 0 nuisance, 1 support, 2 action-critical.
        state: float32 `[8]`: end-effector position (m, world), axis-angle (rad), finger joints (m).
        prompt: the instruction.
        instances: camera to int32 `[size, size]`: which thing each pixel shows, 0 where none.
        instance_names: what each number is, of all things of the scene.
    """

    images: dict[str, np.ndarray]
    regions: dict[str, np.ndarray]
    state: np.ndarray
    prompt: str
    instances: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    instance_names: dict[int, str] = dataclasses.field(default_factory=dict)


def make(
    suite: str,
    task: str | int,
    image_size: int = 80,
    cameras: Sequence[str] = ("front", "overhead", "wrist"),
    fields_of_view: Mapping[str, float] | None = None,
) -> "LiberoEnv":
    """Builds the environment of one task (some five seconds).

    Args:
        suite: name of the suite (`libero_object`).
        task: the task's name or its index in the suite.
        image_size: height and width of the images, pixels.
        cameras: any of `front`, `overhead`, `wrist`, or names of cameras in the model.
        fields_of_view: vertical, degrees, by camera; `FIELDS_OF_VIEW` when None.

    Returns:
        The environment, not yet reset.

    Raises:
        ImportError: the `libero` extra is missing.
        ValueError: an unknown suite, task or camera.
    """
    tasks = list_tasks(suite)
    found = [t for t in tasks if task in (t.name, t.index)]
    if not found:
        raise ValueError(f"task {task!r}: one of {[t.name for t in tasks]} wanted")
    return LiberoEnv(
        found[0], image_size, cameras, FIELDS_OF_VIEW if fields_of_view is None else fields_of_view
    )


class LiberoEnv:
    """One LIBERO task, simulated at 20 Hz under OSC_POSE control (see `make`)."""

    def __init__(
        self,
        task: LiberoTask,
        image_size: int,
        cameras: Sequence[str],
        fields_of_view: Mapping[str, float],
    ):
        modules = simulator.load()
        self._mujoco = modules.mujoco
        definition = load_suite(task.suite).get_task(task.index)
        states = os.path.join(
            modules.get_libero_path("init_states"),
            definition.problem_folder,
            definition.init_states_file,
        )
        self.task = task
        self.init_states = np.asarray(modules.states.load_initial_states(states), np.float64)
        saved = np.random.get_state()
        np.random.seed(0)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                self._env = modules.ControlEnv(
                    bddl_file_name=definition_path(task),
                    has_offscreen_renderer=False,
                    use_camera_obs=False,
                    camera_names=[],
                    ignore_done=True,
                    control_freq=CONTROL_HZ,
                ).env
        finally:
            np.random.set_state(saved)
        # Every observable is recomputed at each of the 25 physics steps of a control step, which
        # costs three quarters of the time; what is needed is read from the simulator instead.
        self._env._observables = {}
        # So are positions and velocities, which robosuite computes three times a physics step, and
        # the constraint forces with them. `step` computes each once.
        self._env.sim.forward = lambda: None
        self._robot = self._env.robots[0]
        self.model = self._env.sim.model._model
        self.data = self._env.sim.data._data
        self._image_size = image_size
        self._cameras = {name: CAMERAS.get(name, name) for name in cameras}
        for name, degrees in fields_of_view.items():
            if name in self._cameras:
                self.model.cam_fovy[self.model.camera(self._cameras[name]).id] = degrees
        self._own_goal = self._env.parsed_problem["goal_state"]
        self._own_interest = list(self._env.obj_of_interest)
        self._goal = self._own_goal
        self.prompt = task.language
        self.panel: panels.Panel | None = None
        self._support: set[str] = set()
        self._labels: np.ndarray | None = None
        self._shapes: dict[str, np.ndarray] = {}

    @functools.cached_property
    def _renderer(self) -> Renderer:
        return Renderer(self.model, self._cameras, self._image_size)

    # The task's objects.

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of the movable objects, the receptacle included."""
        return tuple(self._env.objects_dict)

    @property
    def surface(self) -> str:
        """LIBERO's name of the work surface."""
        return self._env.workspace_name

    @property
    def fixtures(self) -> tuple[str, ...]:
        """Names of what is fixed to the scene (cabinets, stoves), without the work surface."""
        return tuple(
            n
            for n in self._env.fixtures_dict
            if n in self._env.obj_body_id and n != self._env.workspace_name
        )

    @property
    def standing_on(self) -> dict[str, str]:
        """What each object of the task stands on at the start: an object, a fixture, a surface."""
        return {
            state[1]: self._strip(state[2])
            for state in self._env.parsed_problem["initial_state"]
            if len(state) == 3 and state[0] in ("on", "in")
        }

    @property
    def predicate(self) -> str:
        """How the goal's first object is to stand: `in`, `on` or another of LIBERO's words."""
        return self._goal[0][0]

    @property
    def receptacle(self) -> str | None:
        """The object or fixture that the goal puts something into or onto, where it has one."""
        for predicate in self._goal:
            if len(predicate) == 3 and predicate[0] in ("in", "on"):
                return self._strip(predicate[2])
        return None

    @property
    def target(self) -> str | None:
        """The object to be moved: the first that the goal names."""
        for predicate in self._goal:
            if len(predicate) == 3:
                return predicate[1]
        return None

    @property
    def shuffled_objects(self) -> tuple[str, ...]:
        """Objects that layouts move: those placed on the work surface, without the receptacle."""
        surface = self._env.workspace_name
        placed = self._env.parsed_problem["regions"]
        return tuple(
            state[1]
            for state in self._env.parsed_problem["initial_state"]
            if state[0] == "on"
            and state[1] in self._env.objects_dict
            and state[1] != self._strip(self._own_goal[0][-1])
            and placed.get(state[2], {}).get("target") == surface
        )

    def _strip(self, name: str) -> str:
        """The object, fixture or work surface that a region (`basket_1_contain_region`) is of."""
        owners = [*self._env.objects_dict, *self._env.fixtures_dict, self._env.workspace_name]
        found = [o for o in owners if name == o or name.startswith(o + "_")]
        return max(found, key=len) if found else name

    def object_position(self, name: str) -> np.ndarray:
        """Position of an object or fixture, float64 `[3]`, metres, world frame."""
        return self.data.xpos[self._env.obj_body_id[name]].copy()

    def object_boxes(self, name: str) -> np.ndarray:
        """Boxes around each of an object's collision shapes, along world axes.

        Returns:
            float64 `[shapes, 2, 3]`, lower and upper corners, metres, world frame.
        """
        if name not in self._shapes:
            body = self._env.obj_body_id[name]
            owner = self.model.body_rootid[self.model.geom_bodyid]
            self._shapes[name] = np.flatnonzero((owner == body) & (self.model.geom_group == 0))
        shapes = self._shapes[name]
        axes = self.data.geom_xmat[shapes].reshape(-1, 3, 3)
        box = self.model.geom_aabb[shapes]
        middle = self.data.geom_xpos[shapes] + np.einsum("nij,nj->ni", axes, box[:, :3])
        half = np.einsum("nij,nj->ni", np.abs(axes), box[:, 3:])
        return np.stack([middle - half, middle + half], axis=1)

    # The robot.

    @property
    def eef_position(self) -> np.ndarray:
        """Position of the grip site, float64 `[3]`, metres, world frame."""
        return self.data.site_xpos[self._robot.eef_site_id].copy()

    @property
    def base_position(self) -> np.ndarray:
        """Position of the robot's base, float64 `[3]`, metres, world frame."""
        return self.data.body("robot0_base").xpos.copy()

    @property
    def eef_axes(self) -> np.ndarray:
        """Axes of the grip site as columns, float64 `[3, 3]`, world frame."""
        return self.data.site_xmat[self._robot.eef_site_id].reshape(3, 3).copy()

    @property
    def eef_twist(self) -> np.ndarray:
        """Velocity (m/s) and angular velocity (rad/s) of the grip site, `[6]`, world axes."""
        site = self.model.site(self._robot.eef_site_id).name
        data = self._env.sim.data
        return np.concatenate([data.get_site_xvelp(site), data.get_site_xvelr(site)])

    @property
    def gripper_qpos(self) -> np.ndarray:
        """Finger joints, float64 `[2]`, metres: (0.04, -0.04) open, (0, 0) closed."""
        return self.data.qpos[self._robot._ref_gripper_joint_pos_indexes].copy()

    @property
    def finger_opening(self) -> float:
        """Distance between the fingers, metres: 0.08 open, 0 closed."""
        return float(self.gripper_qpos[0] - self.gripper_qpos[1])

    @property
    def state(self) -> np.ndarray:
        """float32 `[8]`: grip-site position, axis-angle of the hand, finger joints (as openpi)."""
        hand = self.model.body(self._robot.robot_model.eef_name).id
        rotation = axis_angle(self.data.xquat[hand])
        return np.concatenate([self.eef_position, rotation, self.gripper_qpos]).astype(np.float32)

    # Episodes.

    def reset(
        self,
        init_state: int = 0,
        layout: str = "native",
        seed: int = 0,
        target: str | None = None,
        settle_steps: int = SETTLE_STEPS,
    ) -> None:
        """Starts an episode.

        Args:
            init_state: which of LIBERO's init states to start from (50 a task).
            layout: `native`, `shuffled` or `scattered` (see `iss_jax.envs.layouts`).
            seed: of the layout.
            target: the object to be put into the receptacle instead of the task's own; the prompt,
                the goal and the regions follow.
            settle_steps: control steps with an idle robot before the episode begins.

        Raises:
            IndexError: there is no such init state.
            ValueError: an unknown layout or target, or a layout for a task that has none to move.
        """
        if not 0 <= init_state < len(self.init_states):
            raise IndexError(
                f"init state {init_state}: {self.task.name} has {len(self.init_states)}"
            )
        self.set_target(target)
        self.set_simulator_state(self.init_states[init_state])
        if layout != "native":
            self.place(layout, np.random.default_rng(seed))
        for _ in range(settle_steps):
            self.step(_HOLD_OPEN)

    def set_target(self, target: str | None) -> None:
        """Makes `target` the object to be moved (None: the task's own), with prompt and goal."""
        self._goal, self.prompt = self._own_goal, self.task.language
        interest = list(self._own_interest)
        own = self.target
        if target is not None and target != own:
            if len(self._goal) != 1 or own is None or target not in self.shuffled_objects:
                raise ValueError(
                    f"target {target!r}: {self.task.name} can move one of {self.shuffled_objects}"
                )
            self._goal = [[self._own_goal[0][0], target, self._own_goal[0][2]]]
            interest = [target if name == own else name for name in interest]
            self.prompt = self.task.language.replace(_words(own), _words(target))
            if self.prompt == self.task.language:
                raise ValueError(f"the instruction {self.prompt!r} does not say {_words(own)!r}")
        self._support = {self._strip(name) for name in interest} - {self._env.workspace_name}
        self.count_as_support(())

    def count_as_support(self, names: Collection[str]) -> None:
        """Lets objects and fixtures count as support besides the task's own, until `reset`.

        Raises:
            ValueError: there is no such object.
        """
        surface = self._env.workspace_name
        self._labels = regions.geom_labels(
            self.model, self._support | set(names), _SURFACES.get(surface, surface)
        )

    def place(self, layout: str, rng: np.random.Generator) -> None:
        """Puts the objects where a drawn layout has them, at their own heights; no physics."""
        if relations.told_apart_by_place(self):
            return self.move_objects(relations.arrange(self, layout, rng))
        names = self.shuffled_objects
        if not names:
            raise ValueError(f"layout {layout!r}: {self.task.name} has no objects on its surface")
        basket = self.receptacle if self.receptacle in self._env.objects_dict else None
        slots = np.stack([self._free_joint(name)[:2] for name in names])
        home = None if basket is None else self._free_joint(basket)[:2].copy()
        points, home = layouts.draw(layout, slots, home, rng)
        positions = dict(zip(names, points, strict=True))
        if basket is not None and home is not None:
            positions[basket] = home
        self.move_objects(positions)

    def move_objects(self, positions: Mapping[str, np.ndarray]) -> None:
        """Puts objects, at rest, where `positions` says (name to x and y, metres); no physics."""
        for name, point in positions.items():
            self._free_joint(name)[:2] = point
        self.data.qvel[:] = 0.0
        self._forward()

    def pose_robot(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Puts arm and fingers, `[9]` joints, into a configuration and motion; no physics."""
        joints = len(self._robot._ref_joint_pos_indexes) + 2
        self.data.qpos[:joints], self.data.qvel[:joints] = qpos, qvel
        self._forward()

    def robot_touches(self, depth: float = 0.001) -> bool:
        """Whether the robot penetrates anything by more than `depth` metres."""
        contacts = self.data.contact
        deep = np.flatnonzero(contacts.dist[: self.data.ncon] < -depth)
        bodies = self.model.geom_bodyid[contacts.geom[deep]]
        robot = np.array([name.startswith(regions.ROBOT_PREFIXES) for name in self._body_names])
        return bool(np.any(robot[bodies].sum(axis=1) == 1))

    @functools.cached_property
    def _body_names(self) -> list[str]:
        return [self.model.body(i).name for i in range(self.model.nbody)]

    def _free_joint(self, name: str) -> np.ndarray:
        """A writable view of an object's pose, `[7]`: position and quaternion."""
        start = self.joint_address(name)
        return self.data.qpos[start : start + 7]

    def joint_address(self, name: str) -> int:
        """Where an object's pose, `[7]`: position and quaternion, begins in `data.qpos`."""
        joint = self.model.joint(self._env.objects_dict[name].joints[-1]).id
        return int(self.model.jnt_qposadr[joint])

    @property
    def hinges(self) -> int:
        """Joints of fixtures: drawers, doors, knobs."""
        free = len(self._env.objects_dict)
        return self.model.nv - 6 * free - len(self._robot._ref_joint_pos_indexes) - 2

    def camera_id(self, name: str) -> int:
        """The model's id of the camera that takes the images `name`."""
        return int(self.model.camera(self._cameras[name]).id)

    def simulator_state(self) -> np.ndarray:
        """Time, positions and velocities, float64 `[1 + nq + nv]`, in LIBERO's order."""
        return np.concatenate([[self.data.time], self.data.qpos, self.data.qvel])

    def set_simulator_state(self, state: np.ndarray) -> None:
        """Puts the simulator into a state, with controller and gripper as after a reset."""
        wanted = 1 + self.model.nq + self.model.nv
        if np.shape(state) != (wanted,):
            raise ValueError(f"simulator state: shape {np.shape(state)} given, ({wanted},) wanted")
        self._mujoco.mj_resetData(self.model, self.data)
        self.data.time = state[0]
        self.data.qpos[:] = state[1 : 1 + self.model.nq]
        self.data.qvel[:] = state[1 + self.model.nq :]
        self._robot.gripper.current_action = np.zeros(self._robot.gripper.dof)
        self._forward()

    def _forward(self) -> None:
        self._mujoco.mj_forward(self.model, self.data)
        self._robot.controller.update(force=True)
        self._robot.controller.reset_goal()

    def step(self, action: np.ndarray) -> bool:
        """Executes one action for 1/20 s.

        Args:
            action: `[7]`: position delta (1 is 5 cm) and axis-angle delta (1 is 0.5 rad) of the
                grip site, world axes, clipped to [-1, 1]; gripper -1 open, +1 close.

        Returns:
            Whether the goal is reached, by LIBERO's own check.
        """
        action = np.asarray(action, np.float64)
        if action.shape != (7,):
            raise ValueError(f"action: shape {action.shape} given, (7,) wanted")
        action = np.clip(action, -1.0, 1.0)
        for substep in range(round(1 / (CONTROL_HZ * self.model.opt.timestep))):
            self._mujoco.mj_step1(self.model, self.data)
            self._robot.control(action, policy_step=substep == 0)
            self._mujoco.mj_step2(self.model, self.data)
        self._env._post_process()
        # MuJoCo integrates last: positions of bodies and cameras are those of one physics step ago.
        self._mujoco.mj_forward(self.model, self.data)
        return self.success()

    def success(self) -> bool:
        """Whether the goal is reached, by LIBERO's own predicates."""
        return all(bool(self._env._eval_predicate(state)) for state in self._goal)

    # What the cameras see.

    def observation(self, with_regions: bool = True) -> Observation:
        """Renders the cameras and reads the robot's state; labels where they are wanted."""
        images, geoms = self._rendered(with_regions)
        labels, names = self._instances(geoms)
        return Observation(
            images, self._regions(geoms), self.state, self.prompt, labels, names if labels else {}
        )

    def render(self) -> dict[str, np.ndarray]:
        """Renders the cameras: name to uint8 `[size, size, 3]`."""
        return self._rendered(False)[0]

    def panel_masks(self, rectangle: tuple[float, float, float, float]) -> dict[str, np.ndarray]:
        """Where a panel on the floor would be seen: camera to bool `[size, size]`.

        Raises:
            ValueError: the scene stands on a table.
        """
        return self._floor_inside(self._renderer.render(self.data)[1], rectangle)

    def _rendered(self, segmentation: bool) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Images with the panel, and geom ids if they are asked for."""
        panel = self.panel
        images, geoms = self._renderer.render(self.data, segmentation or panel is not None)
        if panel is not None:
            masks = self._floor_inside(geoms, panel.rectangle)
            images = panels.paint(images, masks, np.array(panel.colour))
        return images, geoms if segmentation else {}

    def _floor_inside(
        self, geoms: Mapping[str, np.ndarray], rectangle: tuple[float, float, float, float]
    ) -> dict[str, np.ndarray]:
        if self._env.workspace_name != "floor":
            raise ValueError(f"{self.task.name}: a panel lies on the floor, this scene has none")
        masks = {}
        for name, ids in geoms.items():
            camera = self.camera_id(name)
            points = regions.floor_points(
                self.data.cam_xpos[camera],
                self.data.cam_xmat[camera].reshape(3, 3),
                self.model.cam_fovy[camera],
                self._image_size,
            )
            masks[name] = self._floor[ids] & regions.inside(points, rectangle)
        return masks

    @functools.cached_property
    def _floor(self) -> np.ndarray:
        """Which geoms are the floor; the last entry, reached by geom id -1, is none."""
        return np.append(self.model.geom_bodyid == self.model.body("floor").id, False)

    def _regions(self, geoms: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self._labels is None:
            self.set_target(None)
        assert self._labels is not None
        labels = {name: self._labels[ids] for name, ids in geoms.items()}
        if self._env.workspace_name == "floor":
            # The floor fills the view: only the part where the task places objects is a work
            # surface, the rest is background, as around a table.
            work = self._floor_inside(geoms, self._work_area)
            for name, ids in geoms.items():
                labels[name][self._floor[ids] & ~work[name]] = regions.NUISANCE
        return labels

    def _instances(
        self, geoms: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], dict[int, str]]:
        """Which thing each pixel shows, and what each number is; a panel is one of them."""
        numbers, names = self._named_geoms
        labels = {name: numbers[ids] for name, ids in geoms.items()}
        if self.panel is not None:
            names = names | {max(names) + 1: "panel"}
            for name, mask in self._floor_inside(geoms, self.panel.rectangle).items():
                labels[name][mask] = max(names)
        return labels, names

    @functools.cached_property
    def _named_geoms(self) -> tuple[np.ndarray, dict[int, str]]:
        return instances.geom_instances(self.model, (*self.objects, *self.fixtures))

    @functools.cached_property
    def _work_area(self) -> tuple[float, float, float, float]:
        boxes = np.array(
            [
                box
                for region in self._env.parsed_problem["regions"].values()
                if region["target"] == self._env.workspace_name
                for box in region["ranges"]
            ]
        )
        low, high = boxes[:, :2].min(0) - _FLOOR_MARGIN, boxes[:, 2:].max(0) + _FLOOR_MARGIN
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _words(name: str) -> str:
    """What an instruction calls an object: `tomato_sauce_1` is "tomato sauce"."""
    return " ".join(name.split("_")[:-1])


def axis_angle(quaternion: np.ndarray) -> np.ndarray:
    """Rotation vector of a unit quaternion (w, x, y, z), in radians, as openpi's clients send it.

    The sign of the quaternion is kept, so the angle lies in [0, 2 pi) and does not jump at pi,
    where a hand that points down spends its time.
    """
    w, vector = float(np.clip(quaternion[0], -1.0, 1.0)), np.asarray(quaternion[1:], np.float64)
    norm = np.sqrt(1.0 - w * w)
    if norm < 1e-8:
        return np.zeros(3)
    return vector * 2.0 * np.arccos(w) / norm
