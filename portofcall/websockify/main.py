"""``portofcall-websockify``: the process."""

import argparse
import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from portofcall.websockify.arguments import parse, program

if TYPE_CHECKING:
    from portofcall.websockify.output import Output

#: As for twistd, see `portofcall.service.root`.
_OBJECTS_PER_COLLECTION: Final = 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the process is told to stop, or its time is over.

    Args:
        arguments: the command line; None means the process's own.

    Returns:
        The exit status: 0, 1 if it could not listen, 2 for an invalid command line.
    """
    args = parse(sys.argv[1:] if arguments is None else arguments)
    # Modules are not garbage: to look at all of them again and again is a twentieth of the start.
    gc.disable()
    # Imported here: --help and most mistakes in the command line need none of it.
    from portofcall.websockify.output import make_output  # noqa: PLC0415
    from portofcall.websockify.settings import SettingsError  # noqa: PLC0415

    try:
        run(args, make_output(args))
    except SettingsError as problem:
        sys.stderr.write(f"{program()}: {problem}\n")
        return problem.status
    except KeyboardInterrupt:
        # Before the reactor runs.
        return 130
    return 0


def run(args: argparse.Namespace, output: "Output") -> None:
    """Check everything, listen, go to the background if that is asked for, and run.

    Args:
        args: of the command line.
        output: where lines go.

    Raises:
        SettingsError: an option is not valid, or the address can't be listened on.
    """
    from portofcall.websockify.plugins import load_plugins  # noqa: PLC0415
    from portofcall.websockify.settings import listening_line, make_settings, settings_lines  # noqa: PLC0415
    from portofcall.websockify.sockets import open_socket  # noqa: PLC0415
    from portofcall.websockify.tls import read_contexts  # noqa: PLC0415

    settings = make_settings(args)
    plugins = load_plugins(args)
    contexts = read_contexts(args)
    for line in settings_lines(settings, has_certificate=contexts is not None):
        output.say(line)
    for line in args.warnings:
        output.warn(line)
    opened = open_socket(settings.listen)
    started = listening_line(settings, opened.getsockname())
    if args.daemon:
        from portofcall.websockify.daemon import become_daemon  # noqa: PLC0415

        output.say(started)
        become_daemon()
        output.leave_terminal()
    # The import installs it; a process that forks must do that first.
    from twisted.internet import reactor  # noqa: PLC0415

    from portofcall.descriptor_limit import raise_limit  # noqa: PLC0415
    from portofcall.twisted_internals import skip_log_context  # noqa: PLC0415
    from portofcall.websockify.service import Root  # noqa: PLC0415

    raise_limit(reactor)
    root = Root(reactor, settings, opened, output, plugins=plugins, contexts=contexts)
    output.begin()
    gc.enable()
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    skip_log_context(reactor)
    root.startService()
    reactor.addSystemEventTrigger("before", "shutdown", root.stopService)
    if not args.daemon:
        # Not earlier: a launcher that reads the line may stop the process at once.
        reactor.callWhenRunning(output.say, started)
    reactor.run()
