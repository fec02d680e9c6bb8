"""Export recipes. Oracles: the quantised module in eager; compile specs, read back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import etcoreml
from etcoreml.compiler import CoreMLBackend
from etcoreml.errors import RecipeError
from etcoreml.imports import quiet_imports
from etcoreml.mil.ct import coremltools
from etcoreml.recipes import CoreMLRecipeProvider, CoreMLRecipeType
from tests.lowering import snr_db

with quiet_imports():
    from executorch.export import ExportRecipe, RecipeType, StageType, export

ct = coremltools()
TYPE = CoreMLRecipeType
CODEBOOK = {"bits": 3, "block_size": [-1, 16]}

# Type -> the oldest target it needs, and options without which it does not go.
NEEDED: dict[CoreMLRecipeType, tuple[Any, dict[str, Any]]] = {
    TYPE.FP32: (None, {}),
    TYPE.FP16: (None, {}),
    TYPE.PT2E_INT8_STATIC: (ct.target.iOS17, {}),
    TYPE.PT2E_INT8_WEIGHT_ONLY: (ct.target.iOS17, {}),
    TYPE.TORCHAO_INT4_WEIGHT_ONLY_PER_CHANNEL: (ct.target.iOS18, {}),
    TYPE.TORCHAO_INT4_WEIGHT_ONLY_PER_GROUP: (ct.target.iOS18, {}),
    TYPE.TORCHAO_INT8_WEIGHT_ONLY_PER_CHANNEL: (ct.target.iOS16, {}),
    TYPE.TORCHAO_INT8_WEIGHT_ONLY_PER_GROUP: (ct.target.iOS18, {}),
    TYPE.CODEBOOK_WEIGHT_ONLY: (ct.target.iOS18, CODEBOOK),
}

# The names of a recipe are an experimental interface of ExecuTorch, and it says so.
pytestmark = pytest.mark.filterwarnings("ignore:.*experimental")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32)).eval()


def target_of(recipe: Any) -> Any:
    (partitioner,) = recipe.lowering_recipe.partitioners
    specs = partitioner.delegation_spec.compile_specs
    return CoreMLBackend.min_deployment_target_from_compile_specs(specs)


@pytest.mark.parametrize("recipe_type", list(TYPE), ids=lambda each: each.name)
def test_every_type_lowers_and_runs(recipe_type: CoreMLRecipeType) -> None:
    _, options = NEEDED[recipe_type]
    recipe = ExportRecipe.get_recipe(recipe_type, lower_full_graph=True, **options)
    model, inputs = network(), (torch.randn(5, 32),)
    session = export(model, [inputs], recipe)
    stages = session.get_stage_artifacts()
    quantized = stages[StageType.SOURCE_TRANSFORM].data["forward"]
    if StageType.QUANTIZE in stages and recipe_type.name.startswith("PT2E"):
        quantized = stages[StageType.QUANTIZE].data["forward"]
    (actual,) = etcoreml.load(session.get_pte_buffer()).forward(*inputs)
    with torch.inference_mode():
        # fp16 arithmetic, and a step of int8 where it moves a value across.
        assert snr_db(actual, quantized(*inputs)) > 30
        # Three bits for a weight are what the codebook leaves.
        assert snr_db(actual, model(*inputs)) > (10 if options else 15)


@pytest.mark.parametrize("strict", [False, True])
def test_strict(strict: bool) -> None:
    recipe = ExportRecipe.get_recipe(TYPE.PT2E_INT8_STATIC)
    recipe.strict = strict
    model, inputs = network(), (torch.randn(5, 32),)
    session = export(model, [inputs], recipe)
    (actual,) = etcoreml.load(session.get_pte_buffer()).forward(*inputs)
    assert snr_db(actual, model(*inputs).detach()) > 25


@pytest.mark.parametrize("recipe_type", list(TYPE), ids=lambda each: each.name)
def test_targets(recipe_type: CoreMLRecipeType) -> None:
    needed, options = NEEDED[recipe_type]
    provider = CoreMLRecipeProvider()
    assert target_of(provider.create_recipe(recipe_type, **options)) == needed
    newer = provider.create_recipe(
        recipe_type, minimum_deployment_target=ct.target.iOS18, **options
    )
    assert target_of(newer) == ct.target.iOS18
    if needed is not None:
        message = f"minimum_deployment_target must be {needed} or higher"
        with pytest.raises(ValueError, match=message):
            provider.create_recipe(
                recipe_type, minimum_deployment_target=ct.target.iOS15, **options
            )


def test_options_reach_the_partitioner() -> None:
    recipe = CoreMLRecipeProvider().create_recipe(
        TYPE.FP32,
        compute_unit=ct.ComputeUnit.CPU_ONLY,
        skip_ops_for_coreml_delegation=["aten.relu.default"],
        take_over_constant_data=False,
    )
    (partitioner,) = recipe.lowering_recipe.partitioners
    specs = partitioner.delegation_spec.compile_specs
    assert CoreMLBackend.compute_unit_from_compile_specs(specs) == ct.ComputeUnit.CPU_ONLY
    assert CoreMLBackend.model_compute_precision_from_compile_specs(specs) == ct.precision.FLOAT32
    assert partitioner.skip_ops_for_coreml_delegation == ["aten.relu.default"]
    assert not partitioner.take_over_constant_data


@pytest.mark.parametrize(
    ("recipe_type", "options", "message"),
    [
        (TYPE.FP16, {"group_size": 32}, "unknown options; found group_size"),
        (TYPE.FP16, {"minimum_deployment_targt": None}, "minimum_deployment_targt"),
        (TYPE.FP16, {"minimum_deployment_target": "iOS18"}, "'minimum_deployment_target' must be"),
        (TYPE.FP16, {"compute_unit": "ALL"}, "'compute_unit' must be"),
        (TYPE.TORCHAO_INT4_WEIGHT_ONLY_PER_GROUP, {"group_size": "32"}, "must be an integer"),
        (TYPE.TORCHAO_INT8_WEIGHT_ONLY_PER_GROUP, {"group_size": 0}, "must be positive"),
        (TYPE.CODEBOOK_WEIGHT_ONLY, {"bits": 3}, "'bits' and 'block_size' must be present"),
        (TYPE.CODEBOOK_WEIGHT_ONLY, {**CODEBOOK, "bits": 9}, "must be between 1 and 8"),
        (TYPE.CODEBOOK_WEIGHT_ONLY, {**CODEBOOK, "bits": 5}, "neither 5 nor 7"),
        (TYPE.CODEBOOK_WEIGHT_ONLY, {**CODEBOOK, "bits": 7}, "neither 5 nor 7"),
        (TYPE.CODEBOOK_WEIGHT_ONLY, {**CODEBOOK, "block_size": "[-1]"}, "must be a list"),
    ],
)
def test_what_is_refused(recipe_type: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        CoreMLRecipeProvider().create_recipe(recipe_type, **options)


def test_filters() -> None:
    provider = CoreMLRecipeProvider()

    def mine(module: nn.Module, name: str) -> bool:
        return False

    for recipe_type in (TYPE.TORCHAO_INT8_WEIGHT_ONLY_PER_CHANNEL, TYPE.CODEBOOK_WEIGHT_ONLY):
        options = NEEDED[recipe_type][1]
        recipe = provider.create_recipe(recipe_type, filter_fn=mine, **options)
        assert recipe.quantization_recipe.ao_quantization_configs[0].filter_fn is mine
    recipe = provider.create_recipe(TYPE.CODEBOOK_WEIGHT_ONLY, **CODEBOOK)
    chosen = recipe.quantization_recipe.ao_quantization_configs[0].filter_fn
    assert chosen(nn.Linear(1, 1), "")
    assert chosen(nn.Embedding(1, 1), "")
    assert not chosen(nn.Conv2d(1, 1, 1), "")


def test_types_of_others() -> None:
    class Other(RecipeType):
        FP16 = "coreml_fp16"

        @classmethod
        def get_backend_name(cls) -> str:
            return "other"

    class Upstreams(RecipeType):
        FP16 = "coreml_fp16"

        @classmethod
        def get_backend_name(cls) -> str:
            return "coreml"

    assert CoreMLRecipeProvider().create_recipe(Other.FP16) is None
    assert CoreMLRecipeProvider().create_recipe(Upstreams.FP16).name == "coreml_fp16"
