#!/bin/sh
# A glm-token whose helper misbehaves as the first argument says; the rest are the usual arguments.
# Each start is one line in $GLM_FAKE_LOG. Everything but the helper is the real program's.
mode=$1
shift
echo "$1" >>"$GLM_FAKE_LOG"
[ "$1" = daemon ] || exec "$GLM_TEST_NODE" "$GLM_TEST_SCRIPT" "$@"

frame() { printf 'Content-Length: %s\r\n\r\n%s' "${#1}" "$1"; }
case $mode in
  dies) exit 1 ;;
  silent) exec cat >/dev/null ;;
  closed) exec >&- && exec cat ;;
  garbage)
    head -c 100000 /dev/urandom
    exec cat >/dev/null
    ;;
  half-frame)
    printf 'Content-Length: 1000\r\n\r\n{"jsonrpc":'
    exec cat >/dev/null
    ;;
  wrong-id)
    frame '{"jsonrpc":"2.0","id":999,"result":{"token":"a.b.c"}}'
    exec cat >/dev/null
    ;;
  waiting)
    frame '{"jsonrpc":"2.0","method":"waiting"}'
    sleep 2
    frame '{"jsonrpc":"2.0","id":1,"result":{}}'
    frame '{"jsonrpc":"2.0","id":2,"result":{"token":"a.b.c"}}'
    exec cat >/dev/null
    ;;
  no-token)
    frame '{"jsonrpc":"2.0","id":1,"result":{}}'
    frame '{"jsonrpc":"2.0","id":2,"result":{"token":"not a token"}}'
    exec cat >/dev/null
    ;;
  other-protocol)
    frame '{"jsonrpc":"2.0","id":1,"error":{"code":-32009,"message":"other","data":{"code":"ERR_DAEMON","hint":null}}}'
    frame '{"jsonrpc":"2.0","id":2,"result":{"token":"a.b.c"}}'
    exec cat >/dev/null
    ;;
esac
