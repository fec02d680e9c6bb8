"""Architectures that hear: of waveforms, of spectrograms, and recurrent ones."""

from __future__ import annotations

from typing import Any

import transformers
from torch import nn

from tests.architectures.model import (
    Inputs,
    Model,
    Outputs,
    batch_of,
    family,
    floats,
    length_of,
    tokens,
)

# Convolutions that make 31 frames of 1000 samples.
_WAVE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": (16, 16, 16),
    "conv_kernel": (10, 3, 3),
    "conv_stride": (5, 2, 3),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


def _wave(batch: int) -> Inputs:
    return (floats(batch, 1000),)


def _waveforms(model: nn.Module) -> Model:
    module = Outputs(model, "input_values", "last_hidden_state")
    return Model(module, _wave, dynamic=batch_of())


def wav2vec2() -> Model:
    config = transformers.Wav2Vec2Config(**_WAVE, num_feat_extract_layers=3)
    return _waveforms(transformers.Wav2Vec2Model(config))


def hubert() -> Model:
    return _waveforms(transformers.HubertModel(transformers.HubertConfig(**_WAVE)))


def wavlm() -> Model:
    config = transformers.WavLMConfig(**_WAVE, num_buckets=16, max_bucket_distance=40)
    return _waveforms(transformers.WavLMModel(config))


def data2vec_audio() -> Model:
    settings = _WAVE | {"num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 5}
    config = transformers.Data2VecAudioConfig(**settings)
    return _waveforms(transformers.Data2VecAudioModel(config))


def sew() -> Model:
    config = transformers.SEWConfig(**_WAVE, squeeze_factor=2)
    return _waveforms(transformers.SEWModel(config))


def audio_spectrogram_transformer() -> Model:
    config = transformers.ASTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        num_mel_bins=32,
        max_length=64,
    )
    module = Outputs(transformers.ASTForAudioClassification(config), "input_values", "logits")
    return Model(module, lambda batch: (floats(batch, 64, 32),), dynamic=batch_of())


def whisper_config() -> Any:
    """Return the configuration of a small Whisper."""
    return transformers.WhisperConfig(
        vocab_size=96,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        num_mel_bins=16,
        max_source_positions=20,
        max_target_positions=64,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )


def whisper_enc() -> Model:
    encoder = transformers.WhisperModel(whisper_config()).encoder
    module = Outputs(encoder, "input_features", "last_hidden_state")
    return Model(module, lambda batch: (floats(batch, 16, 40),), dynamic=batch_of())


def whisper_dec() -> Model:
    decoder = transformers.WhisperModel(whisper_config()).decoder
    takes, gives = "input_ids encoder_hidden_states", "last_hidden_state"
    return Model(
        Outputs(decoder, takes, gives, use_cache=False),
        lambda length: (tokens(2, length), floats(2, 20, 32)),
        (12, 5, 20),
        (*length_of(), None),
    )


def lstm() -> Model:
    return Model(
        Outputs(nn.LSTM(16, 32, num_layers=2, batch_first=True, bidirectional=True)),
        lambda length: (floats(2, length, 16),),
        (12, 5, 20),
        length_of(),
    )


def gru() -> Model:
    return Model(
        Outputs(nn.GRU(16, 32, num_layers=2, batch_first=True)),
        lambda length: (floats(2, length, 16),),
        (12, 5, 20),
        length_of(),
    )


AUDIO = family(
    *(whisper_enc, whisper_dec, wav2vec2, hubert, wavlm, data2vec_audio, sew),
    *(audio_spectrogram_transformer, lstm, gru),
)
