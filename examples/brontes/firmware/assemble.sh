#!/bin/sh
# usage: firmware/assemble.sh    makes firmware.hex; needs binutils-riscv64-unknown-elf (Debian)
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
riscv64-unknown-elf-as -march=rv32im_zicsr -mabi=ilp32 -mno-relax -o "$tmp/firmware.o" firmware.s
riscv64-unknown-elf-ld -m elf32lriscv --no-relax -Ttext=0 -o "$tmp/firmware.elf" "$tmp/firmware.o"
riscv64-unknown-elf-objcopy -O binary "$tmp/firmware.elf" "$tmp/firmware.bin"
truncate -s 8192 "$tmp/firmware.bin"
od -An -v -tx4 -w4 "$tmp/firmware.bin" | tr -d ' ' >firmware.hex
