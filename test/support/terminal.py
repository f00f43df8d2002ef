"""Runs a command on a terminal of its own and answers its questions.

Usage: terminal.py '[["text to wait for", "answer"], ...]' COMMAND...
Prints what the terminal showed, then exits with the command's status. Each answer is followed by a
return, except for "^C" and "^D", which are typed as those keys.
"""

import json
import os
import pty
import select
import signal
import sys
import time

KEYS = {"^C": b"\x03", "^D": b"\x04"}

answers = json.loads(sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])

shown = b""
searched = 0
deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    ready, _, _ = select.select([fd], [], [], 0.1)
    if ready:
        try:
            chunk = os.read(fd, 4096)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    if answers and (at := shown.find(answers[0][0].encode(), searched)) >= 0:
        searched = at + len(answers[0][0].encode())
        answer = answers.pop(0)[1]
        os.write(fd, KEYS.get(answer, answer.encode() + b"\r"))
else:
    os.kill(pid, signal.SIGKILL)  # It waits for something that nobody types.
sys.stdout.write(shown.decode())
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
