"""ExecuTorch's export recipes for Core ML: a recipe type and options in, an ``ExportRecipe`` out.

Importing this registers the recipes: ``executorch.export.ExportRecipe.get_recipe`` knows them from
here on.
"""

from etcoreml.imports import quiet_imports
from etcoreml.recipes.provider import CoreMLRecipeProvider
from etcoreml.recipes.types import CoreMLRecipeType

with quiet_imports():
    from executorch.export import recipe_registry

recipe_registry.register_backend_recipe_provider(CoreMLRecipeProvider())

__all__ = ["CoreMLRecipeProvider", "CoreMLRecipeType"]
