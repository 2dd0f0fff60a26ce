//go:build linux

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/creack/pty"
)

// A package that looks at the terminal while it is initialised slows every verb.
func TestStartAsksNeitherTerminalNorTmux(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	asked := filepath.Join(dir, "asked")
	if err := os.WriteFile(filepath.Join(dir, "tmux"), []byte("#!/bin/sh\necho \"$@\" >>"+asked+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "cyclops")
	goCommand(t, "build", "-o", binary, "./cli/cyclops")
	cmd := exec.Command(binary, "version")
	cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "HOME=" + dir, "TERM=tmux-256color", "TMUX=/tmp/none,1,0"}
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if what, err := os.ReadFile(asked); err == nil {
		t.Errorf("it ran tmux %s", what)
	}
}
