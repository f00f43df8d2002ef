#!/usr/bin/env bash
# Checks the Emacs files as a package archive does: byte-compilation, checkdoc, check-declare and
# package-lint, all without a warning, in every Emacs that the tests use. Needs `npm test` first,
# which finds out what there is.
set -euo pipefail
cd "$(dirname "$0")/../.."
settings=node_modules/.cache/glm-token/test-env.json
main=elisp/glm-gptel-auth.el
files=(elisp/*.el)
read_setting() { node -p "JSON.parse(fs.readFileSync('$settings')).$1.join('\n')"; }
mapfile -t load_path < <(read_setting elpa | sed 's/^/-L\n/')

# Emacs renames what it compiled onto its target, so that must be a file of our own.
compiled=$(mktemp --suffix=.elc)
trap 'rm -f "$compiled"' EXIT

fail() {
  echo "lint: $*" >&2
  exit 1
}
# Fails with what a check printed, if it printed anything.
must_be_silent() { # CHECK OUTPUT
  [ -z "$2" ] || fail "$1: $2"
}

check_file() { # EMACS VERSION FILE
  local emacs=$1 version=$2 file=$3 with folders
  for with in '' gptel; do
    folders=(-L elisp)
    [ -z "$with" ] || folders+=("${load_path[@]}")
    "$emacs" -Q --batch "${folders[@]}" --eval '(setq byte-compile-error-on-warn t)' \
      --eval "(setq byte-compile-dest-file-function (lambda (_) \"$compiled\"))" \
      --eval "(unless (byte-compile-file \"$file\") (kill-emacs 1))" ||
      fail "byte-compilation of $file in Emacs $version"
  done
  must_be_silent "checkdoc in Emacs $version" \
    "$("$emacs" -Q --batch --eval "(checkdoc-file \"$file\")" 2>&1)"
  must_be_silent "check-declare in Emacs $version" \
    "$("$emacs" -Q --batch -L elisp "${load_path[@]}" --eval "(check-declare-file \"$file\")" 2>&1 |
      grep -i 'warning' || true)"
}

check_package() { # EMACS VERSION
  local found
  found=$("$1" -Q --batch -L elisp "${load_path[@]}" --eval "(require 'package-lint)" \
    --eval '(setq native-comp-enable-subr-trampolines nil)' \
    --eval "(setq package-lint-main-file \"$main\")" \
    --eval "(setq package-lint-batch-fail-on-warnings t)" \
    -f package-lint-batch-and-exit "${files[@]}" 2>&1 | grep -v '^Entering directory' || true)
  # The project has no address yet: that one finding stands, and is said. test/repository.test.ts
  # sees to it that the header comes with the address.
  if ! grep -q '^;; URL:' "$main"; then
    echo "lint: package-lint in Emacs $2 finds ${found:-nothing}"
    [ "$found" = "${main##*/}:1:0: error: Package should have a Homepage or URL header." ] ||
      fail "package-lint in Emacs $2: another finding than the missing URL"
  else
    must_be_silent "package-lint in Emacs $2" "$found"
  fi
}

check_native() { # EMACS VERSION
  # Some Emacsen say that they can compile natively, but have no linker for it.
  local can="(princ (ignore-errors (and (native-compile '(lambda () 1)) t)))" file
  [ "$("$1" -Q --batch --eval "$can" 2>/dev/null)" = t ] || return 0
  for file in "${files[@]}"; do
    must_be_silent "native compilation in Emacs $2" \
      "$("$1" -Q --batch -L elisp \
        --eval "(native-compile \"$file\" (make-temp-file \"glm\" nil \".eln\"))" 2>&1 |
        grep -iE 'warning|error' || true)"
  done
  echo "lint: native compilation clean in Emacs $2"
}

read_setting emacs | while read -r emacs; do
  version=$("$emacs" -Q --batch --eval '(princ emacs-version)')
  for file in "${files[@]}"; do check_file "$emacs" "$version" "$file"; done
  check_package "$emacs" "$version"
  check_native "$emacs" "$version"
  echo "lint: ${#files[@]} files clean in Emacs $version"
done
