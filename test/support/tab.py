"""Types lines into an interactive shell on a terminal of its own, with TAB after each.

Usage: tab.py PROMPT KEY_FILE '["line", ...]' COMMAND...
The shell has to show PROMPT when it is ready, and to append the line as it is to KEY_FILE, with a
newline, at Ctrl-G. Prints what the terminal showed.
"""

import json
import os
import pty
import select
import signal
import sys
import time

prompt, key_file, lines = sys.argv[1].encode(), sys.argv[2], json.loads(sys.argv[3])
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[4], sys.argv[4:])

shown = b""


def answered():
    try:
        with open(key_file, "rb") as file:
            return file.read().count(b"\n")
    except FileNotFoundError:
        return 0


def read_until(is_done):
    global shown
    deadline = time.monotonic() + 30
    while not is_done():
        if time.monotonic() > deadline:
            sys.exit(f"tab.py: nothing more is shown after: {shown!r}")
        if select.select([fd], [], [], 0.02)[0]:
            shown += os.read(fd, 4096)


read_until(lambda: prompt in shown)
for count, line in enumerate(lines, 1):
    os.write(fd, line.encode() + b"\t\x07")
    read_until(lambda: answered() == count)
    os.write(fd, b"\x15")
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
sys.stdout.write(shown.decode(errors="replace"))
