#!/bin/bash
# usage: docs/pictures/network.sh    makes network.svg: bin/cyclops as it runs in tmux while its network goes away and comes
#        back. Two network namespaces joined by a cable, an sshd in one, the screen in the other; needs root.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ "$(id -u)" != 0 ]; then
  echo "docs/pictures/network.svg stays as it is: a network of its own needs root" >&2
  exit 0
fi
tmp=$(mktemp -d /tmp/film.XXXXXX)
near=cyfn$$ far=cyff$$
tmux() { ip netns exec "$near" tmux -L "$near" -f /dev/null "$@"; }
clean() {
  tmux kill-server 2>/dev/null || true
  [ ! -s "$tmp/sshd.pid" ] || kill "$(cat "$tmp/sshd.pid")" || true
  HOME=$tmp CYCLOPS_DATA=$tmp/data bin/cyclops executor stop >/dev/null 2>&1 || true
  for name in $near $far; do
    # shellcheck disable=SC2046 # one word a process
    kill $(ip netns pids "$name") 2>/dev/null || true
    ip netns del "$name" || true
  done
  rm -rf "$tmp"
}
trap clean EXIT
"${GO:-go}" build -o "$tmp/pictures" ./docs/pictures

ip netns add "$near"
ip netns add "$far"
ip -n "$near" link add cable type veth peer name cable netns "$far"
ip -n "$near" addr add 10.77.0.1/24 dev cable
ip -n "$far" addr add 10.77.0.2/24 dev cable
for name in $near $far; do
  ip -n "$name" link set lo up
  ip -n "$name" link set cable up
done

mkdir -p /run/sshd "$tmp/data/bin" "$tmp/film" "$tmp/.config/cyclops" "$tmp/filter"
chmod 755 "$tmp"
ln -s "$PWD/bin/cyclopsd" "$tmp/data/bin/current"
ssh-keygen -q -t ed25519 -N '' -f "$tmp/hostkey"
ssh-keygen -q -t ed25519 -N '' -f "$tmp/key"
printf '%s\n' "ListenAddress 10.77.0.2" "HostKey $tmp/hostkey" "PidFile $tmp/sshd.pid" "StrictModes no" "UsePAM no" \
  "AuthorizedKeysFile $tmp/key.pub" "PermitRootLogin yes" "Subsystem sftp internal-sftp" >"$tmp/sshd.conf"
ip netns exec "$far" "$(PATH=$PATH:/usr/sbin command -v sshd)" -f "$tmp/sshd.conf" -E "$tmp/sshd.log"
echo "10.77.0.2 $(cut -d' ' -f1,2 "$tmp/hostkey.pub")" >"$tmp/known_hosts"
printf '%s\n' "Host lab" "  HostName 10.77.0.2" "  User $(id -un)" "  IdentityFile $tmp/key" "  IdentitiesOnly yes" "  IdentityAgent none" \
  "  UserKnownHostsFile $tmp/known_hosts" >"$tmp/ssh_config"
printf 'host = "lab"\n[hosts.lab]\ndata = "%s"\n' "$tmp/data" >"$tmp/.config/cyclops/config.toml"

# What runs there: a line of its clock twice a second, so that one sees what went on meanwhile.
cat >"$tmp/filter/regress.sh" <<'JOB'
#!/bin/sh
for n in $(seq -w 1 36); do
  echo "$(date +%T)  vector $n of 36  ok"
  sleep 0.5
done
echo "36 vectors, 0 differ" | tee result.txt
JOB
chmod +x "$tmp/filter/regress.sh"
printf 'name = "filter"\n' >"$tmp/filter/cyclops.toml"
cat >"$tmp/rc" <<RC
export HOME=$tmp XDG_RUNTIME_DIR= CYCLOPS_SSH_CONFIG=$tmp/ssh_config PATH=$PWD/bin:\$PATH TERM=tmux-256color
unset XDG_CONFIG_HOME XDG_STATE_HOME XDG_CACHE_HOME CYCLOPS_DATA CYCLOPS_HOST
cd $tmp/filter; git init -q .; cyclops run -- true; clear
PS1='\[\e[32m\]\$\[\e[0m\] '
RC

tmux new-session -d -s film -x 84 -y 22 bash --noprofile --rcfile "$tmp/rc" -i
until tmux capture-pane -p -t film | grep -q '^\$'; do sleep 0.1; done
start=$(date +%s%3N)
now() { echo $(($(date +%s%3N) - start)); }
caption() { echo "$(now) $*" >>"$tmp/film/captions"; }
tmux send-keys -t film -l "cyclops run -- ./regress.sh && cat result.txt"
sleep 0.6
tmux send-keys -t film Enter
caption '#b8bb26' 'network up'
last='' cut=0
while [ "$(now)" -lt 60000 ]; do
  at=$(now)
  screen=$(tmux capture-pane -ep -t film)
  if [ "$screen" != "$last" ]; then
    printf '%s\n' "$screen" >"$tmp/film/$at.screen"
    last=$screen
  fi
  if [ $cut = 0 ] && [ "$at" -gt 4500 ]; then
    cut=1
    ip -n "$near" link set cable down
    caption '#fb4934' 'network down'
  elif [ $cut = 1 ] && [ "$at" -gt 14500 ]; then
    cut=2
    ip -n "$near" link set cable up
    caption '#b8bb26' 'network up'
  fi
  [ "$(grep -c 'vectors, 0 differ' <<<"$screen")" -lt 2 ] || break
  sleep 0.08
done
[ "$(grep -c 'vectors, 0 differ' <<<"$screen")" -ge 2 ] || { echo "the run did not end: $screen" >&2; exit 1; }
if [ -n "${KEEP:-}" ]; then cp -r "$tmp/film" "$KEEP"; fi
"$tmp/pictures" -film "$tmp/film" -title 'the network goes away in the middle of a run' >docs/pictures/network.svg
