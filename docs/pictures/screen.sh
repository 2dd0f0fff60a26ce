#!/bin/bash
# usage: docs/pictures/screen.sh    makes screen-*.svg: each view of the screen, from bin/cyclops as it runs in tmux on two
#        hosts, this machine and one behind an sshd of its own
set -euo pipefail
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d /tmp/screen.XXXXXX)
server=cyclops-screen-$$
tmux() { command tmux -L "$server" -f /dev/null "$@"; }
clean() {
  tmux kill-server 2>/dev/null || true
  [ ! -s "$tmp/sshd.pid" ] || kill "$(cat "$tmp/sshd.pid")" || true
  for data in local lab; do # what runs there is this script's own, by the data directory
    printf '[hosts.local]\ndata = "%s"\n' "$tmp/$data" >"$tmp/.config/cyclops/config.toml"
    timeout 10 cyclops ps -H local -q --state running --state queued | xargs -r -n 1 printf 'local/%s\n' | xargs -r timeout 20 cyclops cancel >/dev/null || true
    CYCLOPS_DATA=$tmp/$data cyclops executor stop >/dev/null 2>&1 || true
  done
  sleep 1
  rm -rf "$tmp" || true
}
trap clean EXIT
export PATH=$PWD/bin:$PATH
"${GO:-go}" build -o "$tmp/pictures" ./docs/pictures

port=$((20000 + $$ % 20000))
mkdir -p /run/sshd "$tmp/lab/bin" "$tmp/local" "$tmp/.config/cyclops" "$tmp/blinky"
chmod 755 "$tmp"
ln -s "$PWD/bin/cyclopsd" "$tmp/lab/bin/current"
ssh-keygen -q -t ed25519 -N '' -f "$tmp/hostkey"
ssh-keygen -q -t ed25519 -N '' -f "$tmp/key"
printf '%s\n' "ListenAddress 127.0.0.1:$port" "HostKey $tmp/hostkey" "PidFile $tmp/sshd.pid" "StrictModes no" "UsePAM no" \
  "AuthorizedKeysFile $tmp/key.pub" "PermitRootLogin yes" "Subsystem sftp internal-sftp" "SetEnv HOME=$tmp SHLVL=2" >"$tmp/sshd.conf"
"$(PATH=$PATH:/usr/sbin command -v sshd)" -f "$tmp/sshd.conf" -E "$tmp/sshd.log"
echo "[127.0.0.1]:$port $(cut -d' ' -f1,2 "$tmp/hostkey.pub")" >"$tmp/known_hosts"
printf '%s\n' "Host lab" "  HostName 127.0.0.1" "  Port $port" "  User $(id -un)" "  IdentityFile $tmp/key" "  IdentitiesOnly yes" \
  "  IdentityAgent none" "  UserKnownHostsFile $tmp/known_hosts" >"$tmp/ssh_config"
printf 'host = "lab"\n[hosts.local]\ndata = "%s"\n[hosts.lab]\ndata = "%s"\n' "$tmp/local" "$tmp/lab" >"$tmp/.config/cyclops/config.toml"

export HOME=$tmp XDG_RUNTIME_DIR='' XDG_CONFIG_HOME='' XDG_STATE_HOME='' XDG_CACHE_HOME='' CYCLOPS_SSH_CONFIG=$tmp/ssh_config PATH=$PWD/bin:$PATH TERM=tmux-256color PS1='$ '
unset COLORTERM NO_COLOR TMUX
pictures=$PWD/docs/pictures

# picture NAME TITLE: draws what is on the screen
picture() { tmux capture-pane -epN | sed "s/$me/$ada/g" | "$tmp/pictures" -columns 110 -title "$2" >"$pictures/screen-$1.svg"; }

# Nobody's name belongs into a picture; another of the same width does.
me=$(id -un)@$(hostname) ada=$(printf "%-${#me}.${#me}s" ada@lab)

# see TEXT: waits until it is on the screen
see() {
  for _ in $(seq 300); do
    if tmux capture-pane -p | grep -qF -- "$1"; then return; fi
    sleep 0.1
  done
  echo "screen.sh: no \"$1\" on" >&2
  tmux capture-pane -p >&2
  exit 1
}
keys() { tmux send-keys "$@"; }
text() { tmux send-keys -l "$1"; }

cd "$tmp/blinky"
tmux new-session -d -x 110 -y 26 -c "$tmp/blinky" 'cyclops; sleep 1'
see 'To begin'
picture first 'cyclops, on the first day'

# A project with a history: steps as tools take them, with what they say.
cat >cyclops.toml <<'TOML'
name = "blinky"
host = "lab"
[outputs]
keep = ["build/**"]
[jobs.build]
steps = [
  { name = "synth", run = "mkdir -p build/reports; echo 'Info: reading top.v'; for n in $(seq 60); do echo \"Info: optimizing module m$n\"; done; echo 'WARNING: [Synth 8-3331] design has unconnected port led[3]'; sleep 1; cp top.v build/top.json" },
  { name = "route", run = "echo 'Info: placed 812 cells'; sleep 2; printf '\\033[32mInfo: router completed\\033[0m\\n'; echo 'Max frequency for clock clk: 48.21 MHz (PASS at 12.00 MHz)' | tee build/reports/timing.rpt; [ -f good ] || { echo 'ERROR: [Route 35-9] unroutable net led[3]' >&2; exit 1; }" },
  { name = "pack", run = "head -c 104090 top.v /dev/zero >build/top.bin; echo 'top.bin written'" },
]
TOML
echo 'module top(input clk, output led); endmodule' >top.v
git init -q . && git add . && git -c user.name=ada -c user.email=ada@example.org commit -qm 'Blink'
cyclops run build >/dev/null 2>&1 || true
touch good
cyclops run build >/dev/null 2>&1
echo '// slower' >>top.v
cyclops run build >/dev/null 2>&1
cyclops run -H local --name lint -- true
cyclops run -H local --name sim --isolated -- sh -c 'exit 2' || true
cyclops submit -H local --name soak --isolated -- sh -c 'for n in $(seq 900); do echo "$n vectors, 0 differ"; sleep 0.4; done' >/dev/null
cyclops submit --name regress --isolated -- sh -c 'for n in $(seq 900); do echo "seed $n passed"; sleep 0.5; done' >/dev/null
cyclops submit --name bench --isolated -- sleep 900 >/dev/null
cyclops submit --name cosim --isolated -- sleep 900 >/dev/null
see cosim
see ' 5s'
picture jobs 'cyclops'
keys f; text 'state:succeeded,fa'; sleep 0.5
picture filter 'f: a filter, completed as it is typed'
keys Escape; sleep 0.5; keys b
see 'grouped by host'
picture groups 'b: jobs by host'
keys b b; text ':'; text 'arti'; see 'its artifacts'
picture palette ': every action'
keys Escape; sleep 0.5
keys f; text 'state:failed name:build'; keys Enter; see 'filter: state:failed'; keys g Enter; see 'unroutable'; see 'snapshot'
picture job 'enter: a job'
keys t g e e; see '▸'; text '/'; text 'info'; keys Enter; see '/info'; keys n n T
sleep 0.7
picture log 't: its log'
keys q q; see WHAT; keys f C-u; text 'state:succeeded name:build'; keys Enter; see 'filter: state:succeeded'; keys g a; see timing.rpt; keys v; see 'match the manifest'
picture artifacts 'a: its artifacts, verified'; keys Escape; sleep 0.5
keys j j Enter; see 'Max frequency'
picture text 'enter: a report'
keys q; see STATE; keys j Enter; see '00000000'
picture hex 'enter: a binary'
keys q; see STATE
keys q; see WHAT; keys =; see 'changed ('
picture compare '=: against the build before'
keys q; see WHAT; keys 2 G; see 'lab'; sleep 0.5
picture hosts '2: the hosts'
keys d; see 'clock'
picture doctor 'd: doctor'
mkdir "$tmp/lab/workspaces/uart-1b2c3d4e" && head -c 48123456 /dev/zero >"$tmp/lab/workspaces/uart-1b2c3d4e/top.dcp"
keys q; sleep 0.3; keys C; see 'C frees it'; keys C; see '[y/N]'
picture clean 'C: what could be freed'
keys n; sleep 0.3; keys q; sleep 0.3; text '?'; see 'The keys of this place'
picture keys '?: the keys of a place'
keys q 1; see WHAT; keys Escape; sleep 0.5
# The host goes away: its sshd and what serves its connections.
pid=$(cat "$tmp/sshd.pid")
children=$(ps -o pid= --ppid "$pid")
kill "$pid" $children $(for c in $children; do ps -o pid= --ppid "$c"; done) 2>/dev/null || true
rm -f "$tmp/sshd.pid"
see '1 lost'
picture lost 'a host that does not answer'
