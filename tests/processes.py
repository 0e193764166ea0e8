"""Python processes that begin where TensorFlow is loaded: real ones, without three seconds of the same import.

They are forked from a server that has done nothing but import, each with its own memory, signals and exit code. A test
of the start itself (what a command imports, other backends, an environment that an import reads) uses `subprocess`.
"""

import atexit
import contextlib
import functools
import multiprocessing
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["tensorflow", "keras", "leaky_zoo.training", "leaky_zoo.analysis", "leaky_zoo.cli", __name__]
)


def _begin(words, cwd, env, out, err):
    """In the new process: become `python WORDS`."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for path, stream in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), stream)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", buffering=1, closefd=False)
    sys.path.insert(0, "")
    kind, what, *rest = words
    sys.argv = [what if kind == "-m" else kind, *rest]
    try:
        if kind == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    finally:
        sys.stdout.flush()


@functools.cache
def _folder():
    """For what is said, until this process ends."""
    folder = tempfile.mkdtemp(prefix="said-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Started:
    """As much of `subprocess.Popen` as tests need; its streams are files, so that nobody waits for a reader."""

    def __init__(self, words, *, cwd=None, env=None):
        assert words[0] in ("-m", "-c"), words
        self.args, self._files = list(map(str, words)), []
        for _ in range(2):
            number, path = tempfile.mkstemp(dir=_folder())
            os.close(number)
            self._files.append(path)
        given = (self.args, str(cwd or Path.cwd()), dict(os.environ if env is None else env), *self._files)
        self._process = FORKS.Process(target=_begin, args=given)
        self._process.start()
        self.pid = self._process.pid

    def poll(self):
        """The exit code, negative after a signal; None while it runs."""
        return self._process.exitcode

    returncode = property(poll)

    def wait(self, timeout=None):
        """Its exit code, once it has ended."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self._process.exitcode

    def send_signal(self, number):
        """A signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        """SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def output(self):
        """What it has said so far on its two streams."""
        texts = []
        for path in self._files:
            with open(path, encoding="utf-8", errors="backslashreplace") as file:
                texts.append(file.read())
        return tuple(texts)

    def communicate(self, timeout=None):
        """Wait, then both streams."""
        self.wait(timeout)
        return self.output()


def run_python(*words, cwd=None, env=None, timeout=900):
    """`python WORDS` to its end, where WORDS begin with `-m MODULE` or `-c CODE`: a `subprocess.CompletedProcess`."""
    process = Started(words, cwd=cwd, env=env)
    try:
        out, err = process.communicate(timeout)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
