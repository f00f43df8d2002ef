#!/bin/sh
# A glm-token whose helper misbehaves as the first argument says; the rest are the usual arguments.
# Each start is one line in $GLM_FAKE_LOG. Other commands are the real program's, unless the mode is
# about them.
mode=$1
shift
echo "$1" >>"$GLM_FAKE_LOG"

frame() { printf 'Content-Length: %s\r\n\r\n%s' "${#1}" "$1"; }
case $mode in
  print-*)
    [ "$1" = print ] || exit 1
    ;;
  *)
    [ "$1" = daemon ] || exec "$GLM_TEST_NODE" "$GLM_TEST_SCRIPT" "$@"
    ;;
esac
case $mode in
  dies) exit 1 ;;
  silent) cat >/dev/null ;;
  records) exec cat >>"$GLM_FAKE_LOG" ;;
  closed) exec >&- && exec cat ;;
  garbage)
    head -c 100000 /dev/urandom
    cat >/dev/null
    ;;
  half-frame)
    printf 'Content-Length: 1000\r\n\r\n{"jsonrpc":'
    cat >/dev/null
    ;;
  wrong-id)
    frame '{"jsonrpc":"2.0","id":999,"result":{"token":"a.b.c"}}'
    cat >/dev/null
    ;;
  waiting)
    frame '{"jsonrpc":"2.0","method":"waiting"}'
    sleep 0.8
    frame '{"jsonrpc":"2.0","id":1,"result":{}}'
    frame '{"jsonrpc":"2.0","id":2,"result":{"token":"a.b.c"}}'
    cat >/dev/null
    ;;
  two-answers)
    frame '{"jsonrpc":"2.0","id":1,"result":{}}'
    sleep 0.6
    printf %s "$(
      frame '{"jsonrpc":"2.0","id":2,"result":{"token":"a.b.first"}}'
      frame '{"jsonrpc":"2.0","id":3,"result":{"token":"a.b.second"}}'
    )"
    cat >/dev/null
    ;;
  no-token)
    frame '{"jsonrpc":"2.0","id":1,"result":{}}'
    frame '{"jsonrpc":"2.0","id":2,"result":{"token":"not a token"}}'
    cat >/dev/null
    ;;
  other-protocol)
    frame '{"jsonrpc":"2.0","id":1,"error":{"code":-32009,"message":"other","data":{"code":"ERR_DAEMON","hint":null}}}'
    frame '{"jsonrpc":"2.0","id":2,"result":{"token":"a.b.c"}}'
    cat >/dev/null
    ;;
  print-waiting)
    echo '{"schemaVersion":1,"waiting":true}' >&2
    sleep 2.2
    echo '{"schemaVersion":1,"token":"a.b.c"}'
    ;;
  print-warns)
    echo 'Warning: something that is not JSON' >&2
    echo '{"schemaVersion":1,"error":{"code":"ERR_STORE_LOCKED","message":"locked","hint":"open it"}}' >&2
    exit 6
    ;;
  print-crashes)
    echo 'Segmentation fault' >&2
    exit 139
    ;;
  print-no-token) echo 'not JSON' ;;
esac
