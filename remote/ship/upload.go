package ship

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/pkg/sftp"
	"golang.org/x/sync/errgroup"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

const (
	stripeSize  = 1 << 20 // bytes handed to one channel at a time
	perChannel  = 3       // stripes under way on one channel
	uploadPerm  = 0o600
	uploadFlags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
)

// Uploaded is a pack that lies in incoming/, not yet verified by the host.
type Uploaded struct {
	Name string // in incoming/, for Submit.Uploads
	Sum  manifest.Sum
	Size int64 // bytes
}

// Upload writes the pack into the directory incoming of the host, over all channels at once. Nothing waits for an
// acknowledgement: that is what makes a long line fast. sent, which may be nil, is told how many bytes of content are done.
func (p *Plan) Upload(ctx context.Context, incoming string, channels []*sftp.Client, sent func(done int64)) (Uploaded, error) {
	up := Uploaded{Name: manifest.NewID() + ".pack"}
	s, err := newStriper(ctx, path.Join(incoming, up.Name), channels)
	if err != nil {
		return up, err
	}
	up.Sum, up.Size, err = p.Write(ctx, s, sent)
	if err = s.close(err); err != nil {
		// What is half written counts for nothing; that it goes at once saves the host's sweep the work.
		_ = channels[0].Remove(path.Join(incoming, up.Name))
		return up, err
	}
	return up, nil
}

// striper cuts what is written to it into stripes that several channels write at their places in one file.
type striper struct {
	group *errgroup.Group
	ctx   context.Context
	work  chan stripe
	free  chan []byte
	files []*sftp.File
	buf   []byte
	at    int64
}

type stripe struct {
	data []byte
	at   int64
}

func newStriper(ctx context.Context, name string, channels []*sftp.Client) (*striper, error) {
	s := &striper{work: make(chan stripe), free: make(chan []byte, perChannel*len(channels)+1)}
	for i, c := range channels {
		flags := uploadFlags
		if i > 0 {
			flags = os.O_WRONLY
		}
		f, err := c.OpenFile(name, flags)
		if err == nil && i == 0 {
			err = f.Chmod(uploadPerm)
		}
		if err != nil {
			return nil, errors.Join(uploadFailed(name, err), s.closeFiles())
		}
		s.files = append(s.files, f)
	}
	s.group, s.ctx = errgroup.WithContext(ctx)
	for _, f := range s.files {
		for range perChannel {
			s.free <- nil
			s.group.Go(func() error { return s.send(f) })
		}
	}
	s.free <- nil
	return s, s.next()
}

func (s *striper) send(f *sftp.File) error {
	for st := range s.work {
		if _, err := f.WriteAt(st.data, st.at); err != nil {
			return uploadFailed(f.Name(), err)
		}
		s.free <- st.data[:0]
	}
	return nil
}

func uploadFailed(name string, err error) error {
	return fmt.Errorf("unable to upload %s: %w", path.Base(name), err)
}

// Write takes bytes in order.
func (s *striper) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n := min(len(p), stripeSize-len(s.buf))
		s.buf = append(s.buf, p[:n]...)
		p = p[n:]
		if len(s.buf) == stripeSize {
			if err := s.flush(); err != nil {
				return total - len(p), err
			}
		}
	}
	return total, nil
}

func (s *striper) flush() error {
	st := stripe{s.buf, s.at}
	s.at += int64(len(s.buf))
	select {
	case s.work <- st:
		return s.next()
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// next takes a buffer that no channel uses any more.
func (s *striper) next() error {
	select {
	case buf := <-s.free:
		if buf == nil {
			buf = make([]byte, 0, stripeSize)
		}
		s.buf = buf
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// close waits for every channel; the first failure of theirs or cause counts.
func (s *striper) close(cause error) error {
	if cause == nil && len(s.buf) > 0 {
		cause = s.flush()
	}
	close(s.work)
	err := s.group.Wait()
	if err == nil || cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	if closeErr := s.closeFiles(); err == nil && closeErr != nil {
		err = closeErr
	}
	return explainUpload(err)
}

func (s *striper) closeFiles() error {
	var all error
	for _, f := range s.files {
		all = errors.Join(all, f.Close())
	}
	return all
}

// explainUpload tells a full disk, which SFTP has no word for in its third version, by what servers write.
func explainUpload(err error) error {
	var status *sftp.StatusError
	if errors.Is(err, io.ErrShortWrite) || errors.As(err, &status) && status.FxCode() == sftp.ErrSSHFxFailure {
		return api.Errorf(api.NoSpace, "see that the host's disk and your quota have room, then run it again", "the host could not store the pack: %w", err)
	}
	return err
}
