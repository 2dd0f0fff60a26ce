//go:build linux

package samepath

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Probe tries in a scratch directory whether jobs can be given mounts of their own, and says why
// not: "" when they can. self is the argv of this binary in the executor's role.
func Probe(ctx context.Context, self []string, scratch string) string {
	if err := probe(ctx, self, scratch); err != nil {
		return err.Error()
	}
	return ""
}

func probe(ctx context.Context, self []string, scratch string) (err error) {
	dir, err := os.MkdirTemp(scratch, "probe-")
	if err != nil {
		return fmt.Errorf("unable to try: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p := &Place{plan: plan{Root: filepath.Join(dir, "there"), Workspace: filepath.Join(dir, "here")}}
	if err := errors.Join(os.Mkdir(p.plan.Root, 0o700), os.Mkdir(p.plan.Workspace, 0o700)); err != nil {
		return fmt.Errorf("unable to try: %w", err)
	}
	if p.binary, err = os.Open("/proc/self/exe"); err != nil {
		return fmt.Errorf("unable to try: %w", err)
	}
	defer p.binary.Close()
	return p.try(ctx, self)
}

// try makes the mounts in a process that then ends.
func (p *Place) try(ctx context.Context, self []string) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("unable to try: %w", err)
	}
	defer null.Close()
	w, err := p.Wrap(self, Step{}, &syscall.ProcAttr{Files: []uintptr{null.Fd(), null.Fd(), null.Fd()}})
	if err != nil {
		return err
	}
	defer w.Close()
	pid, err := syscall.ForkExec(w.File, w.Argv, w.Attr)
	if err != nil {
		return Refused(err)
	}
	err = w.Await(ctx.Done())
	if ctx.Err() != nil {
		unix.Kill(pid, unix.SIGKILL)
	}
	var status syscall.WaitStatus
	for {
		if _, werr := syscall.Wait4(pid, &status, 0, nil); werr != syscall.EINTR {
			return err
		}
	}
}

// Refused says in words that what Wrap returned could not be started.
func Refused(err error) error { return off("the host gives this user no namespace: %v", err) }
