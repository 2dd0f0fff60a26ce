package carry

import (
	"context"
	"errors"
	"os"
	"sync"

	"github.com/pkg/sftp"
)

// ErrGone says that a file which was being written is no longer on the host.
var ErrGone = errors.New("it was removed on the host while it was sent")

// File is a file on the host that outlives the lines it is reached by. It may be used from several
// goroutines.
type File struct {
	c    *Channels
	ctx  context.Context // ends what is under way; a reader has no other way to be told
	name string
	slot int
	make bool // it is written

	window *window
	mu     sync.Mutex
	made   bool // the host has acknowledged it
	at     *channel
	handle *sftp.File
}

// Open opens a file for reading. ctx is good for all that is read.
func (c *Channels) Open(ctx context.Context, name string) (*File, error) {
	f := &File{c: c, ctx: ctx, name: name, slot: c.slot()}
	return f.begin()
}

// Create makes a file that nobody else may read, under a name that nothing has, for writing over
// one channel with at most limit writes under way. ctx is good for all of it.
func (c *Channels) Create(ctx context.Context, name string, limit int) (*File, error) {
	f := &File{c: c, ctx: ctx, name: name, slot: c.slot(), make: true, window: newWindow(limit)}
	return f.begin()
}

// Beside opens the same file once more, over another channel.
func (f *File) Beside() (*File, error) {
	g := &File{c: f.c, ctx: f.ctx, name: f.name, slot: f.c.slot(), make: true, made: true, window: newWindow(f.window.limit)}
	return g.begin()
}

func (f *File) begin() (*File, error) {
	if err := f.persist(nil); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *File) persist(work func(*sftp.File) error) error {
	return f.c.patience.Do(f.ctx, func(ctx context.Context) error { return f.with(ctx, work) })
}

func (f *File) with(ctx context.Context, work func(*sftp.File) error) error {
	return f.c.with(ctx, f.slot, func(ch *channel) error {
		h, err := f.on(ch)
		if err != nil || work == nil {
			return err
		}
		return work(h)
	})
}

// on returns the handle on a channel, where it opens the file unless it has.
func (f *File) on(ch *channel) (*sftp.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at == ch {
		return f.handle, nil
	}
	h, err := f.open(ch.client)
	if err != nil {
		return nil, err
	}
	f.at, f.handle = ch, h
	return h, nil
}

func (f *File) open(client *sftp.Client) (*sftp.File, error) {
	switch {
	case !f.make:
		return client.Open(f.name)
	case f.made:
		h, err := client.OpenFile(f.name, os.O_WRONLY)
		if errors.Is(err, os.ErrNotExist) {
			err = &goneError{err}
		}
		return h, err
	}
	// Not O_EXCL: the line may have broken between the making and its acknowledgement.
	h, err := client.OpenFile(f.name, os.O_WRONLY|os.O_CREATE)
	if err == nil {
		err = h.Chmod(0o600)
	}
	f.made = err == nil
	return h, err
}

// goneError is ErrGone that keeps what the host said.
type goneError struct{ error }

func (e *goneError) Is(target error) bool { return target == ErrGone }
func (e *goneError) Unwrap() error        { return e.error }

// ReadAt reads as io.ReaderAt does. What came before a line broke is not read again.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	err := f.persist(func(h *sftp.File) error {
		n, err := h.ReadAt(p[done:], off+int64(done))
		done += n
		if n > 0 && done < len(p) {
			f.c.heard()
		}
		if done == len(p) {
			return nil
		}
		return err
	})
	return done, err
}

// WriteAt writes as io.WriterAt does. It returns when the host has acknowledged all of p.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	err := f.c.patience.Do(f.ctx, func(ctx context.Context) error {
		if err := f.window.enter(ctx); err != nil {
			return err
		}
		err := f.with(ctx, func(h *sftp.File) error {
			_, err := h.WriteAt(p, off)
			return err
		})
		f.window.leave(err == nil)
		return err
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close gives the file up. A failure to close what was written is returned; one of the line is not,
// for all that was acknowledged stays.
func (f *File) Close() error {
	f.c.release(f.slot)
	f.mu.Lock()
	ch, h := f.at, f.handle
	f.at, f.handle = nil, nil
	f.mu.Unlock()
	if h == nil || ch.line.isCut() {
		return nil
	}
	if !f.make {
		// Nobody waits for the answer: on a long line that would be a third of a small file's time.
		f.c.tasks.Go(func() { _ = h.Close() })
		return nil
	}
	stop := context.AfterFunc(f.ctx, ch.line.cut)
	defer stop()
	err := h.Close()
	if ch.line.isCut() {
		return nil
	}
	return err
}
