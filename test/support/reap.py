"""Runs a command, and ends whatever descends from it when it has ended, or when told to (SIGTERM).

It is the reaper of its descendants (prctl(2), PR_SET_CHILD_SUBREAPER), so that those that left their
group, or whose parent has ended, are found too; where a system has no such thing, it ends the group.
Its exit status is the command's. It prints nothing, but says in the file that is its first argument
what it had to end.
"""

import ctypes
import os
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36

report, *command = sys.argv[1:]
try:
    reaps = ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
except AttributeError:
    reaps = False


def children():
    """The processes whose parent this one is; those of others come to it when their parents end."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="latin-1") as file:
                program, _, rest = file.read().partition("(")[2].rpartition(") ")
            if int(rest.split()[1]) == os.getpid():
                found.append((int(name), program))
        except (OSError, IndexError):
            pass  # It ended meanwhile.
    return found


main = os.spawnvp(os.P_NOWAIT, command[0], command)
status = None


def stop(*_):
    """Ends the command; what it started is ended thereafter."""
    os.kill(main, signal.SIGKILL)


signal.signal(signal.SIGTERM, stop)
while status is None:
    pid, ended = os.waitpid(-1, 0)
    if pid == main:
        status = ended

# What is about to end by itself may do so; a daemon of a keychain needs a moment after its bus.
left = []
deadline = time.monotonic() + 1
while reaps:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        break
    if time.monotonic() > deadline:
        for pid, program in children():
            left.append(program)
            os.kill(pid, signal.SIGKILL)
    time.sleep(0.05)
if not reaps:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
with open(report, "a", encoding="utf-8") as file:
    file.write("".join(f"{name}\n" for name in left))
sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
