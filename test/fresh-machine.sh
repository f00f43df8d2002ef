#!/usr/bin/env bash
# Makes a Debian that has Node and nothing else, and runs the README's two commands there, in a clone
# of the commit: in mount and PID namespaces of their own, so that nothing of this machine is seen or
# changed, and nothing is left running.
#
#   test/fresh-machine.sh [--user] [--disk] SUITE [COMMAND]
#
# SUITE is bookworm, trixie …; COMMAND is a line of shell, to be run in place of the two. By default root
# runs it, from /root with mode 0700; with --user an ordinary user, who has a sudo that asks for no
# password. /tmp is in memory, with --disk on disk. It needs root and mmdebstrap.
#
# Registry, proxy, certificates and the like are those of this machine, from the configuration of npm
# and of apt; there they are in npm's global configuration and apt's.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  sed -n 's/^# \{0,1\}//; 2,/^$/p' "$0" >&2
  exit 2
}
fail() {
  echo "fresh-machine: $*" >&2
  exit 1
}

user=root disk=''
while [ $# -gt 0 ]; do
  case $1 in
    --user) user=somebody ;;
    --disk) disk=yes ;;
    -*) usage ;;
    *) break ;;
  esac
  shift
done
[ $# -ge 1 ] && [ $# -le 2 ] || usage
suite=$1
command=${2:-'npm ci && npm start && npm ci && npm test'}

[ "$(id -u)" = 0 ] || fail 'it needs root'
command -v mmdebstrap >/dev/null || fail 'it needs mmdebstrap (apt install mmdebstrap)'

work=$(mktemp -d)
root=$work/root
machine='' # What all of the machine ends with, once it runs.
end() {
  [ -z "$machine" ] || kill -KILL "$machine" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap end EXIT
trap 'exit 143' TERM INT HUP

# What apt needs to reach a mirror, from here and from there.
apt-config dump | grep -E '^Acquire::(Check-|ForceIPv|Retries|http|https)' >"$work/apt.conf" || true
mirror=$(
  {
    grep -hsE '^URIs:' /etc/apt/sources.list.d/*.sources | awk '{print $2}'
    grep -hsE '^deb ' /etc/apt/sources.list /etc/apt/sources.list.d/*.list |
      sed -E 's/^deb (\[[^]]*\] )?([^ ]+).*/\2/'
  } | grep -m 1 -E '/debian/?$' || true
)
echo "fresh-machine: making $suite" >&2
with=()
[ "$user" = root ] || with=(--include=sudo)
mmdebstrap --quiet --variant=minbase "${with[@]}" --aptopt="$work/apt.conf" "$suite" "$root" \
  ${mirror:+"deb $mirror $suite main"}
cp "$work/apt.conf" "$root/etc/apt/apt.conf.d/90network"
sed -nE 's/^Acquire::.*::CAInfo "(.*)";/\1/p' "$work/apt.conf" | while read -r file; do
  install -D -m 644 "$file" "$root$file"
done
cp --dereference /etc/resolv.conf /etc/hosts "$root/etc/"

# Node and npm, as this machine has them.
npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
install -D "$(node -p process.execPath)" "$root/usr/local/bin/node"
mkdir -p "$root/usr/local/lib/node_modules"
cp -a "$npm" "$root/usr/local/lib/node_modules/npm"
for name in npm npx; do
  ln -s "../lib/node_modules/npm/bin/$name-cli.js" "$root/usr/local/bin/$name"
done
env -u NODE_EXTRA_CA_CERTS chroot "$root" npm --version >/dev/null || fail "this machine's Node and npm do not run on $suite"

# npm's settings, from wherever npm has them here; certificates go along.
npmrc=$root/usr/local/etc/npmrc
mkdir -p "${npmrc%/*}"
for setting in registry proxy https-proxy noproxy strict-ssl cafile; do
  value=$(cd / && npm config get "$setting")
  case $value in '' | null | undefined) continue ;; esac
  if [ "$setting" = cafile ]; then
    install -D -m 644 "$value" "$root/usr/local/etc/ca.pem"
    value=/usr/local/etc/ca.pem
  fi
  echo "$setting=$value" >>"$npmrc"
done

if [ "$user" = root ]; then
  home=/root
else
  home=/home/$user
  chroot "$root" useradd --create-home --shell /bin/bash "$user"
  echo "$user ALL=(ALL) NOPASSWD: ALL" >"$root/etc/sudoers.d/$user"
fi
chmod 700 "$root$home"
place="$home/我的 代码/glm-token"
mkdir -p "$root${place%/*}"
git -c safe.directory='*' clone --quiet --no-hardlinks . "$root$place"
chroot "$root" chown -R "$user:" "$home"
commit=$(git -C "$root$place" -c safe.directory='*' rev-parse --short HEAD)

cat >"$root/usr/local/sbin/session" <<EOF
#!/bin/bash
# Sets up what a login has, and runs the command as the user.
umask 022
cd '$place'
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=$home USER=$user LOGNAME=$user SHELL=/bin/bash LANG=C.UTF-8 TERM=dumb
exec setpriv --reuid=$user --regid=$user --init-groups bash -c "\$1"
EOF
chmod 755 "$root/usr/local/sbin/session"

# Becomes the machine: its root is ours, with /proc, /dev and /tmp of its own.
# shellcheck disable=SC2016
enter='set -e
root=$1 disk=$2 command=$3
mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do
  touch "dev/$name"
  mount --bind "/dev/$name" "dev/$name"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for name in stdin stdout stderr; do ln -s "/proc/self/fd/$((n++))" "dev/$name"; done
mount -t tmpfs -o mode=1777 tmpfs dev/shm
[ "$disk" ] || mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p .old
pivot_root . .old
cd /
umount -l /.old
exec /usr/local/sbin/session "$command"'
echo "fresh-machine: $suite, commit $commit, as $user in $place, /tmp $([ "$disk" ] && echo 'on disk' || echo 'in memory'): $command" >&2
env -i n=0 PATH="$PATH" unshare --mount --pid --fork --kill-child bash -c "$enter" enter \
  "$root" "$disk" "$command" </dev/null &
machine=$!
status=0
wait "$machine" || status=$?
machine=''
exit "$status"
