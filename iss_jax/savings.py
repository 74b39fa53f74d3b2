"""What the runs of a saliency map leave out because it changes nothing but rounding."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Savings:
    """Which exact savings are made; hashable, so that it may be a static argument of `jit`.

    All are on by default, and maps are the same to rounding with any of them off. They can be
    switched for one reason: so that each may be measured.

    Attributes:
        trim_prompt: Prompt padding that all examples share is cut, when the prompt is concrete.
        drop_absent_views: Views known to be absent from every example take no tokens.
        last_layer_keys_only: Of the last prefix layer only keys and values are computed; its query,
            attention, output and feed-forward are never used.
        embed_prompt_once: The prompt is embedded once an example, not once a masked copy.
        modulate_once: The adaRMS condition and its projections, functions of flow time alone, are
            computed once a denoising step, not once a masked copy.
        blend_in_micro_batch: Frames are blended a micro-batch at a time, so that N copies never
            exist at once. Gradients always do so.
        baseline_row: The unmasked run is one more row of the masked ones, not a program beside
            them.
    """

    trim_prompt: bool = True
    drop_absent_views: bool = True
    last_layer_keys_only: bool = True
    embed_prompt_once: bool = True
    modulate_once: bool = True
    blend_in_micro_batch: bool = True
    baseline_row: bool = True

    @classmethod
    def none(cls, **changes: bool) -> "Savings":
        """A plain batched loop over masked copies, but for what is named."""
        return cls(**({field.name: False for field in dataclasses.fields(cls)} | changes))
