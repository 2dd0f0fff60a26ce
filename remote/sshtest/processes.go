//go:build linux

package sshtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func pids() []int {
	names, _ := filepath.Glob("/proc/[0-9]*")
	var list []int
	for _, name := range names {
		if pid, err := strconv.Atoi(filepath.Base(name)); err == nil {
			list = append(list, pid)
		}
	}
	return list
}

// serving lists sshd's processes below pid, one or two for each connection. What they run is not
// among them: a line that fails takes no process of the host with it.
func serving(pid int) []int {
	parents := map[int]int{}
	for _, p := range pids() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			continue
		}
		head, rest, _ := bytes.Cut(stat, []byte(") "))
		if !bytes.Contains(head, []byte(" (sshd")) {
			continue
		}
		if f := strings.Fields(string(rest)); len(f) > 1 {
			parents[p], _ = strconv.Atoi(f[1])
		}
	}
	return below(parents, pid)
}

func below(parents map[int]int, pid int) []int {
	var list []int
	for child, parent := range parents {
		if parent == pid {
			list = append(append(list, child), below(parents, child)...)
		}
	}
	return list
}

// killHome ends the processes that have home as theirs.
func killHome(home string) {
	mark := []byte("HOME=" + home)
	for _, p := range pids() {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p))
		if err != nil || p == os.Getpid() {
			continue
		}
		for v := range bytes.SplitSeq(env, []byte{0}) {
			if bytes.Equal(v, mark) {
				_ = syscall.Kill(p, syscall.SIGKILL)
			}
		}
	}
}
