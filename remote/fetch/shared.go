package fetch

import (
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/filelock"
)

// turn keeps the other processes that fetch to the same place from committing a file, and learns what they put there:
// else what one of them just placed would pass for the user's, or be replaced by what came before it.
func (r *record) turn() (done func(), err error) {
	r.turns.Lock()
	unlock, err := filelock.Lock(r.name + ".lock")
	if err == nil {
		err = r.refresh()
		if err != nil {
			unlock()
		}
	}
	if err != nil {
		r.turns.Unlock()
		return nil, err
	}
	return func() { unlock(); r.turns.Unlock() }, nil
}

// refresh reads what others added. Where one of them wrote the record anew, this one goes on in the new file.
func (r *record) refresh() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, err := os.Stat(r.name)
	if err != nil {
		return fmt.Errorf("unable to read what was fetched meanwhile: %w", err)
	}
	mine, err := r.file.Stat()
	if err == nil && !os.SameFile(now, mine) {
		err = r.reopen()
	}
	if err != nil || now.Size() == r.read {
		return err
	}
	f, err := os.Open(r.name)
	if err != nil {
		return fmt.Errorf("unable to read what was fetched meanwhile: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, r.read, now.Size()-r.read))
	if err != nil {
		return fmt.Errorf("unable to read what was fetched meanwhile: %w", err)
	}
	r.read += int64(len(data))
	r.decode(data)
	return nil
}

func (r *record) reopen() error {
	file, err := os.OpenFile(r.name, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("unable to record what is fetched: %w", err)
	}
	err = r.file.Close()
	r.file, r.read = file, 0
	clear(r.last)
	clear(r.when)
	return err
}

// later tells whether what was last put at name is a later version of the host's file than a.
func (r *record) later(name string, a manifest.Artifact) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !a.Changed.IsZero() && r.when[name] > a.Changed.UnixNano()
}

// retime gives a file that has the right bytes the time at which the job wrote them again, as the tool would have here:
// make would run the rule for ever. Never backwards.
func (p *Placer) retime(in *os.Root, name string, here local, a manifest.Artifact) {
	if !a.Fresh || !here.info.Mode().IsRegular() {
		return
	}
	if t := p.localTime(a); t.After(here.info.ModTime()) && here.unchanged(in, path.Base(name)) {
		_ = in.Chtimes(path.Base(name), t, t)
	}
}

// localTime is when a job wrote a file by this machine's clock, never in the future; zero if that is not known.
func (p *Placer) localTime(a manifest.Artifact) time.Time {
	if a.Modified.IsZero() {
		return time.Time{}
	}
	t := a.Modified.Add(-p.req.shift())
	if now := time.Now(); t.After(now) {
		t = now
	}
	return t
}
