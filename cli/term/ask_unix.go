//go:build unix

package term

import (
	"context"
	"os"

	"golang.org/x/sys/unix"
)

// ReadLine reads the answer to a question from the terminal f. When ctx ends first, nobody reads
// f any more and it echoes again: what is typed then is somebody else's.
func ReadLine(ctx context.Context, f *os.File, echo bool) (string, error) {
	in, err := NewInput(f)
	if err != nil {
		return "", err
	}
	defer in.Close()
	stop := context.AfterFunc(ctx, in.Stop)
	defer func() {
		if stop() {
			in.Stop()
		}
	}()
	if !echo {
		restore, err := hide(f)
		if err != nil {
			return "", err
		}
		defer restore()
	}
	line, err := readLine(in)
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return line, err
}

// hide has the terminal give whole lines without showing them, until restore.
func hide(f *os.File) (restore func(), err error) {
	before, err := settingsOf(f)
	if err != nil {
		return nil, err
	}
	set := before
	set.Lflag |= unix.ICANON | unix.ISIG
	set.Lflag &^= unix.ECHO
	set.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(int(f.Fd()), setSettings, &set); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(int(f.Fd()), setSettings, &before) }, nil
}
