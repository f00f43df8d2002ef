"""The GLM service's own Python sample, with PyJWT, which people paste today.

https://docs.bigmodel.cn/cn/api/introduction. Run by itself, it signs with a made-up key.
"""

import time

import jwt


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


if __name__ == "__main__":
    print(generate_token("0123456789abcdef.MadeUpSecret", 180))
