"""Runs a command on a terminal of its own and answers its questions.

Usage: terminal.py '[["text to wait for", "answer"], ...]' COMMAND...
Prints what the terminal showed, then exits with the command's status. An answer is typed with a
return after it; "^C" is typed as that key.
"""

import json
import os
import pty
import select
import sys
import time

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
        os.write(fd, b"\x03" if answer == "^C" else answer.encode() + b"\r")
sys.stdout.write(shown.decode())
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
