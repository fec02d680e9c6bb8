#include "backend.hpp"

#include <executorch/runtime/backend/interface.h>
#include <executorch/runtime/platform/log.h>
#include <nanobind/stl/string.h>

#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "activity.hpp"
#include "buffers.hpp"
#include "faults.hpp"
#include "stream_guard.hpp"
#include "tensor_view.hpp"
#include "trace.hpp"

namespace nb = nanobind;
namespace er = executorch::runtime;
using er::Error;
using er::EValue;

namespace etcoreml {
namespace {

constexpr const char* kBackendId = "CoreMLBackend";
constexpr const char* kOverlapHint =
    "ExecuTorch methods of one program share memory: load one program per thread, or use "
    "etcoreml.load(), whose programs lock themselves.";

bool interpreter_is_alive() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsInitialized() && !Py_IsFinalizing();
#else
  return Py_IsInitialized() && !_Py_IsFinalizing();
#endif
}

// The arguments of one call as a Python tuple; tensors expire when the call ends.
class ArgumentViews {
 public:
  explicit ArgumentViews(Arguments arguments) {
    nb::list list;
    for (EValue* value : arguments) {
      list.append(to_python(*value));
    }
    tuple_ = nb::tuple(list);
  }
  ~ArgumentViews() {
    for (TensorView* view : views_) {
      view->expire();
    }
  }
  ArgumentViews(const ArgumentViews&) = delete;
  ArgumentViews& operator=(const ArgumentViews&) = delete;

  const nb::tuple& tuple() const { return tuple_; }

 private:
  nb::object to_python(EValue& value) {
    if (value.isTensor()) {
      views_.push_back(new TensorView(value.toTensor()));
      return nb::cast(views_.back(), nb::rv_policy::take_ownership);
    }
    if (value.isInt()) return nb::int_(value.toInt());
    if (value.isDouble()) return nb::float_(value.toDouble());
    if (value.isBool()) return nb::bool_(value.toBool());
    return nb::none();
  }

  nb::tuple tuple_;
  std::vector<TensorView*> views_;  // owned by tuple_
};

// One loaded delegate. Python's object has bind(arguments) -> bool, called whenever memory, dtype or
// shape of an argument changes, and then offers run, a function that computes with what is bound.
class Delegate {
 public:
  Delegate(nb::object loaded, std::string method, TraceLevel level)
      : loaded_(std::move(loaded)), method_(std::move(method)), level_(level) {
    live().insert(this);
  }
  // Stands in for a delegate whose load was interrupted.
  explicit Delegate(std::string method) : method_(std::move(method)) { live().insert(this); }
  ~Delegate() { live().erase(this); }

  static std::set<Delegate*>& live() {
    static std::set<Delegate*> delegates;
    return delegates;
  }

  const std::string& method() const { return method_; }
  bool released() const { return !loaded_.is_valid(); }
  // Gives up the Python objects; the caller lets them die.
  std::pair<nb::object, nb::object> release() { return {std::move(loaded_), std::move(run_)}; }

  void execute(Arguments arguments, er::EventTracer* tracer) {
    if (tracer == nullptr || level_ == TraceLevel::kNone) {
      compute(arguments);
      return;
    }
    if (level_ == TraceLevel::kIntermediates) {
      check_room(*tracer, loaded_);
    }
    const et_timestamp_t start = et_pal_current_ticks();
    compute(arguments);
    log_run(*tracer, loaded_, level_, start);
  }

 private:
  void compute(Arguments arguments) {
    if (is_bound(arguments)) {
      run_();
      return;
    }
    bound_.clear();
    ArgumentViews views(arguments);
    bool reusable = nb::cast<bool>(loaded_.attr("bind")(views.tuple()));
    run_ = loaded_.attr("run");
    run_();
    if (reusable) {
      for (EValue* value : arguments) {
        bound_.push_back(TensorSignature::of(value->toTensor()));
      }
    }
  }

  bool is_bound(Arguments arguments) const {
    if (bound_.empty() || bound_.size() != arguments.size()) {
      return false;
    }
    for (size_t i = 0; i < bound_.size(); ++i) {
      if (!arguments[i]->isTensor() || !bound_[i].matches(arguments[i]->toTensor())) {
        return false;
      }
    }
    return true;
  }

  nb::object loaded_;
  nb::object run_;
  std::string method_;
  TraceLevel level_ = TraceLevel::kNone;
  std::vector<TensorSignature> bound_;
};

nb::object to_python(const er::BackendOption& option) {
  if (const auto* flag = std::get_if<bool>(&option.value)) return nb::bool_(*flag);
  if (const auto* number = std::get_if<int>(&option.value)) return nb::int_(*number);
  const auto& text = std::get<std::array<char, er::kMaxOptionValueLength>>(option.value);
  return nb::str(text.data());
}

class CoreMLBackend final : public er::BackendInterface {
 public:
  explicit CoreMLBackend(nb::object init) : init_(init.release().ptr()) {}

  bool is_available() const override { return interpreter_is_alive(); }

  er::Result<er::DelegateHandle*> init(
      er::BackendInitContext& context, er::FreeableBuffer* processed,
      er::ArrayRef<er::CompileSpec> compile_specs) const override {
    if (!interpreter_is_alive()) {
      return Error::InvalidState;
    }
    nb::gil_scoped_acquire gil;
    StreamGuard streams;
    park_if_closing();
    Delegate* delegate = nullptr;
    Error error = Error::Ok;
    {
      Activity activity;
      error = load(context, processed, compile_specs, &delegate);
    }
    park_if_closing();
    if (error != Error::Ok) {
      return error;
    }
    return static_cast<er::DelegateHandle*>(delegate);
  }

  Error execute(
      er::BackendExecutionContext& context, er::DelegateHandle* handle,
      Arguments arguments) const override {
    if (!interpreter_is_alive()) {
      return Error::InvalidState;
    }
    nb::gil_scoped_acquire gil;
    StreamGuard streams;
    park_if_closing();
    Error error;
    {
      Activity activity(handle, arguments);
      error = run(*static_cast<Delegate*>(handle), arguments, activity, context.event_tracer());
    }
    park_if_closing();
    return error;
  }

  void destroy(er::DelegateHandle* handle) const override {
    auto* delegate = static_cast<Delegate*>(handle);
    if (delegate == nullptr || !interpreter_is_alive()) {
      return;  // a dead interpreter took the Python objects with it
    }
    nb::gil_scoped_acquire gil;
    StreamGuard streams;
    park_if_closing();
    {
      Activity activity;
      PyObject *type, *value, *traceback;
      PyErr_Fetch(&type, &value, &traceback);  // may run while an exception is on its way
      delete delegate;
      PyErr_Restore(type, value, traceback);
    }
    park_if_closing();
  }

 private:
  Error load(
      er::BackendInitContext& context, er::FreeableBuffer* processed,
      er::ArrayRef<er::CompileSpec> compile_specs, Delegate** delegate) const {
    const char* name = context.get_method_name() ? context.get_method_name() : "";
    try {
      nb::dict specs;
      for (const auto& spec : compile_specs) {
        specs[nb::str(spec.key)] = nb::bytes(spec.value.buffer, spec.value.nbytes);
      }
      nb::dict options;
      for (const auto& option : context.runtime_specs()) {
        options[nb::str(option.key)] = to_python(option);
      }
      auto* named_data = new NamedData{context.get_named_data_map()};
      nb::object named_data_object = nb::cast(named_data, nb::rv_policy::take_ownership);
      nb::object bytes = own_buffer(std::move(*processed));
      const TraceLevel level = trace_level(context.event_tracer());
      nb::object loaded;
      try {
        loaded = nb::handle(init_)(
            bytes, specs, named_data_object, name, options, static_cast<int>(level));
      } catch (...) {
        named_data->map = nullptr;
        throw;
      }
      named_data->map = nullptr;
      *delegate = new Delegate(std::move(loaded), name, level);
      return Error::Ok;
    } catch (nb::python_error& error) {
      Error code = report_exception(error, "init");
      if (code == Error::Ok) {  // interrupted: the caller sees that before it sees the delegate
        *delegate = new Delegate(name);
      }
      return code;
    } catch (const std::exception& error) {
      return report_error("DelegateError", error.what(), nullptr, "init");
    }
  }

  Error run(
      Delegate& delegate, Arguments arguments, Activity& activity,
      er::EventTracer* tracer) const {
    auto subject = [&delegate] { return "method '" + delegate.method() + "' "; };
    if (activity.collides()) {
      return report_error(
          "OverlapError",
          subject() + "was executed while another thread executed it, or one that shares its memory",
          kOverlapHint, "execute");
    }
    if (delegate.released()) {
      ET_LOG(
          Error, "CoreMLBackend execute: %swas interrupted while it loaded, or Python is exiting",
          subject().c_str());
      return Error::InvalidState;
    }
    Error error = Error::Ok;
    try {
      delegate.execute(arguments, tracer);
    } catch (nb::python_error& exception) {
      error = report_exception(exception, "execute");
      if (error == Error::Ok) {
        return error;  // interrupted, which goes before everything else
      }
    } catch (const std::exception& exception) {
      error = report_error("DelegateError", subject() + exception.what(), nullptr, "execute");
    }
    if (error == Error::Ok && activity.disturbed()) {
      return report_error(
          "OverlapError", subject() + "was disturbed by another thread; its result is not reliable",
          kOverlapHint, "execute");
    }
    return error;
  }

  PyObject* init_;  // strong, for the life of the process
};

}  // namespace

unsigned register_backend(nb::object init) {
  if (er::get_backend_class(kBackendId) != nullptr) {
    return static_cast<unsigned>(Error::RegistrationAlreadyRegistered);
  }
  return static_cast<unsigned>(
      er::register_backend({kBackendId, new CoreMLBackend(std::move(init))}));
}

void release_delegates() {
  // Finalizers may destroy delegates, which would change the set under the loop.
  std::vector<std::pair<nb::object, nb::object>> released;
  for (Delegate* delegate : Delegate::live()) {
    released.push_back(delegate->release());
  }
}

}  // namespace etcoreml
