"""What a masked cell is replaced with: the blurred frame, or a mean embedding.

The soft intervention of App. F.1 (Eq. 17) fades a frame into its own Gaussian blur; the token form
of Eq. 4 replaces an embedding by the mean of its modality (`iss_jax.tokens.mean_embeddings`).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from iss_jax.checks import check_number

REFERENCE_HEIGHT = 224
# Frames that a blur may span at most: at ten it is the mean, and its kernel takes memory alone.
WIDEST = 10


def gaussian_kernel(sigma: float) -> Float[np.ndarray, " taps"]:
    """Normalised Gaussian taps on [-r, r], r = round(3 sigma) but at least 1; sigma in pixels.

    Sigma 10 gives 61 taps, OpenCV's `getGaussianKernel(61, 10)`. Halves round to even.
    """
    radius = max(1, round(3 * sigma))
    offsets = np.arange(-radius, radius + 1, dtype=np.float64)
    taps = np.exp(-0.5 * (offsets / sigma) ** 2)
    return taps / taps.sum()


def blur_matrix(pixels: int, sigma: float) -> Float[np.ndarray, "pixels pixels"]:
    """One axis of the blur as a matrix, its border reflected without repeating the edge pixel.

    The border is OpenCV's BORDER_REFLECT_101 (numpy's `reflect`), folded again where the kernel is
    longer than the image.
    """
    taps = gaussian_kernel(sigma)
    radius = len(taps) // 2
    source = np.pad(np.arange(pixels), radius, mode="reflect")
    matrix = np.zeros((pixels, pixels))
    for offset, tap in enumerate(taps):
        np.add.at(matrix, (np.arange(pixels), source[offset : offset + pixels]), tap)
    return matrix.astype(np.float32)


def blur(
    images: Float[Array, "*batch h w c"],
    *,
    sigma: float = 10.0,
    valid: Bool[Array, "*batch h w"] | None = None,
) -> Float[Array, "*batch h w c"]:
    """Separable Gaussian blur of camera frames (Algorithm 1, line 6).

    Equal to OpenCV's `GaussianBlur(frame, (61, 61), 10, borderType=BORDER_REFLECT_101)` at 224.

    Args:
        images: Frames, channels last, any value range.
        sigma: Standard deviation in pixels of a frame 224 high; it scales with the frame's height.
        valid: Pixels that belong to the picture. Letterbox padding is then left out of every
            average and stays unblurred.

    Raises:
        ValueError: A sigma that is not positive, or wider than ten frames.
    """
    check_number("sigma", sigma, above=0.0, most=WIDEST * REFERENCE_HEIGHT)
    height, width = images.shape[-3], images.shape[-2]
    scaled = sigma * height / REFERENCE_HEIGHT
    rows, columns = blur_matrix(height, scaled), blur_matrix(width, scaled)

    def average(x: Array) -> Array:
        x = jnp.einsum("ij,...jkc->...ikc", rows, x, precision="highest")
        return jnp.einsum("ij,...kjc->...kic", columns, x, precision="highest")

    images = images.astype(jnp.float32)
    if valid is None:
        return average(images)
    inside = jnp.broadcast_to(valid, images.shape[:-1])[..., None]
    weight = average(inside.astype(jnp.float32))
    mean = average(jnp.where(inside, images, 0.0)) / jnp.where(inside, weight, 1.0)
    return jnp.where(inside, mean, images)


def blend(
    images: Float[Array, "*batch h w c"],
    blurred: Float[Array, "*batch h w c"],
    keep: Float[Array, "*n h w"],
) -> Float[Array, "*n h w c"]:
    """V m + blur(V) (1 - m) for every mask (Eq. 17), in floating point.

    Args:
        images: Frames V; leading axes broadcast against the masks'.
        blurred: Their blur, of the same shape.
        keep: Upsampled masks m in [0, 1].
    """
    keep = keep[..., None]
    extra = keep.ndim - images.ndim
    images = jax.lax.expand_dims(images, range(extra))
    blurred = jax.lax.expand_dims(blurred, range(extra))
    # Written as a step from V so that the all-keep mask returns V itself, bit for bit.
    return images + (1.0 - keep) * (blurred - images)


def replace_tokens(
    tokens: Float[Array, "*batch t d"],
    keep: Bool[Array, "*batch t"],
    mean: Float[Array, " d"] | Float[Array, "t d"],
) -> Float[Array, "*batch t d"]:
    """Replaces the dropped tokens by the mean embedding of their modality (Eq. 4).

    Args:
        tokens: Embedded prefix.
        keep: True where the token stays.
        mean: One mean for all tokens, or one for each (the visual mean for image tokens, the
            textual one for the prompt).
    """
    return jnp.where(keep[..., None], tokens, jnp.broadcast_to(mean, tokens.shape))
