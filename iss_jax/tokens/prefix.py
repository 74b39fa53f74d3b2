"""The embedded prefix as something to intervene on: what is run, and what scores are made of.

Replacing one token changes the keys and values of every token from the second layer on, for the
prefix attends in both directions. So nothing of the cache can be kept; what all runs share is the
embedding of the prefix, above all the image encoder, and it is computed once.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float, Key

from iss_jax import divergence
from iss_jax.interventions import replace_tokens
from iss_jax.masked_runs import micro_batch_rows
from iss_jax.masks import upsample
from iss_jax.pi05 import model
from iss_jax.pi05.observation import VIEWS, Observation, preprocess
from iss_jax.pi05.params import Params, as_params, sizes_of
from iss_jax.pi05.prepare import flow_noise, policy_observation, possible_views
from iss_jax.records import MapsRecord, record, static
from iss_jax.sampling import Sampling
from iss_jax.tokens.means import TokenMeans


@record
class TokenSignificance(MapsRecord):
    """Significance of every token of a batch of observations.

    >>> import jax.numpy as jnp
    >>> from iss_jax.tokens import TokenSignificance
    >>> one = jnp.ones((1, 4))
    >>> found = TokenSignificance({"front": jnp.ones((1, 8, 8))}, {"front": one}, one, one[None])
    >>> found.plot().axes[0].get_title()
    'front'

    Attributes:
        maps: View -> scores in pixels of the policy's input, bilinear; zero in absent views.
        views: View -> score of each image token, row by row.
        prompt: Score of each prompt token, zero at padding; as long as the prompt given.
        actions: The chunk that scores compare with, normalised.
        unit: What a score is.
    """

    maps: dict[str, Float[Array, "b h w"]]
    views: dict[str, Float[Array, "b t"]]
    prompt: Float[Array, "b l"]
    actions: Float[Array, "b horizon dims"]
    unit: str = static(default="")


class Layout(NamedTuple):
    """Where the tokens of a prefix belong; hashable.

    Attributes:
        views: Those that take tokens, in the prefix's order.
        per_view: Tokens of one view.
        image_size: Pixels of the policy's input, square.
        padding: Prompt tokens that were trimmed off.
    """

    views: tuple[str, ...]
    per_view: int
    image_size: int
    padding: int

    @property
    def visual(self) -> int:
        """Visual tokens, which come first."""
        return len(self.views) * self.per_view


class Options(NamedTuple):
    """How the policy is run and its actions are compared, see `token_significance`."""

    sigma: float | None
    action_dims: int | tuple[int, ...] | None
    horizon: int | None
    micro_batch: int | None
    sampling: Sampling


class Call(NamedTuple):
    """What was asked, checked."""

    params: Params
    obs: Observation
    means: TokenMeans
    noise: Float[Array, "b horizon dims"]
    layout: Layout
    options: Options


class Example(NamedTuple):
    """One embedded observation: tokens, which of them are there, their replacements, flow noise.

    A π0 reads its state beside them.
    """

    tokens: Float[Array, "s w"]
    mask: Bool[Array, " s"]
    mean: Float[Array, "s w"]
    noise: Float[Array, "horizon dims"]
    state: Float[Array, " A"] | None = None


class RunOptions(TypedDict, total=False):
    """How the policy is run and its actions are compared, as `token_significance` documents."""

    noise: Float[Array, "b horizon dims"] | None
    sigma: float | None
    action_dims: int | tuple[int, ...] | None
    horizon: int | None
    micro_batch: int | None
    action_horizon: int | None
    sampling: Sampling


def checked_call(
    params: Any,
    obs: Any,
    means: TokenMeans,
    noise_key: Key[Array, ""],
    *,
    noise: Any = None,
    sigma: float | None = None,
    action_dims: int | tuple[int, ...] | None = None,
    horizon: int | None = None,
    micro_batch: int | None = None,
    action_horizon: int | None = None,
    sampling: Sampling = Sampling(),
) -> Call:
    """Names what is wrong with the arguments of an analysis of tokens.

    Prompt padding that all examples share and views that every example lacks are left out, when
    they are known.
    """
    params = as_params(params)
    sizes = sizes_of(params)
    for name, mean in (("visual", means.visual), ("language", means.language)):
        if jnp.shape(mean) != (sizes.vlm.width,):
            raise ValueError(f"means.{name} must be [{sizes.vlm.width}], got {jnp.shape(mean)}")
    if sigma is not None and not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}")
    given = obs.tokenized_prompt
    obs = policy_observation(obs, sizes.vocab, trim=sampling.savings.trim_prompt)
    assert obs.tokenized_prompt is not None
    batch, length = obs.tokenized_prompt.shape
    noise = flow_noise(noise, noise_key, batch, 1, action_horizon, sizes.action_dim)[:, 0]
    image = sizes.image
    views = possible_views(obs) if sampling.savings.drop_absent_views else VIEWS
    layout = Layout(views, image.tokens, image.image_size, given.shape[1] - length)
    dims = (
        action_dims if action_dims is None or isinstance(action_dims, int) else tuple(action_dims)
    )
    sampling = sampling.resolved(model.compute_dtype(params))
    options = Options(sigma, dims, horizon, micro_batch, sampling)
    return Call(params, obs, means, noise, layout, options)


def each_example(
    analyse: Callable[[Example, Any], Any],
    params: Params,
    obs: Observation,
    means: TokenMeans,
    noise: Array,
    layout: Layout,
    sampling: Sampling,
    extra: Any = None,
) -> Any:
    """`analyse(example, its slice of extra)` of one example after the other; under `jit`."""
    obs = preprocess(obs, layout.image_size)
    obs = dataclasses.replace(obs, images={view: obs.images[view] for view in layout.views})
    prefix = model.embed_prefix(params, obs, sampling)
    is_visual = (jnp.arange(prefix.tokens.shape[1]) < layout.visual)[:, None]
    mean = jnp.where(is_visual, means.visual[None], means.language[None])
    mean = mean.astype(prefix.tokens.dtype)

    def one(args: Any) -> Any:
        tokens, mask, state, noise, extra = args
        return analyse(Example(tokens, mask, mean, noise, state), extra)

    return jax.lax.map(one, (prefix.tokens, prefix.mask, prefix.state, noise, extra))


def replaced_effects(
    params: Params, example: Example, keep: Bool[Array, "n s"], options: Options
) -> tuple[Float[Array, " n"], Float[Array, "horizon dims"]]:
    """Effect of replacing the tokens that each row does not keep, and the run that replaces none.

    Rows run in micro-batches; the baseline is the first row of the first one, so that it comes out
    of the program that it is compared with.
    """
    n, tokens = keep.shape
    rows = micro_batch_rows(n + 1, options.micro_batch)
    steps = -(-(n + 1) // rows)
    bits = jnp.ones((steps * rows, tokens), bool).at[1 : n + 1].set(keep)

    def step(baseline: Array, args: tuple[Array, Array]) -> tuple[Array, Array]:
        first, bits = args
        copies = jnp.broadcast_to(example.tokens[None], (rows, *example.tokens.shape))
        copies = replace_tokens(copies, bits, example.mean[None])
        actions = sample(params, example, copies, options)
        baseline = jnp.where(first, actions[0], baseline)
        return baseline, error(actions, baseline, options)

    baseline, effects = jax.lax.scan(
        step,
        jnp.zeros_like(example.noise),
        (jnp.arange(steps) == 0, bits.reshape(steps, rows, tokens)),
    )
    return effects.reshape(-1)[1 : n + 1], baseline


def sample(
    params: Params, example: Example, tokens: Float[Array, "n s w"], options: Options
) -> Float[Array, "n horizon dims"]:
    """Action chunks of prefixes that differ in their tokens alone."""
    masks = jnp.broadcast_to(example.mask[None], tokens.shape[:2])
    state = example.state
    states = None if state is None else jnp.broadcast_to(state[None], (len(tokens), *state.shape))
    cache = model.prefill(params, model.Prefix(tokens, masks, states), options.sampling)
    noise = jnp.broadcast_to(example.noise[None], (tokens.shape[0], *example.noise.shape))
    return model.denoise(params, cache, masks, noise, options.sampling)


def error(actions: Array, baseline: Array, options: Options) -> Float[Array, " n"]:
    """Mean squared action error, or with a sigma the divergence in nats (Eq. 16)."""
    found = divergence.effects(
        actions,
        baseline,
        reduction="mean" if options.sigma is None else "sum",
        action_dims=options.action_dims,
        horizon=options.horizon,
    )
    return found if options.sigma is None else found / (2 * options.sigma**2)


def significance(
    scores: Float[Array, "b s"],
    actions: Float[Array, "b horizon dims"],
    layout: Layout,
    options: Options,
) -> TokenSignificance:
    """Scores of the prefix by view and prompt, and as maps."""
    views, prompt = split(scores, layout)
    grid, size = round(layout.per_view**0.5), (layout.image_size, layout.image_size)
    maps = {
        view: upsample(rearrange(tokens, "b (rows columns) -> b rows columns", rows=grid), size)
        for view, tokens in views.items()
    }
    unit = "mean squared error, normalised actions" if options.sigma is None else "nats"
    return TokenSignificance(maps, views, prompt, actions, unit)


def split(
    values: Float[Array, "b s"], layout: Layout
) -> tuple[dict[str, Float[Array, "b t"]], Float[Array, "b l"]]:
    """Values of a prefix's tokens by view, zero in those left out, and of the whole prompt."""
    absent = jnp.zeros((values.shape[0], layout.per_view), values.dtype)
    views: dict[str, Array] = dict.fromkeys(VIEWS, absent)
    for index, view in enumerate(layout.views):
        views[view] = values[:, index * layout.per_view : (index + 1) * layout.per_view]
    return views, jnp.pad(values[:, layout.visual :], ((0, 0), (0, layout.padding)))
