"""Signs as the GLM service's own Python sample does, and checks a token, with PyJWT.

Reads one JSON object from standard input: {"keys": [...], "nowMs": N, "ttlSeconds": N,
"tokens": [...]}; prints {"signed": [...], "accepted": [claims or an error, ...]}.
"""

import json
import sys
import time

import jwt
from python_sample import generate_token

asked = json.load(sys.stdin)
time.time = lambda: asked["nowMs"] / 1000
accepted = []
for key, token in zip(asked["keys"], asked["tokens"]):
    try:
        secret = key.split(".")[1]
        accepted.append(jwt.decode(token, secret, algorithms=["HS256"], options={"verify_iat": False}))
    except jwt.PyJWTError as error:
        accepted.append(str(error))
json.dump(
    {
        "signed": [generate_token(key, asked["ttlSeconds"]) for key in asked["keys"]],
        "accepted": accepted,
    },
    sys.stdout,
)
