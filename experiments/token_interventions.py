r"""Which tokens move the actions: every patch and every word replaced by its mean (Sec. 4.1).

    python -m experiments.token_interventions --config=configs/token_interventions.py

On single frames of every task: the exact significance of every visual and every prompt token
(Eq. 4 to 6), first-order scores from gradients, and Algorithm 1 in token space. Reported are

- how near estimates from fewer runs come to the exact scores of the visual tokens, against their
  cost. Estimates from some of the tokens (`iss_jax.tokens.sampled_token_significance`) measure the
  very runs that the exact scores consist of, so they are drawn from those, many times;
- words: the mean rank of a class of words among the words of its instruction, with an interval over
  tasks, beside scores that are dealt to the words of the instruction at random;
- what share of all significance each view, the instruction and the state have.

The workdir receives `results.json`, `agreement.csv`, `words.csv`, `shares.csv` and `figures/`.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

import iss_jax
from experiments.runs import app, versions
from experiments.single_frames.frames import (
    Frame,
    SingleFrameOptions,
    choose_frames,
    frame_key,
    read_frame,
    run_keys,
)
from experiments.single_frames.token_report import (
    agreement_rows,
    figure,
    print_report,
    share_rows,
    word_rows,
)
from iss_jax.data.dataset import Dataset
from iss_jax.flops import count_flops
from iss_jax.jobs.directory import open_run, run_items
from iss_jax.jobs.options import from_config
from iss_jax.pi05.observation import VIEWS, Observation
from iss_jax.pi05.params import sizes_of
from iss_jax.policies.restored import Policy
from iss_jax.tokens import PromptWord, TokenMeans, prompt_words, word_scores
from iss_jax.viz.words import word_figure


@dataclasses.dataclass(frozen=True)
class Options(SingleFrameOptions):
    """One attribute per key of `configs/token_interventions.py`, which says what each means."""

    quiet: bool
    mean_frames: int
    mean_batch: int
    probe_calls: int
    probes: int
    keep_probs: tuple[float, ...]
    num_masks: int
    budgets: tuple[tuple[int, int, int], ...]
    repeats: int
    word_classes: dict[str, tuple[str, ...]]
    random_draws: int
    figures: int


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds, less the frames."""
    options = from_config(config, Options)
    run = open_run(workdir, config, layout=versions.EPISODES, version=versions.MAPS)
    policy, dataset = options.load()
    mean_of = choose_frames(dataset, options.groups, options.mean_frames)
    items = work_items(options, dataset, policy, mean_of)
    means: list[TokenMeans] = []

    def compute(item: Mapping[str, Any]) -> dict[str, Any]:
        if not means:
            means.append(_means(mean_of, options, dataset, policy))
        return measure(item, read_frame(item, dataset, policy, options), means[0], policy)

    results = run_items(
        run, items, compute, description="tokens, frame by frame", quiet=options.quiet
    )
    tasks = [item["task"] for item in items]
    price = probe_price(policy, read_frame(items[0], dataset, policy, options))
    content = {
        "frames": len(items),
        "probe_price": price,
        "agreement": agreement_rows(results, tasks, options.budgets, options.repeats, price),
        "words": word_rows(results, tasks, options.word_classes, options.random_draws),
        "shares": share_rows(results, items),
    }
    run.write_json("results.json", content)
    for name in ("agreement", "words", "shares"):
        run.write_csv(f"{name}.csv", content[name])
    run.write_figure("token_interventions.png", figure(content))
    for item, result in list(zip(items, results, strict=True))[: options.figures]:
        words = [PromptWord(w["text"], w["part"], tuple(w["pieces"])) for w in result["words"]]
        scores = np.array([word["score"] for word in result["words"]])
        drawn = word_figure(words, scores, title=f"{item['suite']}: {result['prompt']}")
        run.write_figure(f"words_{item['suite']}_{item['episode']}.png", drawn)
    if not options.quiet:
        print_report(content)
        print(f"\n{run.path / 'results.json'}")
    return content


def work_items(
    options: Options, dataset: Dataset, policy: Policy, mean_of: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """An item a frame; it holds everything that its result depends on."""
    names = ("probe_calls", "probes", "keep_probs", "num_masks")
    common = {name: getattr(options, name) for name in names} | run_keys(options, policy)
    common["means"] = [[frame["data"], frame["prompts"], frame["frame"]] for frame in mean_of]
    frames = choose_frames(dataset, options.groups, options.frames_per_group)
    return [{"experiment": "token_interventions", **common, **frame} for frame in frames]


def _means(
    mean_of: list[dict[str, Any]], options: Options, dataset: Dataset, policy: Policy
) -> TokenMeans:
    def batches() -> Iterator[Observation]:
        size = options.mean_batch
        # A last batch of another size would be another compilation.
        for start in range(0, len(mean_of) // size * size, size):
            observations = [
                read_frame(item, dataset, policy, options).obs
                for item in mean_of[start : start + size]
            ]
            yield jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *observations)

    return iss_jax.tokens.mean_embeddings(policy.params, batches())


def measure(
    item: Mapping[str, Any], frame: Frame, means: TokenMeans, policy: Policy
) -> dict[str, Any]:
    """Exact, first-order and masked scores of the frame's tokens, and the words of its prompt."""
    options = {
        "noise": frame.noise,
        "action_dims": item["action_dims"],
        "sampling": iss_jax.Sampling(num_steps=item["num_steps"]),
    }
    call = (policy.params, frame.obs, means)
    exact = iss_jax.tokens.token_significance(*call, **options)
    guesses = [
        iss_jax.tokens.linear_token_significance(
            *call, num_probes=item["probes"], key=frame_key(item, "probes", number), **options
        )
        for number in range(item["probe_calls"])
    ]
    masked = {}
    for keep_prob in item["keep_probs"]:
        found = iss_jax.tokens.masked_token_significance(
            *call,
            keep_prob=keep_prob,
            num_masks=item["num_masks"],
            design="bernoulli",
            key=frame_key(item, f"masks/{keep_prob}"),
            **options,
        )
        # E[δ | i replaced] − E[δ | i kept], which tends to the exact score as all others are kept.
        contrast = _visual(found.scores.views, item) - float(found.effects.mean())
        masked[str(keep_prob)] = contrast / keep_prob
    mask = np.asarray(frame.obs.tokenized_prompt_mask)[0]
    words = prompt_words(
        policy.tokenizer, np.asarray(frame.obs.tokenized_prompt)[0], int(mask.sum())
    )
    scores = word_scores(words, np.asarray(exact.prompt)[0])
    return {
        "prompt": frame.prompt,
        "views": {view: float(scores.sum()) for view, scores in exact.views.items()},
        "exact": _visual(exact.views, item),
        "guesses": [_visual(guess.views, item) for guess in guesses],
        "probes": item["probes"],
        "masked": masked,
        "num_masks": item["num_masks"],
        "words": [
            {**word._asdict(), "score": float(score)}
            for word, score in zip(words, scores, strict=True)
        ],
    }


def _visual(views: Mapping[str, jax.Array], item: Mapping[str, Any]) -> np.ndarray:
    """Scores of the present views' tokens, one after the other."""
    present = [view for view in VIEWS if item["cameras"].get(view)]
    return np.concatenate([np.asarray(views[view])[0] for view in present])


def probe_price(policy: Policy, frame: Frame) -> float:
    """FLOPs of one more probe over those of one more token's run."""
    width = sizes_of(policy.params).vlm.width
    means = TokenMeans(jnp.zeros(width), jnp.zeros(width))

    def counted(analyse: Callable[..., Any], **options: Any) -> float:
        return count_flops(
            lambda params: analyse(params, frame.obs, means, noise=frame.noise, **options),
            policy.params,
        )

    probes = [counted(iss_jax.tokens.linear_token_significance, num_probes=n) for n in (2, 3)]
    runs = [
        counted(iss_jax.tokens.masked_token_significance, num_masks=n, micro_batch=1)
        for n in (30, 31)
    ]
    return (probes[1] - probes[0]) / (runs[1] - runs[0])


if __name__ == "__main__":
    app.run(main, "token_interventions")
