//go:build failpoints && linux

package chaos

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The roles of a world's processes.
const (
	roleDaemon     = "daemon"
	roleSupervisor = "supervisor"
	roleLink       = "link"
	roleClient     = "client"
	roleJob        = "job"
	roleOther      = "other" // dial, sftp, login shells
)

// process is one of a world.
type process struct {
	pid  int
	role string
	job  string // of a supervisor, once it has its log open; of a job
}

// processes lists what runs in the world now, but for what is ending already.
func (w *world) processes() []process {
	names, _ := filepath.Glob("/proc/[0-9]*")
	var all []process
	for _, name := range names {
		pid, _ := strconv.Atoi(filepath.Base(name))
		if p, ok := w.look(name, pid); ok && pid != os.Getpid() {
			all = append(all, p)
		}
	}
	return all
}

// look tells what a process is to the world.
func (w *world) look(proc string, pid int) (process, bool) {
	line, err := os.ReadFile(proc + "/cmdline")
	if err != nil || len(line) == 0 {
		return process{}, false // a zombie, a thread of the kernel
	}
	env, _ := os.ReadFile(proc + "/environ")
	if !bytes.Contains(env, []byte(w.dir)) && !bytes.Contains(line, []byte(w.dir)) && !w.lives(proc) {
		return process{}, false
	}
	words := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	p := process{pid: pid, role: roleOther}
	verb := func(v string) bool { return slices.Contains(words, v) }
	_, after, marked := strings.Cut("\x00"+string(env), "\x00CYCLOPS_JOB=")
	program := filepath.Base(words[0])
	switch {
	case marked:
		p.role = roleJob
		p.job, _, _ = strings.Cut(after, "\x00")
	case program == "cyclopsd" && verb("serve"):
		p.role = roleDaemon
	case program == "cyclopsd" && verb("supervise"):
		p.role, p.job = roleSupervisor, w.supervised(proc)
	case program == "cyclops" && len(words) > 1 && words[1] == "link":
		p.role = roleLink
	case program == "cyclops" && len(words) > 1 && words[1] != "executor":
		p.role = roleClient
	}
	return p, true
}

// lives tells whether a process works in the world's directories, as a supervisor behind sshd does.
func (w *world) lives(proc string) bool {
	cwd, _ := os.Readlink(proc + "/cwd")
	return strings.HasPrefix(cwd, w.dir+"/")
}

// supervised tells by its open log whose supervisor a process is.
func (w *world) supervised(proc string) string {
	fds, _ := filepath.Glob(proc + "/fd/*")
	for _, fd := range fds {
		to, _ := os.Readlink(fd)
		if rest, ok := strings.CutPrefix(to, w.data.Jobs()+"/"); ok {
			id, _, _ := strings.Cut(rest, "/")
			return id
		}
	}
	return ""
}

// having returns the processes of a role.
func (w *world) having(role string) []process {
	return slices.DeleteFunc(w.processes(), func(p process) bool { return p.role != role })
}

// stopped tells whether a process is paused by a signal.
func stopped(pid int) bool {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	return len(fields) > 0 && fields[0][0] == 'T'
}
