"""A Core ML backend for ExecuTorch that works on every machine."""
