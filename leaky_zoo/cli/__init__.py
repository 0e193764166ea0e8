"""The `leaky-zoo` command: one thin module per subcommand, imported when it runs."""

import signal
import sys
from importlib.metadata import version as version_of
from types import FrameType
from typing import Annotated

import typer

from leaky_zoo.cli import (
    analyze,
    attach,
    audits,
    compress,
    evaluate,
    export,
    index,
    inspect,
    listing,
    monitor,
    predict,
    publish,
    suggest,
    sweep,
    train,
    verify,
)
from leaky_zoo.cli import demo as demo_command
from leaky_zoo.cli.console import fail
from leaky_zoo.cli.startup import closed_pipe_is_fine, quiet_start, warnings_in_words
from leaky_zoo.errors import LeakyZooError, Terminated, naming_extras
from leaky_zoo.processes import user_modules
from leaky_zoo.processes.parent import end_with_parent

app = typer.Typer(
    name="leaky-zoo",
    help="Leaky ResNets: pretrained networks across effective depths, bottleneck analysis, ONNX.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("list")(listing.list_command)
app.command("info")(listing.info)
app.command("suggest")(suggest.suggest_command)
app.command("train")(train.train_command)
app.add_typer(sweep.app, name="sweep")
app.command("evaluate")(evaluate.evaluate)
app.command("analyze")(analyze.analyze_command)
app.command("merge-audits")(audits.merge_audits)
app.command("compare")(audits.compare)
app.command("export")(export.export)
app.command("compress")(compress.compress)
app.command("publish")(publish.publish)
app.command("index")(index.index)
app.command("inspect")(inspect.inspect)
app.command("predict")(predict.predict_command)
app.command("verify")(verify.verify)
app.command("attach")(attach.attach)
app.command("monitor")(monitor.monitor)
app.command("demo")(demo_command.demo)


def _say_version(asked: bool) -> None:
    if asked:
        print(f"leaky-zoo {version_of('leaky-zoo')}")
        raise typer.Exit


@app.callback()
def before_every_command(
    modules: Annotated[
        list[str] | None,
        typer.Option(
            "--import",
            metavar="MODULE",
            envvar=user_modules.VARIABLE,
            help="Import a Python module first, for a family, task, schedule or data set of your own. This runs the "
            "module's code, here and in every process that the command starts. May be given several times.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    """What comes before any command."""
    if modules:
        with quiet_start():
            user_modules.import_modules(modules)


def main() -> None:
    """Entry point.

    Exit codes: 0 done, 1 a check failed, 2 wrong usage or input, 75 another worker has gone (try again), 130
    interrupted, 143 terminated.
    """
    end_with_parent()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a file's name may be no text; it is shown with escapes
            stream.reconfigure(errors="backslashreplace")
    # An end by an exception removes what is half-written; SIGALRM is the same signal, put off.
    before = {number: signal.signal(number, _terminate) for number in (signal.SIGTERM, signal.SIGALRM)}
    hook, sys.unraisablehook = sys.unraisablehook, _after_dropped
    try:
        with naming_extras(), closed_pipe_is_fine(), warnings_in_words():
            app()
    except LeakyZooError as error:
        fail(str(error), error.exit_code)
    except Terminated as error:
        fail(f"Terminated. {error.message}".strip(), 143)
    except KeyboardInterrupt as error:
        fail(f"Interrupted. {error}".strip(), 130)
    except OSError as error:
        fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1)
    except MemoryError:
        fail("Out of memory: a smaller batch, or a machine with more, is needed.", 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook


def _terminate(number: int, frame: FrameType | None) -> None:
    """End by an exception, but not in the middle of an import: what a library half set up may abort the process."""
    here = frame
    while here is not None and here.f_code is not main.__code__:
        if here.f_code.co_filename == "<frozen importlib._bootstrap>":
            _terminate_later()
            return
        here = here.f_back
    raise Terminated("")


def _terminate_later() -> None:
    """Try once more in a moment; by a timer of the system, as a thread's start may wait for a lock that we hold."""
    signal.setitimer(signal.ITIMER_REAL, 0.02)


def _after_dropped(unraisable: "sys.UnraisableHookArgs") -> None:
    """Send SIGTERM again where Python had to drop its exception: in a finaliser, or a callback of the collector."""
    if isinstance(unraisable.exc_value, Terminated):
        _terminate_later()
    else:
        sys.__unraisablehook__(unraisable)
