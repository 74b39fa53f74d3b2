"""Colour and geom-id images of a MuJoCo scene on a CPU, by mujoco-warp's ray caster: no GL."""

import contextlib
import importlib
import io
from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock

import numpy as np

from iss_jax.envs import simulator
from iss_jax.extras import imports_of

with imports_of("libero"):
    from PIL import Image

_TEXELS = 96  # side of a texture as rendered: a texel is about a pixel of these small images


def _small_pixels(read: Callable[[Any, int], np.ndarray]) -> Callable[[Any, int], np.ndarray]:
    """Wraps mujoco-warp's reader of textures so that it averages them over blocks.

    One ray a pixel samples one texel of thousands, so that an object's colours would flicker with
    the smallest motion; GL's mipmaps prevent that, averaging beforehand does the same here. It
    also saves nearly a gigabyte a scene, as mujoco-warp keeps textures as four floats a texel.
    """

    def pixels(model: Any, texture: int) -> np.ndarray:
        image = np.asarray(read(model, texture))
        height, width, channels = image.shape
        if model.tex_type[texture] != 0 or channels != 3 or min(height, width) <= _TEXELS:
            return image
        small = Image.fromarray(image).resize((_TEXELS, _TEXELS), Image.Resampling.BOX)
        return np.asarray(small)

    return pixels


class Renderer:
    """Renders fixed cameras of one MuJoCo model, one ray a pixel.

    mujoco-warp copies the model once; a frame then costs the poses of geoms, cameras and lights,
    a refit of the bounding volumes, and the rays. Kernels are compiled once and cached on disk.

    Args:
        model: a `mujoco.MjModel`, with its cameras' fields of view as wanted.
        cameras: image name -> camera name in the model.
        size: height and width of every image, in pixels.

    Raises:
        ValueError: a camera the model does not have.
    """

    def __init__(
        self,
        model: Any,
        cameras: Mapping[str, str],
        size: int,
    ):
        modules = simulator.load()
        self._warp, self._mjwarp = modules.warp, modules.mujoco_warp
        known = [model.camera(i).name for i in range(model.ncam)]
        for name, camera in cameras.items():
            if camera not in known:
                raise ValueError(f"camera {name!r}: the model has {known}, not {camera!r}")
        self.cameras = tuple(cameras)
        self.size = size
        with contextlib.redirect_stdout(io.StringIO()), self._warp.ScopedDevice("cpu"):
            self._model = self._mjwarp.put_model(model)
            self._data = self._mjwarp.make_data(model)
            internals = importlib.import_module("mujoco_warp._src.render_util")
            reader = _small_pixels(internals.texture_pixels)
            with mock.patch.object(internals, "texture_pixels", reader):
                self._context = self._mjwarp.create_render_context(
                    model,
                    cam_res=(size, size),
                    cam_active=[cameras[name] for name in self.cameras],
                    render_rgb=True,
                    render_depth=False,
                    render_seg=True,
                    # Group 0 holds the collision shapes, which robosuite does not draw either.
                    enabled_geom_groups=[1, 2],
                )
            shape = (1, size, size)
            self._colour = self._warp.zeros(shape, dtype=self._warp.vec3)
            self._ids = self._warp.zeros(shape, dtype=self._warp.vec2i)

    def render(
        self, data: Any, segmentation: bool = True
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Renders the scene as `data` has it.

        Args:
            data: a `mujoco.MjData` on which kinematics and camera and light poses are computed.
            segmentation: whether to read back geom ids as well.

        Returns:
            Images, name -> uint8 `[size, size, 3]`, upright, and geom ids, name -> int32
            `[size, size]` with -1 where no geom is hit (empty without `segmentation`).
        """
        images: dict[str, np.ndarray] = {}
        geoms: dict[str, np.ndarray] = {}
        with self._warp.ScopedDevice("cpu"):
            for target, source in (
                (self._data.geom_xpos, data.geom_xpos),
                (self._data.geom_xmat, data.geom_xmat),
                (self._data.cam_xpos, data.cam_xpos),
                (self._data.cam_xmat, data.cam_xmat),
                (self._data.light_xpos, data.light_xpos),
                (self._data.light_xdir, data.light_xdir),
            ):
                view = target.numpy()
                view[...] = np.asarray(source, np.float32).reshape(view.shape)
            self._mjwarp.refit_bvh(self._model, self._data, self._context)
            self._mjwarp.render(self._model, self._data, self._context)
            for index, name in enumerate(self.cameras):
                self._mjwarp.get_rgb(self._context, index, self._colour)
                colour = self._colour.numpy()[0]
                images[name] = np.round(np.clip(colour, 0.0, 1.0) * 255.0).astype(np.uint8)
                if segmentation:
                    self._mjwarp.get_segmentation(self._context, index, self._ids)
                    geoms[name] = self._ids.numpy()[0, ..., 0].astype(np.int32)
        return images, geoms
