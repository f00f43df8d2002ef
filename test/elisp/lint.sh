#!/usr/bin/env bash
# Holds the Emacs side to what an archive asks: byte-compilation, checkdoc, check-declare and
# package-lint, all without a warning, in every Emacs that the tests use. Needs prepare.sh first.
set -euo pipefail
cd "$(dirname "$0")/../.."
settings=node_modules/.cache/glm-token/test-env.json
file=elisp/glm-gptel-auth.el
read_setting() { node -p "JSON.parse(fs.readFileSync('$settings')).$1.join('\n')"; }
mapfile -t load_path < <(read_setting elpa | sed 's/^/-L\n/')

# Emacs renames what it compiled onto its target, so that must be a file of our own.
compiled=$(mktemp --suffix=.elc)
trap 'rm -f "$compiled"' EXIT

fail() {
  echo "lint: $*" >&2
  exit 1
}
read_setting emacs | while read -r emacs; do
  version=$("$emacs" -Q --batch --eval '(princ emacs-version)')
  for with in '' gptel; do
    folders=(-L elisp)
    [ -z "$with" ] || folders+=("${load_path[@]}")
    "$emacs" -Q --batch "${folders[@]}" --eval '(setq byte-compile-error-on-warn t)' \
      --eval "(setq byte-compile-dest-file-function (lambda (_) \"$compiled\"))" \
      --eval "(unless (byte-compile-file \"$file\") (kill-emacs 1))" ||
      fail "byte-compilation in Emacs $version"
  done
  said=$("$emacs" -Q --batch --eval "(checkdoc-file \"$file\")" 2>&1)
  [ -z "$said" ] || fail "checkdoc in Emacs $version: $said"
  said=$("$emacs" -Q --batch "${load_path[@]}" --eval "(check-declare-file \"$file\")" 2>&1 |
    grep -i 'warning' || true)
  [ -z "$said" ] || fail "check-declare in Emacs $version: $said"
  "$emacs" -Q --batch "${load_path[@]}" --eval "(require 'package-lint)" \
    --eval '(setq native-comp-enable-subr-trampolines nil)' \
    --eval "(setq package-lint-batch-fail-on-warnings t)" \
    -f package-lint-batch-and-exit "$file" || fail "package-lint in Emacs $version"
  # Some Emacsen say that they can, and have no linker to do it with.
  can="(princ (ignore-errors (and (native-compile '(lambda () 1)) t)))"
  if [ "$("$emacs" -Q --batch --eval "$can" 2>/dev/null)" = t ]; then
    said=$("$emacs" -Q --batch -L elisp \
      --eval "(native-compile \"$file\" (make-temp-file \"glm\" nil \".eln\"))" 2>&1 |
      grep -iE 'warning|error' || true)
    [ -z "$said" ] || fail "native compilation in Emacs $version: $said"
    echo "lint: native compilation clean in Emacs $version"
  fi
  echo "lint: $file clean in Emacs $version"
done
