"""Whether a command that ends in the background of a terminal leaves the terminal as it is.

Usage: background.py end|wait FILE COMMAND...
Starts the command and, once FILE is there, makes the terminal raw, as an editor does. Then it ends the
command by SIGTERM, or waits for it to end. Prints what the terminal showed, and exits with 0 when it is
still raw.
"""

import os
import pty
import subprocess
import sys
import termios
import time
import tty

LIMIT_S = 30


def is_left_alone(how, path, command):
    helper = subprocess.Popen(command, preexec_fn=os.setpgrp)  # In the background, as after "&".
    try:
        deadline = time.monotonic() + LIMIT_S
        while not os.path.exists(path):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        tty.setraw(0)
        raw = termios.tcgetattr(0)
        if how == "end":
            helper.terminate()
        helper.wait(LIMIT_S)
        return termios.tcgetattr(0) == raw
    finally:
        helper.kill()


how, path, *command = sys.argv[1:]
pid, fd = pty.fork()
if pid == 0:
    os._exit(0 if is_left_alone(how, path, command) else 1)
try:
    while chunk := os.read(fd, 4096):
        sys.stdout.write(chunk.decode())
except OSError:
    pass  # So Linux says that the other side is closed.
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
