"""Architectures that read text."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import nn

from tests.architectures.model import Inputs, Model, Outputs, family, floats, length_of, tokens

_SIZES = (12, 5, 20)

# What nearly every configuration of transformers calls the same.
SMALL: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
DECODER = SMALL | {"num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}


def _ids(length: int) -> Inputs:
    return (tokens(2, length),)


def _masked(length: int) -> Inputs:
    mask = torch.ones(2, length, dtype=torch.int64)
    mask[1, length - 2 :] = 0
    return tokens(2, length), mask


def _encoder(model: nn.Module, gives: str = "last_hidden_state") -> Model:
    """Return an encoder that takes ids and a mask, of varying length."""
    module = Outputs(model, "input_ids attention_mask", gives)
    return Model(module, _masked, _SIZES, length_of(2))


def _decoder(model: nn.Module) -> Model:
    """Return a decoder that takes ids of varying length and gives the logits, without a cache."""
    module = Outputs(model, "input_ids", "logits", use_cache=False)
    return Model(module, _ids, _SIZES, length_of())


def _seq2seq(model: nn.Module) -> Model:
    """Return an encoder and a decoder, of which the text of the decoder varies in length."""
    module = Outputs(model, "input_ids decoder_input_ids", "logits", use_cache=False)
    return Model(
        module,
        lambda length: (tokens(2, 10), tokens(2, length, seed=1)),
        _SIZES,
        (None, *length_of()),
    )


def bert() -> Model:
    return _encoder(transformers.BertModel(transformers.BertConfig(**SMALL)))


def roberta() -> Model:
    config = transformers.RobertaConfig(**SMALL)
    return _encoder(transformers.RobertaForSequenceClassification(config), "logits")


def xlm_roberta() -> Model:
    config = transformers.XLMRobertaConfig(**SMALL)
    return _encoder(transformers.XLMRobertaForTokenClassification(config), "logits")


def albert() -> Model:
    config = transformers.AlbertConfig(**SMALL, embedding_size=16)
    return _encoder(transformers.AlbertModel(config))


def electra() -> Model:
    config = transformers.ElectraConfig(**SMALL, embedding_size=16)
    return _encoder(transformers.ElectraModel(config))


def mpnet() -> Model:
    return _encoder(transformers.MPNetModel(transformers.MPNetConfig(**SMALL)))


def data2vec_text() -> Model:
    return _encoder(transformers.Data2VecTextModel(transformers.Data2VecTextConfig(**SMALL)))


def distilbert() -> Model:
    config = transformers.DistilBertConfig(
        vocab_size=96, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=64
    )
    return _encoder(transformers.DistilBertModel(config))


def deberta_v2() -> Model:
    config = transformers.DebertaV2Config(
        **SMALL,
        relative_attention=True,
        position_buckets=8,
        pos_att_type=["p2c", "c2p"],
        norm_rel_ebd="layer_norm",
        share_att_key=True,
    )
    return _encoder(transformers.DebertaV2Model(config))


def modernbert() -> Model:
    config = transformers.ModernBertConfig(
        **SMALL, pad_token_id=0, local_attention=8, global_attn_every_n_layers=2
    )
    return _encoder(transformers.ModernBertModel(config))


def roformer() -> Model:
    config = transformers.RoFormerConfig(**SMALL, embedding_size=32)
    return _encoder(transformers.RoFormerModel(config))


def mobilebert() -> Model:
    config = transformers.MobileBertConfig(
        **SMALL, embedding_size=16, intra_bottleneck_size=16, num_feedforward_networks=2
    )
    return _encoder(transformers.MobileBertModel(config))


def squeezebert() -> Model:
    config = transformers.SqueezeBertConfig(**SMALL, embedding_size=32)
    return _encoder(transformers.SqueezeBertModel(config))


def fnet() -> Model:
    config = transformers.FNetConfig(**SMALL)
    module = Outputs(transformers.FNetModel(config), "input_ids", "last_hidden_state")
    return Model(module, _ids)


def _t5() -> Any:
    return transformers.T5Config(
        vocab_size=96, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4
    )


def t5_encoder() -> Model:
    return _encoder(transformers.T5EncoderModel(_t5()))


class _T5Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = transformers.T5ForConditionalGeneration(_t5())

    def forward(self, ids: torch.Tensor, states: torch.Tensor) -> Any:
        encoded = transformers.modeling_outputs.BaseModelOutput(last_hidden_state=states)
        return self.model(decoder_input_ids=ids, encoder_outputs=encoded, use_cache=False).logits


def t5_decoder() -> Model:
    return Model(
        Outputs(_T5Decoder()),
        lambda length: (tokens(2, length), floats(2, 10, 32)),
        _SIZES,
        (*length_of(), None),
    )


_SEQ2SEQ: dict[str, Any] = {
    "vocab_size": 96,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 64,
}


def bart() -> Model:
    return _seq2seq(transformers.BartForConditionalGeneration(transformers.BartConfig(**_SEQ2SEQ)))


def pegasus() -> Model:
    config = transformers.PegasusConfig(**_SEQ2SEQ)
    return _seq2seq(transformers.PegasusForConditionalGeneration(config))


ENCODERS = family(
    *(bert, distilbert, deberta_v2, modernbert, t5_encoder, roberta, xlm_roberta, albert, electra),
    *(mpnet, data2vec_text, roformer, mobilebert, squeezebert, fnet, t5_decoder, bart, pegasus),
)
"""Encoders, and encoders with decoders."""


def llama() -> Model:
    return _decoder(transformers.LlamaForCausalLM(transformers.LlamaConfig(**DECODER)))


def gpt2() -> Model:
    config = transformers.GPT2Config(vocab_size=96, n_positions=64, n_embd=32, n_layer=2, n_head=4)
    return _decoder(transformers.GPT2LMHeadModel(config))


def qwen2() -> Model:
    return _decoder(transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**DECODER)))


def qwen3() -> Model:
    return _decoder(transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**DECODER)))


def gemma() -> Model:
    return _decoder(transformers.GemmaForCausalLM(transformers.GemmaConfig(**DECODER)))


def gemma3() -> Model:
    config = transformers.Gemma3TextConfig(
        **DECODER, sliding_window=8, layer_types=["sliding_attention", "full_attention"]
    )
    return _decoder(transformers.Gemma3ForCausalLM(config))


def mixtral_moe() -> Model:
    config = transformers.MixtralConfig(**DECODER, num_local_experts=4, num_experts_per_tok=2)
    return _decoder(transformers.MixtralForCausalLM(config))


def qwen2_moe() -> Model:
    config = transformers.Qwen2MoeConfig(
        **DECODER,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=32,
        shared_expert_intermediate_size=32,
    )
    return _decoder(transformers.Qwen2MoeForCausalLM(config))


def qwen3_moe() -> Model:
    config = transformers.Qwen3MoeConfig(
        **DECODER, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32
    )
    return _decoder(transformers.Qwen3MoeForCausalLM(config))


def mamba() -> Model:
    config = transformers.MambaConfig(
        vocab_size=96, hidden_size=32, num_hidden_layers=2, state_size=8
    )
    return _decoder(transformers.MambaForCausalLM(config))


def mamba2() -> Model:
    config = transformers.Mamba2Config(
        vocab_size=96,
        hidden_size=32,
        num_hidden_layers=2,
        state_size=8,
        num_heads=8,
        head_dim=8,
        n_groups=2,
        chunk_size=8,
    )
    return _decoder(transformers.Mamba2ForCausalLM(config))


def opt() -> Model:
    config = transformers.OPTConfig(
        vocab_size=96,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        ffn_dim=64,
        max_position_embeddings=64,
        word_embed_proj_dim=32,
    )
    return _decoder(transformers.OPTForCausalLM(config))


def phi() -> Model:
    config = transformers.PhiConfig(**SMALL, partial_rotary_factor=0.5)
    return _decoder(transformers.PhiForCausalLM(config))


def phi3() -> Model:
    config = transformers.Phi3Config(**SMALL, num_key_value_heads=2, pad_token_id=0)
    return _decoder(transformers.Phi3ForCausalLM(config))


def falcon() -> Model:
    config = transformers.FalconConfig(**SMALL)
    return _decoder(transformers.FalconForCausalLM(config))


def gpt_neox() -> Model:
    config = transformers.GPTNeoXConfig(**SMALL)
    return _decoder(transformers.GPTNeoXForCausalLM(config))


def bloom() -> Model:
    config = transformers.BloomConfig(vocab_size=96, hidden_size=32, n_layer=2, n_head=4)
    return _decoder(transformers.BloomForCausalLM(config))


def olmo2() -> Model:
    config = transformers.Olmo2Config(**SMALL, num_key_value_heads=2, pad_token_id=0)
    return _decoder(transformers.Olmo2ForCausalLM(config))


DECODERS = family(
    *(llama, gpt2, qwen2, qwen3, gemma, gemma3, mixtral_moe, mamba, qwen2_moe, qwen3_moe, mamba2),
    *(opt, phi, phi3, falcon, gpt_neox, bloom, olmo2),
)
"""Decoders without a cache."""
