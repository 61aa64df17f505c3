"""The closed form of what autograd saves, against what it really saves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tutelage.kernels import layer as layer_kernels
from tutelage.kernels import tree_attention
from tutelage.kernels.library import Library, kernels
from tutelage.machine import memory
from tutelage.machine.memory import Attention, ModelShape, attention_of, fused_on, step_memory
from tutelage.machine.precision import Precision, autocast
from tutelage.models import fused_layers, prefix_attention
from tutelage.models.filled_batch import filled
from tutelage.models.loss_rows import label_logits
from tutelage.records import Encoded
from tutelage.tokens.batches import Batch, collate

CPU = torch.device("cpu")


def saved_bytes(model: Any, batch: Batch, precision: Precision) -> int:
    """Bytes of the storages that autograd saves for the backward pass, weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    held: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = tensor
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        autocast(precision, CPU),
    ):
        label_logits(model, batch).float().sum()
    return sum(tensor.untyped_storage().nbytes() for tensor in held.values())


def llama(layers: int, *, kv_heads: int, head: int, inner: int = 80) -> Any:
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=48,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=kv_heads,
        head_dim=head,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
    return LlamaForCausalLM(config).train()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("attention", ["plain", "blocks", "mask"])
@pytest.mark.parametrize(("kv_heads", "head"), [(2, 12), (4, 8), (2, 16)])
@pytest.mark.parametrize("compiled", [True, False])
def test_activations_are_counted_to_the_byte(
    precision: Precision,
    attention: Attention,
    kv_heads: int,
    head: int,
    compiled: bool,
    monkeypatch: Any,
) -> None:
    """With the kernels, where there are any, and without."""
    if not compiled:
        for module in (layer_kernels, fused_layers, tree_attention, memory):
            monkeypatch.setattr(module, "kernels", lambda: Library(None))
    rows = [Encoded("a", (1,) * 40, (2, 3)), Encoded("b", (1,) * 30, (4,))]
    batch = collate(rows[:1]) if attention == "plain" else filled(collate(rows))
    if attention == "mask":
        monkeypatch.setattr(prefix_attention, "attends_by_blocks", lambda model: False)
    small, large = (llama(n, kv_heads=kv_heads, head=head) for n in (1, 2))
    found = saved_bytes(large, batch, precision) - saved_bytes(small, batch, precision)
    if precision == "bf16":  # copies of the matrices, counted under `casts`
        layer = large.model.layers[0]
        found -= sum(2 * p.numel() for p in layer.parameters() if p.ndim == 2)
    shapes = [ModelShape.of(model) for model in (small, large)]
    first, second = (
        step_memory(
            shape,
            batch.unique,
            3,
            fp32=precision == "fp32",
            checkpointing=False,
            attention=attention_of(shape, "cpu", merged=True)
            if attention == "blocks"
            else attention,
            fused=fused_on(shape, "cpu", "fp32"),
        ).activations
        for shape in shapes
    )
    assert second - first == found


def test_only_what_is_fused_is_counted_so() -> None:
    """In whole registers, on a CPU; and of weights in bf16 the norms are the model's own."""
    whole, odd = (ModelShape.of(llama(1, kv_heads=2, head=16, inner=n)) for n in (80, 84))
    assert fused_on(whole, "cpu", "fp32") == (kernels().functions is not None)
    assert not fused_on(odd, "cpu", "fp32")
    assert not fused_on(whole, "cuda", "fp32")
    assert not fused_on(whole, "cpu", "bf16")
