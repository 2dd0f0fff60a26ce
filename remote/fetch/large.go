package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

const (
	chunkSize    = 4 << 20 // bytes of a large file that one request asks for
	chunkWorkers = 2       // for each channel: while one drains, the other fills
)

// large fetches a file in chunks over all channels. Which chunks are whole is noted beside it, so that a fetch that was
// cut off goes on: its length would not tell, chunks come in any order.
func (p *Placer) large(ctx context.Context, src Source, a manifest.Artifact) error {
	in, done, err := p.dir(a.Name)
	if err != nil {
		return err
	}
	defer done()
	if ok, err := p.already(in, a); ok || err != nil {
		return err
	}
	d, err := p.openDownload(in, a)
	if err != nil {
		return err
	}
	sum, err := d.run(ctx, src)
	if err == nil {
		err = d.file.Truncate(a.Size)
	}
	failed := d.close()
	if err = errors.Join(err, failed); err == nil {
		err = verify(a, a.Size, sum)
	}
	if err == nil {
		err = in.Remove(p.mapName(a))
	} else if failed != nil || errors.Is(err, errShort) || api.KindOf(err) == api.Corrupt {
		// What is damaged must not be found again by the next fetch.
		err = errors.Join(err, in.Remove(p.tempName(a)), in.Remove(p.mapName(a)))
	}
	if err != nil {
		return err
	}
	p.stamp(in, p.tempName(a), a)
	return p.commit(in, p.tempName(a), a)
}

// mapName names the file that tells which chunks of an artifact are whole.
func (p *Placer) mapName(a manifest.Artifact) string { return p.tempName(a) + ".map" }

// download is one large file under way.
type download struct {
	p      *Placer
	a      manifest.Artifact
	file   *os.File
	whole  *os.File // one byte for each chunk; 1: whole
	mu     sync.Mutex
	came   sync.Cond
	have   []byte
	failed bool
}

func (p *Placer) openDownload(in *os.Root, a manifest.Artifact) (*download, error) {
	d := &download{p: p, a: a, have: make([]byte, (a.Size+chunkSize-1)/chunkSize)}
	d.came.L = &d.mu
	if d.resume(in) {
		if err := p.fits(in, d.missing()); err != nil {
			return nil, errors.Join(err, d.close())
		}
		return d, nil
	}
	clear(d.have)
	if err := p.fits(in, a.Size); err != nil {
		return nil, err
	}
	var err error
	if err := failpoint.At(failpoint.ClientFetched); err != nil {
		return nil, err
	}
	if d.file, err = create(in, p.tempName(a), a); err != nil {
		return nil, err
	}
	if d.whole, err = create(in, p.mapName(a), manifest.Artifact{Mode: 0o600}); err != nil {
		return nil, errors.Join(err, d.file.Close())
	}
	return d, nil
}

// missing is how many bytes have still to come.
func (d *download) missing() (n int64) {
	for i := range d.have {
		if d.have[i] == 0 {
			n += d.length(i)
		}
	}
	return n
}

// resume opens what an earlier fetch left, if it is what it should be.
func (d *download) resume(in *os.Root) bool {
	file, err := openLeft(in, d.p.tempName(d.a))
	if err != nil {
		return false
	}
	whole, err := openLeft(in, d.p.mapName(d.a))
	if err != nil {
		file.Close()
		return false
	}
	if n, err := io.ReadFull(whole, d.have); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) || n == 0 {
		file.Close()
		whole.Close()
		return false
	}
	d.file, d.whole = file, whole
	return true
}

// openLeft opens a regular file for writing, never through a symlink.
func openLeft(in *os.Root, name string) (*os.File, error) {
	seen, err := in.Lstat(name)
	if err != nil {
		return nil, err
	}
	f, err := in.OpenFile(name, os.O_RDWR|nonBlock, 0)
	if err != nil {
		return nil, err
	}
	if opened, err := f.Stat(); err != nil || !opened.Mode().IsRegular() || !os.SameFile(seen, opened) {
		f.Close()
		return nil, os.ErrInvalid
	}
	return f, nil
}

// run fetches the chunks that are missing and returns the digest of all.
func (d *download) run(all context.Context, src Source) (manifest.Sum, error) {
	group, ctx := errgroup.WithContext(all)
	todo := make(chan int)
	kept := bytes.Clone(d.have)
	group.Go(func() error { return d.feed(ctx, kept, todo) })
	for range min(len(d.have), chunkWorkers*src.Width()) {
		group.Go(func() error { return d.work(all, src, todo) }) // a full disk here is no reason to drop the channels
	}
	var sum manifest.Sum
	group.Go(func() (err error) {
		sum, err = d.digest()
		return err
	})
	stop := context.AfterFunc(ctx, d.giveUp)
	defer stop()
	err := group.Wait()
	return sum, err
}

// feed hands out the chunks that were not kept from before.
func (d *download) feed(ctx context.Context, kept []byte, todo chan<- int) error {
	defer close(todo)
	for i := range kept {
		if kept[i] != 0 {
			d.p.bytes.Add(d.length(i))
			continue
		}
		select {
		case todo <- i:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (d *download) length(i int) int64 { return min(chunkSize, d.a.Size-int64(i)*chunkSize) }

func (d *download) work(ctx context.Context, src Source, todo <-chan int) error {
	f, err := src.Open(ctx, d.a.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, chunkSize)
	for i := range todo {
		data := buf[:d.length(i)]
		if n, err := f.ReadAt(data, int64(i)*chunkSize); err != nil && !(errors.Is(err, io.EOF) && n == len(data)) {
			return readFailed(d.a, err)
		}
		if _, err := d.file.WriteAt(data, int64(i)*chunkSize); err != nil {
			return err
		}
		if _, err := d.whole.WriteAt([]byte{1}, int64(i)); err != nil {
			return err
		}
		d.p.bytes.Add(int64(len(data)))
		d.mark(i)
	}
	return nil
}

func (d *download) mark(i int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.have[i] = 1
	d.came.Broadcast()
}

func (d *download) giveUp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = true
	d.came.Broadcast()
}

// digest follows the chunks in order while later ones are still coming.
func (d *download) digest() (manifest.Sum, error) {
	h := sha256.New()
	buf := make([]byte, 256<<10)
	for i := range d.have {
		if !d.await(i) {
			return manifest.Sum{}, nil // another goroutine tells why
		}
		chunk := io.NewSectionReader(d.file, int64(i)*chunkSize, d.length(i))
		if n, err := io.CopyBuffer(h, chunk, buf); err != nil || n != d.length(i) {
			return manifest.Sum{}, errors.Join(err, errShort)
		}
	}
	return manifest.Sum(h.Sum(nil)), nil
}

var errShort = errors.New("what was fetched of it is gone")

func (d *download) await(i int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.have[i] == 0 && !d.failed {
		d.came.Wait()
	}
	return d.have[i] != 0
}

func (d *download) close() error { return errors.Join(d.file.Close(), d.whole.Close()) }
