// The delegate "CoreMLBackend": forwards to Python, which does the work.
#pragma once

#include <nanobind/nanobind.h>

namespace etcoreml {

// Registers the backend with the ExecuTorch runtime under Apple's id. `init` is
// etcoreml.runtime.delegate.init. Returns ExecuTorch's error code; the backend object lives as long
// as the process, since the registry has no way to unregister.
unsigned register_backend(nanobind::object init);

// Drops every Python object that live delegates hold; called once at exit, after the drain.
void release_delegates();

}  // namespace etcoreml
