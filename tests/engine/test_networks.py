"""Whole networks: torch -> coremltools -> package -> engine, against torch eager."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from etcoreml.blob import Directory
from etcoreml.engine import compile_function
from etcoreml.mil import load_package
from tests import networks
from tests.cases import save_converted

NETWORKS = (networks.mobilenet_v2, networks.resnet18, networks.bert, networks.vit)
# What a device that stores fp16 weights loses at most; in fp32 only the order of sums differs.
SNR_DB = {"FLOAT16": 48.0, "FLOAT32": 100.0}


def snr_db(found: Any, truth: Any) -> float:
    """Return the signal-to-noise ratio in dB."""
    signal = np.asarray(truth, np.float64)
    return float(10 * np.log10(np.sum(signal**2) / np.sum((found - signal) ** 2)))


@pytest.mark.parametrize(
    ("target", "precision"),
    [
        ("iOS15", "FLOAT16"),
        ("iOS18", "FLOAT32"),
        pytest.param("iOS15", "FLOAT32", marks=pytest.mark.slow),
        pytest.param("iOS18", "FLOAT16", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_against_eager(
    network: Callable[[], Any], target: str, precision: str, tmp_path: Path
) -> None:
    module, inputs = network()
    with torch.no_grad():
        truth = module(*inputs).numpy()
    source = torch.export.export(module, inputs).run_decompositions()
    path = save_converted(source, tmp_path / "model.mlpackage", target=target, precision=precision)
    session = compile_function(load_package(Directory.from_path(path)), threads=1)
    feeds = {
        port.name: tensor.numpy().astype(port.dtype.storage)
        for port, tensor in zip(session.inputs, inputs, strict=True)
    }
    (found,) = session.run(feeds).values()
    assert found.shape == truth.shape
    assert snr_db(found, truth) >= SNR_DB[precision]
