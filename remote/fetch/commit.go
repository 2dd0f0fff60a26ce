package fetch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/remote/scan"
)

// tries is how often a name that keeps changing under a fetch is looked at again.
const tries = 5

// maxBeside is how many outputs of one job may lie beside one file of the user's.
const maxBeside = 9

// fate is what is to become of an artifact at one name.
type fate int

const (
	put      fate = iota // nothing is there
	replace              // what is there may go
	same                 // it is there already
	conflict             // something else is there, and it is the user's
)

// judge compares what lies at name with the artifact.
func (p *Placer) judge(in *os.Root, name string, a manifest.Artifact) (fate, local, error) {
	here, err := inspect(in, path.Base(name))
	switch {
	case err != nil:
		return conflict, here, err
	case here.info == nil:
		return put, here, nil
	case here.content == "":
		return conflict, here, nil
	case here.content == contentOf(a):
		p.retime(in, name, here, a)
		return same, here, nil
	case p.shared && p.record.has(name, here.content) && p.record.later(name, a):
		return same, here, nil // a job beside this one brought what came after it
	case p.record.has(name, here.content), p.req.Pinned != nil && p.req.Pinned(name, here.sum, here.target):
		return replace, here, nil
	}
	return conflict, here, nil
}

// settled tells whether an artifact is there already, at its name or, where that is the user's, beside it.
func (p *Placer) settled(in *os.Root, a manifest.Artifact) (bool, error) {
	for _, name := range p.names(a.Name) {
		f, _, err := p.judge(in, name, a)
		if err != nil || f != conflict {
			if err == nil && f == same && name != a.Name {
				p.note(func(r *Report) { r.Conflicts = append(r.Conflicts, Conflict{a.Name, name}) })
			}
			return f == same, err
		}
	}
	return false, nil
}

// names lists where an artifact may go, best first.
func (p *Placer) names(name string) []string {
	id := p.req.Manifest.Job
	list := []string{name}
	suffix := scan.OwnMark + id[:min(8, len(id))]
	dir, base := path.Split(name)
	base = base[:min(len(base), maxComponent-len(suffix)-2)]
	for n := 1; n <= maxBeside; n++ {
		beside := dir + base + suffix
		if n > 1 {
			beside += fmt.Sprintf("-%d", n)
		}
		list = append(list, beside)
	}
	return list
}

// commit brings the finished file or symlink temp to its name, or beside it. temp is gone afterwards.
func (p *Placer) commit(in *os.Root, temp string, a manifest.Artifact) error {
	defer in.Remove(temp)
	for _, name := range p.names(a.Name) {
		f, err := p.commitAt(in, temp, name, a)
		if err != nil {
			return err
		}
		if f == conflict {
			continue
		}
		p.note(func(r *Report) {
			if name != a.Name {
				r.Conflicts = append(r.Conflicts, Conflict{a.Name, name})
			}
			if f == same {
				r.Same++
			} else {
				r.Files++
				r.Bytes += a.Size
			}
		})
		return nil
	}
	return errors.New("there are too many files beside it already")
}

func (p *Placer) commitAt(in *os.Root, temp, name string, a manifest.Artifact) (fate, error) {
	if p.shared {
		done, err := p.record.turn()
		if err != nil {
			return put, err
		}
		defer done()
	}
	if err := failpoint.At(failpoint.ClientPlace); err != nil {
		return put, err
	}
	base := path.Base(name)
	for range tries {
		f, here, err := p.judge(in, name, a)
		if err != nil || f == same || f == conflict {
			return f, err
		}
		if err := p.record.add(name, contentOf(a), a.Changed); err != nil {
			return f, err
		}
		if p.beforeRename != nil {
			p.beforeRename(name)
		}
		if !p.stands(in, path.Dir(name)) {
			return f, errMoved
		}
		if f == put {
			err = move(in, temp, base, here)
		} else {
			err = exchange(in, temp, base, here)
		}
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
	return conflict, nil
}

// move gives temp a name that nothing has. A link fails where a rename would silently replace.
func move(in *os.Root, temp, base string, here local) error {
	err := in.Link(temp, base)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if !here.unchanged(in, base) {
		return fs.ErrExist
	}
	return in.Rename(temp, base)
}

// exchange has temp take the place of what here saw. What else came there in the last moment is not lost: the two change
// places, and back again when it was not what was expected. temp may be removed afterwards.
func exchange(in *os.Root, temp, base string, here local) error {
	own, err := in.Lstat(temp)
	if err != nil {
		return err
	}
	if !here.unchanged(in, base) {
		return fs.ErrExist
	}
	err = swap(in, temp, base)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		if err = in.Rename(temp, base); isDirectory(in, base) {
			return fs.ErrExist // it came there now, and a rename does not replace it
		}
		return err
	case errors.Is(err, fs.ErrNotExist):
		return fs.ErrExist // it went: there is another case to judge
	case err != nil || here.unchanged(in, temp):
		return err
	}
	if err := swap(in, temp, base); err != nil {
		return errors.Join(err, in.Rename(temp, base+scan.OwnMark+"kept"))
	}
	if back, err := in.Lstat(temp); err != nil || !os.SameFile(own, back) {
		// The user put a second one over ours in between, which belongs at its name.
		return errors.Join(errRestless, swap(in, temp, base))
	}
	return fs.ErrExist
}

// errRestless says that nothing could be put in place without a loss.
var errRestless = errors.New("it was changed here again and again")

func isDirectory(in *os.Root, base string) bool {
	info, err := in.Lstat(base)
	return err == nil && info.IsDir()
}

// link makes a symlink artifact.
func (p *Placer) link(a manifest.Artifact) error {
	in, done, err := p.dir(a.Name)
	if err != nil {
		return err
	}
	defer done()
	if ok, err := p.settled(in, a); ok || err != nil {
		if ok {
			p.note(func(r *Report) { r.Same++ })
		}
		return err
	}
	temp := p.ownTemp(a)
	_ = in.Remove(temp)
	target := a.Target
	if runtime.GOOS == "windows" {
		target = fromSlash(target)
	}
	if err := in.Symlink(target, temp); err != nil {
		return err
	}
	return p.commit(in, temp, a)
}
