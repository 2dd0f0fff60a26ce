package ship

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/sync/errgroup"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/remote/carry"
)

const (
	stripeSize = 64 << 10 // bytes that are acknowledged, and after a break sent again, together
	perChannel = 48       // stripes under way on one channel
	beginnings = 3        // how often an upload that vanishes on the host is begun
	farewell   = 2 * time.Second
)

// Uploaded is a pack that lies in incoming/, not yet verified by the host.
type Uploaded struct {
	Name string // in incoming/, for Submit.Uploads
	Sum  manifest.Sum
	Size int64 // bytes
}

// Upload writes the pack into the directory incoming of the host, over all channels at once. Nothing waits for an
// acknowledgement: that is what makes a long line fast. When the line breaks, what was not acknowledged is sent again
// and the rest goes on from there. sent, which may be nil, is told how many bytes of content are done.
func (p *Plan) Upload(ctx context.Context, incoming string, channels *carry.Channels, sent func(done int64)) (up Uploaded, err error) {
	for range beginnings {
		up, err = p.upload(ctx, incoming, channels, sent)
		if !errors.Is(err, carry.ErrGone) {
			break
		}
	}
	return up, explainUpload(err)
}

func (p *Plan) upload(ctx context.Context, incoming string, channels *carry.Channels, sent func(done int64)) (Uploaded, error) {
	up := Uploaded{Name: manifest.NewID() + ".pack"}
	name := path.Join(incoming, up.Name)
	s, err := newStriper(ctx, name, channels)
	if err != nil {
		return up, uploadFailed(up.Name, err)
	}
	up.Sum, up.Size, err = p.Write(ctx, s, sent)
	if err = s.close(err); err != nil {
		// What is half written counts for nothing; that it goes at once saves the host's sweep the work.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		_ = channels.Remove(ctx, name)
	}
	return up, err
}

// striper cuts what is written to it into stripes that several channels write at their places in one file. A stripe's
// bytes are kept until they are acknowledged.
type striper struct {
	group *errgroup.Group
	ctx   context.Context
	work  chan stripe
	free  chan []byte
	files []*carry.File
	buf   []byte
	at    int64
}

type stripe struct {
	data []byte
	at   int64
}

func newStriper(ctx context.Context, name string, channels *carry.Channels) (*striper, error) {
	s := &striper{work: make(chan stripe), free: make(chan []byte, perChannel*channels.Width()+1)}
	f, err := channels.Create(ctx, name, perChannel)
	for err == nil {
		s.files = append(s.files, f)
		if len(s.files) == channels.Width() {
			break
		}
		f, err = f.Beside()
	}
	if err != nil {
		return nil, errors.Join(err, s.closeFiles())
	}
	s.group, s.ctx = errgroup.WithContext(ctx)
	for _, f := range s.files {
		for range perChannel {
			s.free <- nil
			s.group.Go(func() error { return s.send(name, f) })
		}
	}
	s.free <- nil
	return s, s.next()
}

func (s *striper) send(name string, f *carry.File) error {
	for st := range s.work {
		if err := failpoint.Do(failpoint.ClientUpload, func() error { _, err := f.WriteAt(st.data, st.at); return err }); err != nil {
			return uploadFailed(name, err)
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
	return err
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
