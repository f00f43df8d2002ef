"""Becomes KWallet as a login makes it: started by PAM, with the password's hash and the session's environment.

Its arguments: a directory for the socket, the file with the salt, the password, and the command that
runs KWallet.
What PAM does is in kwallet-pam's pam_kwallet.c: the hash goes through a pipe, and the environment, as
lines NAME=VALUE, into a connection to a socket that KWallet accepts.
"""

import hashlib
import os
import socket
import sys

ROUNDS = 50_000
HASH_BYTES = 56

directory, salt_file, password, *command = sys.argv[1:]
with open(salt_file, "rb") as file:
    salt = file.read()

reading, writing = os.pipe()
os.write(writing, hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS, HASH_BYTES))
os.close(writing)

path = os.path.join(directory, "kwallet5.socket")
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
login = socket.socket(socket.AF_UNIX)
login.connect(path)
login.sendall("".join(f"{name}={value}\n" for name, value in os.environ.items()).encode())

for fd in (reading, listener.fileno()):
    os.set_inheritable(fd, True)
os.environ["PAM_KWALLET5_LOGIN"] = path
# The connection is closed with this program, which is the end of the environment.
os.execvp(command[0], [*command, "--pam-login", str(reading), str(listener.fileno())])
