#!/bin/bash
# usage: docs/pictures/make.sh    makes the pictures of the documentation from bin/cyclops as it runs in tmux
set -euo pipefail
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
server=cyclops-pictures-$$
tmux() { command tmux -L "$server" -f /dev/null "$@"; }
clean() {
  tmux kill-server 2>/dev/null || true
  HOME=$tmp CYCLOPS_DATA=$tmp/data bin/cyclops executor stop >/dev/null 2>&1 || true
  rm -rf "$tmp"
}
trap clean EXIT
"${GO:-go}" build -o "$tmp/pictures" ./docs/pictures
cp -r examples/brontes "$tmp/brontes"

# The shell of the picture: a plain prompt, a home of its own, nothing of this machine on the screen.
cat >"$tmp/rc" <<RC
export HOME=$tmp XDG_RUNTIME_DIR= CYCLOPS_DATA=$tmp/data PATH=$PWD/bin:\$PATH TERM=tmux-256color
cd $tmp/brontes; git init -q .; clear
PS1='\[\e[32m\]\$\[\e[0m\] '
RC

# picture NAME TITLE ROWS COMMAND…: types the commands one after another and draws the screen after the last
picture() {
  local name=$1 title=$2 rows=$3
  shift 3
  tmux new-session -d -s "$name" -x 100 -y "$rows" bash --noprofile --rcfile "$tmp/rc" -i
  for command; do
    tmux send-keys -t "$name" -l "$command; tmux -L $server wait-for -S $name"
    tmux send-keys -t "$name" Enter
    tmux wait-for "$name"
  done
  tmux capture-pane -ep -t "$name" | sed "s/; tmux -L $server wait-for -S $name//" |
    "$tmp/pictures" -title "$title" >"docs/pictures/$name.svg"
  tmux kill-session -t "$name"
}

picture run 'cyclops run build' 36 'cyclops run build' 'cyclops ps --all' 'ls build'
