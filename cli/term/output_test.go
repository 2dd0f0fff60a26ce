//go:build linux

package term

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	xterm "golang.org/x/term"
)

// ends are what an Output may write to, each with its other end.
var ends = map[string]func(t *testing.T) (near, far *os.File){
	"pipe": func(t *testing.T) (near, far *os.File) {
		far, near, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		return near, far
	},
	"terminal": func(t *testing.T) (near, far *os.File) {
		far, near, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := xterm.MakeRaw(int(near.Fd())); err != nil { // it would make \r\n of \n
			t.Fatal(err)
		}
		return near, far
	},
	"socket": func(t *testing.T) (near, far *os.File) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		return os.NewFile(uintptr(fds[0]), "near"), os.NewFile(uintptr(fds[1]), "far")
	},
}

// An Output that nobody reads is left when it is stopped, and says how much was taken. It changes
// nothing for others that have the file.
func TestOutputThatNobodyReads(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789\n"), 200_000)
	for name, open := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := open(t)
			defer near.Close()
			defer far.Close()
			o := NewOutput(near)
			if n, err := o.Write([]byte("first\n")); n != 6 || err != nil {
				t.Fatal(n, err)
			}
			time.AfterFunc(50*time.Millisecond, o.Stop)
			n, err := o.Write(data)
			if !errors.Is(err, errGivenUp) || n == len(data) {
				t.Fatalf("%d bytes, %v", n, err)
			}
			if flags, err := unix.FcntlInt(near.Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
				t.Errorf("flags %x, %v", flags, err)
			}
			got := make([]byte, 6+n)
			if _, err := io.ReadFull(far, got); err != nil || string(got) != "first\n"+string(data[:n]) {
				t.Errorf("not the beginning of what was written, %v", err)
			}
			if _, err := o.Write([]byte("last")); o.own != nil && err != nil {
				t.Errorf("there is room again: %v", err)
			}
			o.Stop()
		})
	}
}

// While somebody reads, however slowly, all of it arrives.
func TestOutputThatIsRead(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789\n"), 100_000)
	for name, open := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := open(t)
			defer far.Close()
			o := NewOutput(near)
			wrote := make(chan error, 1)
			go func() {
				defer near.Close()
				_, err := o.Write(data)
				wrote <- err
			}()
			got := make([]byte, len(data))
			for at := 0; at < len(got); {
				n, err := far.Read(got[at:min(len(got), at+100_000)])
				if err != nil {
					t.Fatal(err)
				}
				at += n
			}
			if err := <-wrote; err != nil || !bytes.Equal(got, data) {
				t.Errorf("not what was written, %v", err)
			}
		})
	}
}

// A reader that is gone is told as the file itself would.
func TestOutputOfBrokenPipe(t *testing.T) {
	t.Parallel()
	near, far := ends["pipe"](t)
	defer near.Close()
	o := NewOutput(near)
	_, _ = o.Write([]byte("a"))
	far.Close()
	if _, err := o.Write([]byte("b")); !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
}
