"""Signs as the GLM service's own Python sample does, and checks a token, with PyJWT.

Reads one JSON object from standard input: {"keys": [...], "nowMs": N, "ttlSeconds": N,
"tokens": [...]}; prints {"signed": [...], "accepted": [claims or an error, ...]}.
"""

import json
import sys
import time

import jwt


# https://docs.bigmodel.cn/cn/api/introduction, the sample for JWT authentication
def generate_token(apikey: str, exp_seconds: int):
    try:
        id, secret = apikey.split(".")
    except Exception as e:
        raise Exception("invalid apikey", e)

    payload = {
        "api_key": id,
        "exp": int(round(time.time() * 1000)) + exp_seconds * 1000,
        "timestamp": int(round(time.time() * 1000)),
    }

    return jwt.encode(
        payload,
        secret,
        algorithm="HS256",
        headers={"alg": "HS256", "sign_type": "SIGN"},
    )


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
