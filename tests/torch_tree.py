"""A JAX tree of openpi under PyTorch's names, for tests of the other direction.

Written from what openpi's own converter says of each leaf, a layer at a time, by index and by
concatenation rather than by reshaping, so that one mistake cannot hide in both directions.
"""

import numpy as np

TOWER = "paligemma_with_expert.paligemma.model.vision_tower.vision_model."
PROJECTOR = "paligemma_with_expert.paligemma.model.multi_modal_projector.linear"
LANGUAGE = "paligemma_with_expert.paligemma.model.language_model."
EXPERT = "paligemma_with_expert.gemma_expert.model."


def put(out, name, kernel, bias):
    out[f"{name}.weight"], out[f"{name}.bias"] = np.swapaxes(kernel, 0, 1), bias


def torch_names(leaves, sizes):
    """The same numbers under PyTorch's names, as its layers [out, in] want them."""
    out = {}
    img, block = "PaliGemma/img", "PaliGemma/img/Transformer/encoderblock"
    out[f"{TOWER}embeddings.patch_embedding.weight"] = np.einsum(
        "hwcd->dchw", leaves[f"{img}/embedding/kernel"]
    )
    out[f"{TOWER}embeddings.patch_embedding.bias"] = leaves[f"{img}/embedding/bias"]
    out[f"{TOWER}embeddings.position_embedding.weight"] = leaves[f"{img}/pos_embedding"][0]
    for i in range(sizes.image.depth):
        layer = f"{TOWER}encoder.layers.{i}."
        for k in (0, 1):
            for theirs, ours in (("weight", "scale"), ("bias", "bias")):
                own = leaves[f"{block}/LayerNorm_{k}/{ours}"][i]
                out[f"{layer}layer_norm{k + 1}.{theirs}"] = own
            dense = f"{block}/MlpBlock_0/Dense_{k}"
            put(
                out,
                f"{layer}mlp.fc{k + 1}",
                *(leaves[f"{dense}/{n}"][i] for n in ("kernel", "bias")),
            )
        attention = f"{block}/MultiHeadDotProductAttention_0"
        for name in ("query", "key", "value"):
            kernel = leaves[f"{attention}/{name}/kernel"][i]
            bias = leaves[f"{attention}/{name}/bias"][i]
            rows = [kernel[:, h, d] for h in range(sizes.image.heads) for d in range(bias.shape[1])]
            out[f"{layer}self_attn.{name[0]}_proj.weight"] = np.stack(rows)
            out[f"{layer}self_attn.{name[0]}_proj.bias"] = np.concatenate(list(bias))
        kernel = leaves[f"{attention}/out/kernel"][i]
        columns = [kernel[h, d] for h in range(len(kernel)) for d in range(kernel.shape[1])]
        out[f"{layer}self_attn.out_proj.weight"] = np.stack(columns, 1)
        out[f"{layer}self_attn.out_proj.bias"] = leaves[f"{attention}/out/bias"][i]
    for theirs, ours in (("weight", "scale"), ("bias", "bias")):
        out[f"{TOWER}post_layernorm.{theirs}"] = leaves[f"{img}/Transformer/encoder_norm/{ours}"]
    put(out, PROJECTOR, leaves[f"{img}/head/kernel"], leaves[f"{img}/head/bias"])
    out[f"{LANGUAGE}embed_tokens.weight"] = leaves["PaliGemma/llm/embedder/input_embedding"]
    llm = "PaliGemma/llm"
    for stem, s in ((LANGUAGE, ""), (EXPERT, "_1")):
        for i in range(sizes.depth):
            layer = f"{stem}layers.{i}."
            q = leaves[f"{llm}/layers/attn/q_einsum{s}/w"][i]
            kv = leaves[f"{llm}/layers/attn/kv_einsum{s}/w"][i]
            o = leaves[f"{llm}/layers/attn/attn_vec_einsum{s}/w"][i]
            gates = leaves[f"{llm}/layers/mlp{s}/gating_einsum"][i]
            out[f"{layer}self_attn.q_proj.weight"] = np.concatenate([head.T for head in q])
            for k, name in enumerate(("k", "v")):
                weight = np.concatenate([head.T for head in kv[k]])
                out[f"{layer}self_attn.{name}_proj.weight"] = weight
            out[f"{layer}self_attn.o_proj.weight"] = np.concatenate(list(o)).T
            out[f"{layer}mlp.gate_proj.weight"] = gates[0].T
            out[f"{layer}mlp.up_proj.weight"] = gates[1].T
            out[f"{layer}mlp.down_proj.weight"] = leaves[f"{llm}/layers/mlp{s}/linear"][i].T
            for theirs, ours in (
                ("input_layernorm", f"pre_attention_norm{s}"),
                ("post_attention_layernorm", f"pre_ffw_norm{s}"),
            ):
                norm(out, f"{layer}{theirs}", leaves, f"{llm}/layers/{ours}", i)
        norm(out, f"{stem}norm", leaves, f"{llm}/final_norm{s}", None)
    for name in {path.partition("/")[0] for path in leaves} - {"PaliGemma"}:
        put(out, name, leaves[f"{name}/kernel"], leaves[f"{name}/bias"])
    return out


def norm(out, name, leaves, path, layer):
    def own(leaf):
        return leaves[f"{path}/{leaf}"] if layer is None else leaves[f"{path}/{leaf}"][layer]

    if f"{path}/scale" in leaves:
        out[f"{name}.weight"] = own("scale")
    else:
        put(out, f"{name}.dense", own("Dense_0/kernel"), own("Dense_0/bias"))
