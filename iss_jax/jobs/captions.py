"""What the figures of all commands show, by their names."""

import fnmatch
from collections.abc import Mapping

_CAPTIONS = {
    "overlays.png": "Frames of the episode under their maps. Red is above the map's mean, blue "
    "below; what the error does not support is faded. The outline holds the most salient pixels.",
    "masks.png": "The region labels of the first camera: what counts as nuisance.",
    "nmr.png": "NMR over the episode beside chance and random maps, and camera by camera.",
    "regions.png": "Which regions the saliency lies on, beside their shares of the area.",
    "players.png": "What the policy acts on over the episode: each player's share, with errors.",
    "players_frames.png": "The players in some frames, brighter for a larger share.",
    "episode.mp4": "The episode, its maps and its curves.",
    "episode.gif": "The episode, its maps and its curves.",
    "nmr_less_chance.png": "NMR less chance over all explained episodes. Above 0 the maps lie on "
    "nuisance more than its area alone says.",
    "paths_by_nmr.png": "Where the hand went, coloured by NMR.",
    "paths_by_success*.png": "Where the hand went, coloured by success.",
    "acts_on.png": "Frames, their players in the colours of their shares, and the shares with "
    "errors.",
    "find_shortcut.png": "The same frames under both policies: the panel is what one was taught to "
    "follow.",
    "episode_*_frame_*.png": "A row a method, a column a camera. Numbers are NMR, over chance.",
    "maps.png": "Maps of some of the frames, over their pictures.",
    "compared.png": "Shares of both policies, and their difference with its interval.",
    "nmr_by_effect.png": "NMR by effect, its chance level and the paper's NMR against success, "
    "suite by suite.",
    "nmr_at_k.png": "NMR against success at the other values of k.",
    "nmr_at_*.png": "NMR against success, a point a task under a seed.",
    "fidelity.png": "How far maps change with the actions: a bar a method, with its interval.",
    "fidelity_grid.png": "Each method's change against that of the actions, a point an episode.",
    "robustness.png": "How alike maps of clean and noisy frames are, and what the noise does to "
    "the actions.",
    "perturbations.jpg": "One frame under each perturbation, and its map.",
    "known_causes.png": "How well each method tells a cue that is a cause from one that is none.",
    "planted_shortcuts.png": "How well each method tells policies that took the shortcut from "
    "those that did not.",
    "mask_sensitivity.png": "What errors of the region labels do to NMR.",
    "hyperparameters.png": "Actions under masks and the error of the map, by the number of masks "
    "and how dense they are.",
    "accuracy.png": "Agreement with the converged map against cost.",
    "efficiency.png": "Time of a map against the number of its masks, with the floor beneath.",
    "token_interventions.png": "Which tokens move the actions, and how near cheaper ways come.",
    "words_*.png": "What each word of an instruction does to the actions.",
}


def caption_of(name: str, own: Mapping[str, str] | None = None) -> str:
    """What a figure shows; empty where nothing is said of it.

    >>> caption_of("figures/episode_3_frame_7.png")
    'A row a method, a column a camera. Numbers are NMR, over chance.'

    Args:
        name: Path in the run directory.
        own: Captions of the run itself, by file name or pattern; they come first.
    """
    last = name.rpartition("/")[2]
    for pattern, text in (*(own or {}).items(), *_CAPTIONS.items()):
        if fnmatch.fnmatch(last, pattern):
            return text
    return ""
