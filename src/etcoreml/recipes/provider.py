"""Make export recipes of their types and options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from etcoreml.compiler import CoreMLBackend
from etcoreml.errors import RecipeError
from etcoreml.imports import quiet_imports
from etcoreml.mil.ct import coremltools
from etcoreml.partition import CoreMLPartitioner
from etcoreml.recipes.table import COMMON_OPTIONS, RECIPES, Entry
from etcoreml.recipes.types import COREML_BACKEND, CoreMLRecipeType

with quiet_imports():
    from executorch.exir import EdgeCompileConfig
    from executorch.export import BackendRecipeProvider, ExportRecipe, LoweringRecipe, RecipeType

ct = coremltools()

_TYPES: Any = CoreMLRecipeType
_ENUMS: Mapping[str, Any] = {"minimum_deployment_target": ct.target, "compute_unit": ct.ComputeUnit}
_BITS = frozenset({1, 2, 3, 4, 6, 8})  # of the tables that Core ML has


class CoreMLRecipeProvider(BackendRecipeProvider):  # type: ignore[misc] # executorch is untyped
    """The recipes of ``recipes.table``, as ``ExportRecipe.get_recipe`` asks for them."""

    @property
    def backend_name(self) -> str:
        """``coreml``."""
        return COREML_BACKEND

    def get_supported_recipes(self) -> Sequence[CoreMLRecipeType]:
        """Return every type of recipe."""
        return list(_TYPES)

    def create_recipe(self, recipe_type: RecipeType, **kwargs: Any) -> Any:
        """Return the ``ExportRecipe`` of a type, or None if it is not one of ours.

        Args:
            recipe_type: A ``CoreMLRecipeType``, or upstream's member of the same value.
            **kwargs: ``minimum_deployment_target``, ``compute_unit`` and options of
                ``CoreMLPartitioner``; some types take ``filter_fn``, ``group_size``, ``bits`` and
                ``block_size``. Without a target it is the oldest that has what the recipe makes
                of weights and activations, and for recipes that quantise nothing the oldest that
                the model needs, found while lowering. One that is given stays.

        Raises:
            RecipeError: The recipe has no such option or needs another, a value is outside its
                domain, or the target is older than what the recipe needs.
        """
        own = _own_type(recipe_type)
        if own is None:
            return None
        entry = RECIPES[own]
        _check(own, entry, kwargs)
        quantize = entry.quantize
        return ExportRecipe(
            name=own.value,
            quantization_recipe=None if quantize is None else quantize(kwargs),
            lowering_recipe=_lowering(entry, kwargs),
        )


def _own_type(recipe_type: RecipeType) -> Any:
    """Return our member of the value, or None."""
    if type(recipe_type).get_backend_name() != COREML_BACKEND:
        return None
    return {each.value: each for each in _TYPES}.get(recipe_type.value)


def _check(own: Any, entry: Entry, options: Mapping[str, Any]) -> None:
    def refuse(what: str, found: object, expected: object = None) -> RecipeError:
        return RecipeError(f"recipe {own.value}: {what}", found=found, expected=expected)

    known = COMMON_OPTIONS | entry.options
    unknown = sorted(set(options) - known)
    if unknown:
        raise refuse("unknown options", ", ".join(unknown), ", ".join(sorted(known)))
    if any(name not in options for name in entry.required):
        names = " and ".join(f"'{name}'" for name in entry.required)
        raise refuse(f"Parameters {names} must be present", ", ".join(sorted(options)) or "none")
    for name, enum in _ENUMS.items():
        value = options.get(name)
        if value is not None and not isinstance(value, enum):
            raise refuse(f"Parameter '{name}' must be a member of {enum.__name__}", repr(value))
    for name in ("group_size", "bits"):
        value = options.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise refuse(f"Parameter '{name}' must be an integer", repr(value))
    if options.get("group_size", 1) <= 0:
        raise refuse("Parameter 'group_size' must be positive", options["group_size"])
    if options.get("bits", 1) not in _BITS:
        raise refuse(
            "Parameter 'bits' must be between 1 and 8, and neither 5 nor 7", options["bits"]
        )
    if not isinstance(options.get("block_size", []), list):
        raise refuse("Parameter 'block_size' must be a list", repr(options["block_size"]))
    target = options.get("minimum_deployment_target")
    if target is not None and entry.target is not None and target < entry.target:
        raise refuse(
            f"minimum_deployment_target must be {entry.target} or higher for {entry.method} "
            "quantization",
            str(target),
        )


def _lowering(entry: Entry, options: Mapping[str, Any]) -> Any:
    partitioner = CoreMLPartitioner(
        compile_specs=CoreMLBackend.generate_compile_specs(
            compute_precision=entry.precision,
            compute_unit=options.get("compute_unit") or ct.ComputeUnit.ALL,
            minimum_deployment_target=options.get("minimum_deployment_target") or entry.target,
        ),
        skip_ops_for_coreml_delegation=options.get("skip_ops_for_coreml_delegation"),
        lower_full_graph=options.get("lower_full_graph", False),
        take_over_constant_data=options.get("take_over_constant_data", True),
    )
    return LoweringRecipe(
        partitioners=[partitioner],
        edge_compile_config=EdgeCompileConfig(_check_ir_validity=False, _skip_dim_order=False),
    )
