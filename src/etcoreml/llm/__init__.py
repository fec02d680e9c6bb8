"""Language models: from a Hugging Face folder to a .pte, and from that to text.

- `etcoreml.llm.export.export_language_model` lowers a decoder with its cache.
- `etcoreml.llm.generator.Generator` runs the result through the stock ExecuTorch runtime.

Importing this package is light; each module imports what it needs.
"""
