#!/bin/sh
# usage: examples/demo.sh    a real FPGA flow on the host `local`, as a user would run it
set -eu
cd "$(dirname "$0")/.."
"${GO:-go}" build -o bin/cyclops ./cli/cyclops
PATH=$PWD/bin:$PATH
cd examples/brontes

say() {
  printf '\n$ %s\n' "$*"
  "$@"
}

say cyclops run build
say ls -l build
say cat build/utilisation.rpt
say cyclops manifest show @1
