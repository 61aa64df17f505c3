"""A GGUF file as llama.cpp's converter writes it, made from a model folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import torch
from gguf import GGMLQuantizationType, TokenType

from tutelage.models.load import load_model, load_tokenizer

_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(
    model_dir: Path, path: Path, quantisation: GGMLQuantizationType = GGMLQuantizationType.F32
) -> Path:
    """The llama model and byte-level tokenizer of a folder, matrices quantised, as one file."""
    model, tokenizer = load_model(model_dir), load_tokenizer(model_dir)
    config = model.config
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer, tokenizer)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for name, parameter in model.named_parameters():
        gguf_name, kind = _name(name)
        weight = parameter.detach()
        data = (_rotated(weight, heads[kind]) if kind in heads else weight).numpy()
        if weight.ndim == 2 and quantisation != GGMLQuantizationType.F32:
            quantised = gguf.quants.quantize(data, quantisation)
            writer.add_tensor(gguf_name, quantised, raw_dtype=quantisation)
        else:
            writer.add_tensor(gguf_name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _name(name: str) -> tuple[str, str]:
    """Name in the file, and the kind of tensor."""
    top = {"model.embed_tokens.weight": "token_embd", "model.norm.weight": "output_norm"}
    if name in top:
        return f"{top[name]}.weight", top[name]
    _, _, layer, rest = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{_NAMES[rest]}.weight", _NAMES[rest]


def _rotated(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows in the order of llama.cpp's rotary embedding, which pairs neighbours."""
    rows, columns = weight.shape
    pairs = weight.view(heads, 2, rows // heads // 2, columns)
    return pairs.transpose(1, 2).reshape(rows, columns).contiguous()


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any) -> None:
    state = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    by_id = {index: token for token, index in tokenizer.get_vocab().items()}
    tokens = [by_id[index] for index in range(len(by_id))]
    special = set(tokenizer.all_special_tokens)
    kinds = [TokenType.CONTROL if t in special else TokenType.NORMAL for t in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in state["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_unk_token_id(tokenizer.unk_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(tokenizer.chat_template)
