"""The types of recipes; their names and values are those of the upstream backend."""

from __future__ import annotations

from etcoreml.imports import quiet_imports

with quiet_imports():
    from executorch.export import RecipeType

COREML_BACKEND = "coreml"


class CoreMLRecipeType(RecipeType):  # type: ignore[misc] # executorch is untyped
    """What a recipe makes of the weights and activations. See ``recipes.table`` for the options."""

    FP32 = "coreml_fp32"
    FP16 = "coreml_fp16"
    PT2E_INT8_STATIC = "coreml_pt2e_int8_static"
    PT2E_INT8_WEIGHT_ONLY = "coreml_pt2e_int8_weight_only"
    TORCHAO_INT4_WEIGHT_ONLY_PER_CHANNEL = "coreml_torchao_int4_weight_only_per_channel"
    TORCHAO_INT4_WEIGHT_ONLY_PER_GROUP = "coreml_torchao_int4_weight_only_per_group"
    TORCHAO_INT8_WEIGHT_ONLY_PER_CHANNEL = "coreml_torchao_int8_weight_only_per_channel"
    TORCHAO_INT8_WEIGHT_ONLY_PER_GROUP = "coreml_torchao_int8_weight_only_per_group"
    CODEBOOK_WEIGHT_ONLY = "coreml_codebook_weight_only"

    @classmethod
    def get_backend_name(cls) -> str:
        """Return the name the recipes are registered under."""
        return COREML_BACKEND
