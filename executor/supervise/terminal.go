//go:build linux

package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// The size of a terminal whose client does not know it.
const (
	defaultRows = 24
	defaultCols = 80
)

// terminal is the pseudo-terminal of a job. One serves all steps, as in a shell script. Each step
// is the leader of a session of its own on it, so that its group is an orphan to which Ctrl-Z does
// nothing: there is no shell behind it that could let it go on. When such a leader ends Linux
// hangs up every terminal but pseudo ones: those keep what was written, and our own descriptor of
// the slave keeps the kernel from telling the end of file before all of it was read.
type terminal struct {
	slave  *os.File
	theirs int // of slave, given to every step. Asking slave for it again would make it block again

	mu     sync.Mutex // guards the closing of master against its uses
	master *os.File
	fd     int // of master, which does not block; -1: closed
}

// openTerminal makes the terminal that t asks for.
func openTerminal(t *manifest.Terminal) (*terminal, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("unable to give the job a terminal: %w (run -T goes without)", err)
	}
	p := &terminal{slave: slave, theirs: int(slave.Fd()), master: master, fd: int(master.Fd())}
	// A program is not used to EAGAIN from its terminal.
	if err := errors.Join(unix.SetNonblock(p.fd, true), unix.SetNonblock(p.theirs, false)); err != nil {
		return nil, errors.Join(fmt.Errorf("unable to give the job a terminal: %w", err), p.close())
	}
	p.resize(t.Rows, t.Cols)
	return p, nil
}

// resize sets the size, of which the kernel tells the foreground. What is no size is the default.
func (p *terminal) resize(rows, cols int) {
	if rows <= 0 || cols <= 0 {
		rows, cols = defaultRows, defaultCols
	}
	size := &unix.Winsize{Row: uint16(min(rows, math.MaxUint16)), Col: uint16(min(cols, math.MaxUint16))}
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = unix.IoctlSetWinsize(p.fd, unix.TIOCSWINSZ, size) // it fails when the terminal is gone
}

// foreground returns the process group that the terminal's keys go to; 0: there is none.
func (p *terminal) foreground() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	group, err := unix.IoctlGetUint32(p.fd, unix.TIOCGPGRP)
	if err != nil {
		return 0
	}
	return int(group)
}

// writer returns another descriptor of the master, which closes apart.
func (p *terminal) writer() (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(p.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("unable to write to the job's terminal: %w", err)
	}
	return os.NewFile(uintptr(fd), "terminal"), nil
}

// endKeys returns what ends the input for whoever reads whole lines: the key for it, and that
// once more where it would only pass on a line that was begun. A program that reads single keys
// would take it for one, so it gets none.
func (p *terminal) endKeys(begun bool) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	mode, err := unix.IoctlGetTermios(p.fd, unix.TCGETS)
	if err != nil || mode.Lflag&unix.ICANON == 0 || mode.Cc[unix.VEOF] == 0 {
		return nil
	}
	key := mode.Cc[unix.VEOF : unix.VEOF+1]
	if begun {
		return bytes.Repeat(key, 2)
	}
	return bytes.Clone(key)
}

// endInput ends the input once more, for a step that comes behind the one which took the end.
func (p *terminal) endInput() {
	keys := p.endKeys(false)
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = unix.Write(p.fd, keys)
}

// read fills buf with what is there to read now. The terminal gives it in pieces of 4 KiB. It needs
// no lock: whoever reads is waited for before the terminal is closed.
func (p *terminal) read(buf []byte) int {
	n := 0
	for n < len(buf) {
		got, err := unix.Read(p.fd, buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || got <= 0 {
			break
		}
		n += got
	}
	return n
}

// print writes to the terminal as the job does. Output that Ctrl-S holds goes on: to hold it once
// more is what allows to let it go.
func (p *terminal) print(message string) error {
	_ = unix.IoctlSetInt(p.theirs, unix.TCXONC, unix.TCOOFF)
	_ = unix.IoctlSetInt(p.theirs, unix.TCXONC, unix.TCOON)
	for b := []byte(message); len(b) > 0; {
		n, err := unix.Write(p.theirs, b)
		if err != nil && err != unix.EINTR {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

func (p *terminal) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fd = -1
	return errors.Join(p.slave.Close(), p.master.Close())
}

// giveTerminal opens the terminal that the job asks for, if any. Where none can be had the job
// ends before its command runs, and says why.
func (s *supervisor) giveTerminal(open func(*manifest.Terminal) (*terminal, error)) {
	want := s.job.Terminal
	if want == nil {
		return
	}
	if s.term, s.noTerm = open(want); s.noTerm != nil {
		s.record.Terminal = false
		return
	}
	s.group.term = s.term
	if want.Rows <= 0 || want.Cols <= 0 {
		s.warn(fmt.Sprintf("the size of the terminal is not known: the job sees %d lines of %d columns", defaultRows, defaultCols))
	}
}

// resize obeys a client whose terminal has another size now.
func (s *supervisor) resize(size api.Resize) {
	if s.term != nil && size.Rows > 0 && size.Cols > 0 {
		s.term.resize(size.Rows, size.Cols)
	}
}

// warn tells people of what is not as they asked for, while the job goes on.
func (s *supervisor) warn(line string) {
	s.board.update(func(info *api.JobInfo) {
		info.Warnings = append(info.Warnings[:len(info.Warnings):len(info.Warnings)], line)
	})
}
