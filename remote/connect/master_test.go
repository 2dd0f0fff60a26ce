//go:build linux

package connect

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// ownMasterOf connects to s by OpenSSH, with its socket in the directory that it returns.
func ownMasterOf(t *testing.T, s *sshtest.Server) (*wired, string) {
	t.Helper()
	dir := filepath.Join(s.Dir, "r")
	w, err := byOpenSSH(t.Context(), s.ConfigFile, s.Name, dir)
	if err != nil {
		t.Fatal(err)
	}
	return w, dir
}

func byOpenSSH(ctx context.Context, cfg, name, dir string) (*wired, error) {
	d := &dialer{name: name, resolver: hosts.Resolver{File: cfg}, runtime: dir}
	return d.master(ctx, hosts.Destination{Host: name}, true)
}

// holdMaster is a process that has a master of its own until it is killed.
func holdMaster(cfg, name, dir string) int {
	if _, err := byOpenSSH(context.Background(), cfg, name, dir); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("connected")
	select {}
}

func TestOpenSSHConnectsWhereOurClientCannot(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	w, dir := ownMasterOf(t, s)
	session, err := w.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := session.Output("echo by ssh"); err != nil || string(out) != "by ssh\n" {
		t.Errorf("%q, %v", out, err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if list, _ := filepath.Glob(filepath.Join(dir, "*")); len(list) > 0 {
		t.Errorf("left %v", list)
	}
}

// What the user has ssh do once it is connected is not for a line that nobody asked for, and must
// not keep Cyclops from hearing that there is one.
func TestOwnMasterDespiteALocalCommand(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	cfg := s.Config("local", "PermitLocalCommand no", "LocalCommand echo hello", "ControlMaster auto", "ControlPersist 60")
	w, err := byOpenSSH(t.Context(), cfg, s.Name, filepath.Join(s.Dir, "r"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// A link that is killed must not leave a line to the host behind that nobody uses.
func TestOwnMasterEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	dir := filepath.Join(s.Dir, "r")
	holder := exec.Command(os.Args[0], "master", s.ConfigFile, s.Name, dir)
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "connected\n" {
		t.Errorf("said %q", line)
	}
	pids := mastersIn(t, dir)
	if len(pids) != 1 {
		t.Errorf("%d masters", len(pids))
	}
	_ = holder.Process.Kill()
	_ = holder.Wait()
	for start := time.Now(); len(mastersIn(t, dir)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			for _, pid := range pids {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			t.Fatal("the master lives on")
		}
	}
	if list, _ := filepath.Glob(filepath.Join(dir, "m-*")); len(list) > 0 {
		t.Errorf("left %v", list)
	}
}

// mastersIn lists the processes of ssh whose sockets are in dir.
func mastersIn(t *testing.T, dir string) (pids []int) {
	t.Helper()
	list, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range list {
		text, _ := os.ReadFile(name)
		pid := 0
		if strings.HasPrefix(string(text), "ssh") && strings.Contains(string(text), dir+"/m-") {
			_, _ = fmt.Sscanf(name, "/proc/%d/", &pid)
			pids = append(pids, pid)
		}
	}
	return pids
}

// A master that does not listen to anybody must not hold up whoever is done with it.
func TestStoppedOwnMasterIsLeft(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t, sshtest.Options{})
	w, dir := ownMasterOf(t, s)
	for _, pid := range mastersIn(t, dir) {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	_ = w.Close()
	if took := time.Since(start); took > masterLeaves+3*time.Second || len(mastersIn(t, dir)) > 0 {
		t.Errorf("closed after %v, %d masters", took, len(mastersIn(t, dir)))
	}
}
