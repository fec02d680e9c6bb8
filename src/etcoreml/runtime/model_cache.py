"""The model cache as users deal with it; what is in it, and when, is ``engine/cache.py``'s."""

from __future__ import annotations

import os

from etcoreml.engine.cache import ModelCache, cache_directory


def purge_models_cache(directory: str | os.PathLike[str] | None = None) -> int:
    """Delete every compiled model, and nothing else.

    Models that are loaded go on working.

    Args:
        directory: The cache's folder. By default ``ETCOREML_CACHE_DIR``, else ``etcoreml`` in
            ``XDG_CACHE_HOME``, else ``~/.cache/etcoreml``.

    Returns:
        Bytes deleted.

    Raises:
        UsageError: Something cannot be deleted.
    """
    folder = cache_directory(directory)
    return 0 if folder is None else ModelCache(folder).purge()
