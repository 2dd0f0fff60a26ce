#!/bin/bash
# usage: examples/suite.sh [KEEP_DIR]    builds GNU make and runs its own test suite twice, here and by
#        `cyclops run` on a host behind a real sshd, and compares what the suite says, line by line.
#        SOURCE=DIR takes make's source from there, else `apt-get source` gets it; where it cannot, nothing is
#        compared, which is an error in CI alone.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cyclops=$root/bin/cyclops
tmp=${1:-$(mktemp -d /tmp/suite.XXXXXX)}
mkdir -p "$tmp"
jobs=$(nproc)

clean() {
  [ -s "$tmp/sshd.pid" ] && kill "$(cat "$tmp/sshd.pid")" 2>/dev/null
  HOME=$tmp/home "$root/bin/cyclopsd" stop --data "$tmp/data" >/dev/null 2>&1
  [ -n "${1:-}" ] || rm -rf "$tmp"
}
trap 'clean "${1:-}"' EXIT

# The source, as Debian ships it: without what the autotools make.
source_of_make() {
  local apt=(-o "Dir::Etc::sourcelist=$tmp/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$tmp/lists" -o APT::Sandbox::User=root)
  # shellcheck source=/dev/null
  echo "deb-src http://deb.debian.org/debian $(. /etc/os-release && echo "$VERSION_CODENAME") main" >"$tmp/sources.list"
  mkdir -p "$tmp/lists/partial" "$tmp/src"
  (cd "$tmp/src" && apt-get -qq "${apt[@]}" update && apt-get -qq "${apt[@]}" --download-only source make-dfsg)
  dpkg-source --no-check -x "$tmp"/src/make-dfsg_*.dsc "$tmp/there" >/dev/null
}

if [ -n "${SOURCE:-}" ]; then
  cp -a "$SOURCE" "$tmp/there"
elif ! source_of_make; then
  echo "skipped: apt-get source does not bring make's source here; SOURCE=DIR takes it from DIR" >&2
  [ -z "${CI:-}" ]
  exit
fi
[ -x "$tmp/there/configure" ] || (cd "$tmp/there" && autoreconf -fi) >"$tmp/autoreconf.log" 2>&1 || { tail "$tmp/autoreconf.log" >&2; exit 1; }
cp -a "$tmp/there" "$tmp/here"

# The host: an sshd of its own on loopback, with keys of its own.
mkdir -p "$tmp/home/.config/cyclops" "$tmp/home/run" "$tmp/data/bin" /run/sshd
chmod 700 "$tmp/home/run"
ln -sf "$root/bin/cyclopsd" "$tmp/data/bin/current"
port=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport')
ssh-keygen -q -t ed25519 -N '' -f "$tmp/hostkey"
ssh-keygen -q -t ed25519 -N '' -f "$tmp/key"
printf '%s\n' "Port $port" "ListenAddress 127.0.0.1" "HostKey $tmp/hostkey" "PidFile $tmp/sshd.pid" "StrictModes no" \
  "AuthorizedKeysFile $tmp/key.pub" "UsePAM no" "PermitRootLogin yes" "Subsystem sftp internal-sftp" >"$tmp/sshd.conf"
"$(PATH=$PATH:/usr/sbin command -v sshd)" -f "$tmp/sshd.conf" -E "$tmp/sshd.log"
echo "[127.0.0.1]:$port $(cut -d' ' -f1,2 "$tmp/hostkey.pub")" >"$tmp/known_hosts"
printf '%s\n' "Host there" "  HostName 127.0.0.1" "  Port $port" "  User $(id -un)" "  IdentityFile $tmp/key" "  IdentitiesOnly yes" \
  "  IdentityAgent none" "  UserKnownHostsFile $tmp/known_hosts" >"$tmp/ssh_config"
printf 'host = "there"\n[hosts.there]\ndata = "%s"\n' "$tmp/data" >"$tmp/home/.config/cyclops/config.toml"

through() {
  HOME=$tmp/home XDG_RUNTIME_DIR=$tmp/home/run XDG_CONFIG_HOME=$tmp/home/.config XDG_STATE_HOME=$tmp/home/.state \
    XDG_CACHE_HOME=$tmp/home/.cache CYCLOPS_SSH_CONFIG=$tmp/ssh_config "$cyclops" run -C "$tmp/there" -- "$@"
}
locally() { (cd "$tmp/here" && "$@"); }

# suite HOW: configure, build and test; what the suite says goes to HOW.log
suite() {
  local start=$SECONDS
  "$1" ./configure --quiet CFLAGS=-O1 >"$tmp/$1.build" 2>&1 </dev/null
  "$1" make -s -j"$jobs" >>"$tmp/$1.build" 2>&1 </dev/null
  "$1" make -s check >"$tmp/$1.log" 2>&1 </dev/null && code=0 || code=$?
  echo "exit code $code" >>"$tmp/$1.log"
  printf '%-8s %4d s  %s\n' "$1" $((SECONDS - start)) "$(grep -E 'Tests? (in|Failed)|No Failures' "$tmp/$1.log" | tr '\n' ' ')"
}

suite locally
suite through

# What differs by nature: where the tree is.
said() { sed -e "s|$tmp/here|TREE|g" -e "s|$tmp/there|TREE|g" -e "s|$tmp/data/workspaces/[^/ ]*|TREE|g" "$tmp/$1.log"; }
if ! diff <(said locally) <(said through) >"$tmp/diff"; then
  cat "$tmp/diff"
  echo "the suite says something else through cyclops run" >&2
  exit 1
fi
echo "equal: $(grep -c ' ok ' "$tmp/through.log") categories, $(wc -l <"$tmp/through.log") lines"
