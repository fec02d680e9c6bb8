"""Fork, interrupts and exits: in child processes, since they end them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.processes import run_python


@pytest.fixture
def convolution_path(convolution_pte: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "convolution.pte"
    path.write_bytes(convolution_pte)
    return path


def test_fork_after_load(convolution_path: Path) -> None:
    outcome = run_python(
        """
        import os, sys
        import torch
        import etcoreml
        program = etcoreml.load(sys.argv[1])
        x = torch.randn(1, 8, 64, 64)
        parent = program.forward(x)[0]
        child = os.fork()
        if child == 0:
            torch.testing.assert_close(program.forward(x)[0], parent)
            fresh = etcoreml.load(sys.argv[1])
            torch.testing.assert_close(fresh.forward(x)[0], parent)
            sys.exit(7)
        _, status = os.waitpid(child, 0)
        torch.testing.assert_close(program.forward(x)[0], parent)
        print(os.waitstatus_to_exitcode(status))
        """,
        convolution_path,
    )
    assert outcome.stdout == "7\n", outcome.stderr
    assert outcome.code == 0


def test_fork_after_the_parent_let_go(convolution_path: Path) -> None:
    """OpenVINO would give the child a stream that the parent left idle, without its threads."""
    outcome = run_python(
        """
        import os, sys
        import torch
        import etcoreml
        x = torch.randn(1, 8, 64, 64)
        expected = etcoreml.load(sys.argv[1]).forward(x)[0]
        child = os.fork()
        if child == 0:
            torch.testing.assert_close(etcoreml.load(sys.argv[1]).forward(x)[0], expected)
            sys.exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        convolution_path,
    )
    assert outcome.stdout == "7\n", outcome.stderr
    assert outcome.stderr == ""


def test_fork_frees_a_lock_that_another_thread_held(affine_path: Path) -> None:
    outcome = run_python(
        """
        import os, sys, threading
        import torch
        import etcoreml
        program = etcoreml.load(sys.argv[1])
        program.forward(torch.ones(2, 3))
        held, done = threading.Event(), threading.Event()
        def hold():
            with program._lock:
                held.set()
                done.wait()
        threading.Thread(target=hold).start()
        held.wait()
        child = os.fork()
        if child == 0:
            print(program.forward(torch.ones(2, 3))[0].tolist(), flush=True)
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        done.set()
        """,
        affine_path,
    )
    assert outcome.stdout == "[[3.0, 3.0, 3.0], [3.0, 3.0, 3.0]]\n7\n", outcome.stderr


INTERRUPTED = """
    import os, signal, sys, threading
    import torch
    import etcoreml
    from etcoreml.runtime.binding import BoundMethod

    # A CI job may be started with SIGINT ignored, which children inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run = BoundMethod.run
    def interrupted(self):
        # The signal arrives while the delegate computes.
        return lambda: (signal.raise_signal(signal.SIGINT), run.fget(self)())
    BoundMethod.run = property(interrupted)
    x = torch.ones(2, 3)
"""


def test_keyboard_interrupt_through_the_facade(affine_path: Path) -> None:
    outcome = run_python(
        INTERRUPTED
        + """
    program = etcoreml.load(sys.argv[1])
    try:
        program.forward(x)
    except KeyboardInterrupt as error:
        print("interrupted", error.__context__)
    BoundMethod.run = run
    print(etcoreml.load(sys.argv[1]).forward(x)[0].tolist())
    """,
        affine_path,
    )
    assert outcome.stdout == "interrupted None\n[[3.0, 3.0, 3.0], [3.0, 3.0, 3.0]]\n"


def test_keyboard_interrupt_through_the_stock_runtime(affine_path: Path) -> None:
    outcome = run_python(
        INTERRUPTED
        + """
    from executorch.runtime import Runtime
    method = Runtime.get().load_program(sys.argv[1]).load_method("forward")
    try:
        method.execute((x,))
    except KeyboardInterrupt:
        print("interrupted")
    """,
        affine_path,
    )
    assert outcome.stdout == "interrupted\n", outcome.stderr


def test_keyboard_interrupt_during_load(affine_path: Path) -> None:
    outcome = run_python(
        """
        import signal, sys
        import etcoreml
        import etcoreml.runtime.delegate as delegate
        signal.signal(signal.SIGINT, signal.default_int_handler)
        def interrupted(*arguments, **options):
            signal.raise_signal(signal.SIGINT)
        compile_function, delegate.compile_function = delegate.compile_function, interrupted
        program = etcoreml.load(sys.argv[1])
        try:
            program.load("forward")
        except KeyboardInterrupt:
            print("interrupted")
        delegate.compile_function = compile_function
        program.load("forward")
        print("loaded")
        """,
        affine_path,
    )
    assert outcome.stdout == "interrupted\nloaded\n", outcome.stderr


def test_uncaught_interrupt_ends_the_process(affine_path: Path) -> None:
    outcome = run_python(INTERRUPTED + "    etcoreml.load(sys.argv[1]).forward(x)\n", affine_path)
    assert outcome.code in (-2, 130)
    assert "KeyboardInterrupt" in outcome.stderr
    assert "RuntimeError" not in outcome.stderr


DAEMONS = """
    import sys, threading, time
    import torch
    import etcoreml
    {imports}
    x = torch.randn(1, 8, 64, 64)
    started = threading.Barrier({count} + 1)
    def work():
        {load}
        started.wait()
        while True:
            {execute}
    for _ in range({count}):
        threading.Thread(target=work, daemon=True).start()
    started.wait()
    time.sleep(0.2)
    print("leaving")
"""


@pytest.mark.parametrize("count", [1, 4])
def test_exit_with_daemon_threads_inside(convolution_path: Path, count: int) -> None:
    source = DAEMONS.format(
        imports="pass",
        load="program = etcoreml.load(sys.argv[1])",
        execute="program.forward(x)",
        count=count,
    )
    for _ in range(3):
        outcome = run_python(source, convolution_path)
        assert (outcome.code, outcome.stdout) == (0, "leaving\n"), outcome.stderr
        assert outcome.stderr == ""


def test_exit_with_a_daemon_thread_inside_the_stock_runtime(convolution_path: Path) -> None:
    source = DAEMONS.format(
        imports="from executorch.runtime import Runtime; Runtime.get()",
        load="method = Runtime.get().load_program(sys.argv[1]).load_method('forward')",
        execute="method.execute((x,))",
        count=2,
    )
    outcome = run_python(source, convolution_path)
    assert (outcome.code, outcome.stdout) == (0, "leaving\n"), outcome.stderr


def test_exit_with_live_programs_and_kept_errors(affine_path: Path) -> None:
    outcome = run_python(
        """
        import sys
        import torch
        import etcoreml
        from etcoreml.errors import EtCoreMLError
        from executorch.runtime import Runtime
        program = etcoreml.load(sys.argv[1])
        program.forward(torch.ones(2, 3))
        method = Runtime.get().load_program(sys.argv[1]).load_method("forward")
        method.execute((torch.ones(2, 3),))
        print("done")
        """,
        affine_path,
    )
    assert (outcome.code, outcome.stdout) == (0, "done\n")
    assert "nanobind" not in outcome.stderr


def test_atexit_handlers_still_run_models(affine_path: Path) -> None:
    outcome = run_python(
        """
        import atexit, sys
        import torch
        import etcoreml
        program = etcoreml.load(sys.argv[1])
        atexit.register(lambda: print(program.forward(torch.ones(2, 3))[0].tolist()))
        """,
        affine_path,
    )
    assert outcome.stdout == "[[3.0, 3.0, 3.0], [3.0, 3.0, 3.0]]\n", outcome.stderr
