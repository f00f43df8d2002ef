#!/usr/bin/env bash
# Prints the path of an Emacs that can draw its own frame (x-export-frames, with cairo). On Debian and
# its like it is unpacked, with the fonts of the pictures, beside the installed one; elsewhere it is
# the installed one, if that can.
set -euo pipefail
cd "$(dirname "$0")/../.."
tree=$PWD/node_modules/.cache/glm-token/emacs-graphical

if [ ! -e /etc/debian_version ]; then
  can='(kill-emacs (if (fboundp (quote x-export-frames)) 0 1))'
  if ! emacs -Q --batch --eval "$can"; then
    echo 'pictures: they need an Emacs that was built with cairo' >&2
    exit 1
  fi
  command -v emacs
  exit
fi

if [ ! -e "$tree/emacs" ]; then
  echo 'pictures: fetching a graphical Emacs from Debian' >&2
  rm -rf "$tree"
  mkdir -p "$tree"
  (
    cd "$tree"
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
      --no-replaces --no-enhances emacs-lucid | grep -E '^(lib|xaw)' |
      grep -v elogind | sort -u >needed
    dpkg-query -W -f '${Package}\n' | sort -u >installed
    # shellcheck disable=SC2046
    apt-get download -qq -o APT::Sandbox::User= \
      emacs-lucid fonts-jetbrains-mono fonts-wqy-microhei $(comm -23 needed installed)
    for deb in *.deb; do dpkg -x "$deb" . && rm "$deb"; done
  )
  cat >"$tree/emacs" <<'EOF'
#!/bin/sh
# Runs the graphical Emacs with its libraries and fonts, which this machine may lack.
tree=$(cd "$(dirname "$0")" && pwd)
cat >"$tree/fonts.conf" <<FONTS
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>$tree/usr/share/fonts</dir>
  <cachedir>$tree/fonts-cache</cachedir>
</fontconfig>
FONTS
export FONTCONFIG_FILE="$tree/fonts.conf"
LD_LIBRARY_PATH=$(echo "$tree"/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH
exec "$tree/usr/bin/emacs-lucid" \
  --dump-file="$(echo "$tree"/usr/libexec/emacs/*/*/emacs*.pdmp)" "$@"
EOF
  chmod +x "$tree/emacs"
fi
echo "$tree/emacs"
