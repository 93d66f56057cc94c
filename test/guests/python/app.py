"""A command that does what its first argument says: the same in Rust, C and Go."""

import os
import sys
import time

from wit_world import exports


class Run(exports.Run):
    def run(self):
        what, argument = (sys.argv[1:] + ["", ""])[:2]
        if what == "args":
            say("|".join(sys.argv[2:]))
        elif what == "env":
            say(os.environ.get(argument, "none"))
        elif what == "upper":
            say(sys.stdin.read().upper())
        elif what == "fill":
            say("x" * int(argument))
        elif what == "files":
            files(argument)
        elif what == "sleep":
            start = time.monotonic()
            time.sleep(int(argument) / 1000)
            say("true" if time.monotonic() - start >= int(argument) / 1000 else "false")
        elif what == "terminal":
            say(f"{str(sys.stdin.isatty()).lower()} {str(sys.stdout.isatty()).lower()}")
        elif what == "exit":
            sys.stderr.write("leaving")
            sys.exit(int(argument))
        else:
            sys.exit(64)


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def files(directory):
    """Writes, appends, reads, lists, renames and removes below a directory."""
    first, second = (f"{directory}/{name}" for name in ("first", "second"))
    with open(first, "w") as file:
        file.write("one")
    with open(first, "a") as file:
        file.write(" two")
    os.rename(first, second)
    with open(second) as file:
        say(f"{file.read()} in {','.join(sorted(os.listdir(directory)))}")
    os.remove(second)
