#!/bin/sh
# A glm-token whose helper misbehaves as the first argument says; the rest are the usual arguments.
# Each start is one line in $GLM_FAKE_LOG. Other commands are the real program's, unless the mode is
# about them.
mode=$1
shift
echo "$1" >>"$GLM_FAKE_LOG"

frame() { printf 'Content-Length: %s\r\n\r\n%s' "${#1}" "$1"; }
answer_two() {
  first='{"jsonrpc":"2.0","id":2,"result":{"token":"a.b.first"}}'
  second='{"jsonrpc":"2.0","id":3,"result":{"token":"a.b.second"}}'
  frame '{"jsonrpc":"2.0","id":1,"result":{}}'
  sleep 0.8
  case $mode in
    *-together) printf %s "$(frame "$first" && frame "$second")" ;;
    *-first) frame "$first" && sleep 0.8 && frame "$second" ;;
    *-second) frame "$second" && sleep 0.8 && frame "$first" ;;
  esac
  cat >/dev/null
}
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
  closed) exec >&- && exec sleep 60 ;;
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
  waiting-dies)
    frame '{"jsonrpc":"2.0","method":"waiting"}'
    sleep 0.8
    exit 1
    ;;
  # Two requests wait, whose answers come together, or the first or the second one first.
  both-*) answer_two ;;
  # And the keychain asks meanwhile.
  waiting-*)
    frame '{"jsonrpc":"2.0","method":"waiting"}'
    answer_two
    ;;
  dies-late)
    sleep 0.6
    exit 1
    ;;
  answers-late)
    sleep 0.4
    frame '{"jsonrpc":"2.0","id":1,"result":{}}'
    frame '{"jsonrpc":"2.0","id":2,"result":{"token":"a.b.c"}}'
    cat >/dev/null
    ;;
  no-token)
    frame '{"jsonrpc":"2.0","id":1,"result":{}}'
    frame '{"jsonrpc":"2.0","id":2,"result":{"token":"not a token"}}'
    cat >/dev/null
    ;;
  other-protocol)
    frame '{"jsonrpc":"2.0","id":1,"error":{"code":-32009,"message":"other","data":{"code":"ERR_DAEMON","hint":null}}}'
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
