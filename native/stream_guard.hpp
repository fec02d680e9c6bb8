// Keeps the stock bindings' redirection of std::cout and std::cerr properly nested.
#pragma once

#include <iostream>
#include <streambuf>

namespace etcoreml {

// The stock bindings wrap every call in pybind11's scoped_ostream_redirect. Python code inside a
// delegate can switch threads, which breaks the last-in-first-out nesting of those redirections
// and leaves a dangling buffer behind. With the process's own buffers in place while Python runs,
// every thread's redirection saves and restores the originals. Needs the GIL at both ends.
class StreamGuard {
 public:
  // Remembers the process's buffers; call once, before any redirection.
  static void capture() {
    process_out() = std::cout.rdbuf();
    process_err() = std::cerr.rdbuf();
  }

  StreamGuard() : out_(std::cout.rdbuf(process_out())), err_(std::cerr.rdbuf(process_err())) {}
  ~StreamGuard() {
    std::cout.rdbuf(out_);
    std::cerr.rdbuf(err_);
  }
  StreamGuard(const StreamGuard&) = delete;
  StreamGuard& operator=(const StreamGuard&) = delete;

 private:
  static std::streambuf*& process_out() {
    static std::streambuf* buffer = nullptr;
    return buffer;
  }
  static std::streambuf*& process_err() {
    static std::streambuf* buffer = nullptr;
    return buffer;
  }

  std::streambuf* out_;
  std::streambuf* err_;
};

}  // namespace etcoreml
