//go:build linux

package powerfs

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// State is what is on the disk when the power is back.
type State struct {
	trace    *Trace
	n        int
	children map[uint64][]child // of each directory
	seed     uint64
	style    style

	// Lost counts the operations that happened and are not there, or not whole.
	Lost int
}

type child struct {
	name  string
	inode uint64
}

// style says how much of what no sync covers is there.
type style uint8

const (
	mixed     style = iota // anything
	nothing                // none: the power went at once
	anything               // all: it had all been written back
	inOrder                // a prefix of the changes of names, as a journal has it
	namesOnly              // all names and no bytes: the classic empty file
	bytesOnly              // all bytes and no names
	styles
)

// Crash returns one state in which the power could have left the disk behind the first n operations.
func (t *Trace) Crash(n int, seed uint64) *State {
	n = min(n, len(t.Ops))
	s := &State{trace: t, n: n, seed: seed, children: map[uint64][]child{}}
	draw := s.rand(0)
	if draw.IntN(2) == 0 {
		s.style = style(draw.IntN(int(styles)))
	}
	s.names(draw)
	return s
}

// rand draws for one inode, whatever is drawn for the others.
func (s *State) rand(inode uint64) *rand.Rand {
	return rand.New(rand.NewPCG(s.seed^uint64(s.n)<<32, inode+1))
}

// keeps returns what decides whether a change of names that no sync covers is there.
func (s *State) keeps(draw *rand.Rand) func(i int) bool {
	switch s.style {
	case nothing, bytesOnly:
		return func(int) bool { return false }
	case anything, namesOnly:
		return func(int) bool { return true }
	case inOrder:
		// The end of the prefix lies among those operations that matter: most are long durable.
		var open []int
		for _, i := range s.trace.look().names {
			if i < s.n && s.trace.look().durable[i] >= s.n {
				open = append(open, i)
			}
		}
		end := 0
		if len(open) > 0 {
			end = append(open, s.n)[draw.IntN(len(open)+1)]
		}
		return func(i int) bool { return i < end }
	}
	likely := []float64{0.1, 0.5, 0.9}[draw.IntN(3)]
	return func(int) bool { return draw.Float64() < likely }
}

// names finds out which name leads where.
func (s *State) names(draw *rand.Rand) {
	x := s.trace.look()
	keep := s.keeps(draw)
	d := &directories{at: map[place]int{}, where: map[int]place{}}
	for k, i := range x.names {
		if i >= s.n {
			break
		}
		if x.durable[i] >= s.n && !keep(i) {
			s.Lost++
			continue
		}
		op := &s.trace.Ops[i]
		switch op.Kind {
		case Unlink, Rmdir:
			d.remove(x.moved[k], place{op.Dir, op.Name})
		case Rename:
			d.clear(place{op.Dir, op.Name})
			d.put(x.moved[k], place{op.ToDir, op.To})
		default:
			d.put(x.moved[k], place{op.Dir, op.Name})
		}
	}
	for at, link := range d.at {
		s.children[at.dir] = append(s.children[at.dir], child{at.name, x.owner[link]})
	}
	for _, c := range s.children {
		slices.SortFunc(c, func(a, b child) int { return cmp.Compare(a.name, b.name) })
	}
}

// directories says which link is where.
type directories struct {
	at    map[place]int
	where map[int]place
}

// put gives a link its one place; what stood there is gone.
func (d *directories) put(link int, at place) {
	if old, ok := d.where[link]; ok {
		delete(d.at, old)
	}
	d.clear(at)
	d.at[at], d.where[link] = link, at
}

func (d *directories) clear(at place) {
	if link, ok := d.at[at]; ok {
		delete(d.where, link)
		delete(d.at, at)
	}
}

// remove takes away a name and the link that had it, wherever that is when its rename was lost.
func (d *directories) remove(link int, at place) {
	if old, ok := d.where[link]; ok {
		d.clear(old)
	}
	d.clear(at)
}

// Write makes the state below dir, which must be there.
func (s *State) Write(dir string) error {
	made := map[uint64]string{}
	if err := s.write(rootInode, dir, made); err != nil {
		return fmt.Errorf("unable to write crash state: %w", err)
	}
	return nil
}

func (s *State) write(dir uint64, path string, made map[uint64]string) error {
	x := s.trace.look()
	for _, c := range s.children[dir] {
		to := filepath.Join(path, c.name)
		if first, ok := made[c.inode]; ok {
			if err := os.Link(first, to); err != nil {
				return err
			}
			continue
		}
		made[c.inode] = to
		var err error
		switch x.kinds[c.inode] {
		case Mkdir:
			err = os.Mkdir(to, 0o700)
			if err == nil {
				err = errors.Join(s.write(c.inode, to, made), os.Chmod(to, s.mode(c.inode)))
			}
		case Symlink:
			err = os.Symlink(string(x.targets[c.inode]), to)
		case Create:
			err = os.WriteFile(to, s.content(c.inode), 0o600)
			if err == nil {
				err = os.Chmod(to, s.mode(c.inode))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mode is the newest that is durable, or a newer one.
func (s *State) mode(inode uint64) os.FileMode {
	x := s.trace.look()
	mode, draw := x.modes[inode], s.rand(inode^1<<63)
	for _, i := range x.data[inode] {
		if op := &s.trace.Ops[i]; i < s.n && op.Kind == Chmod && (x.durable[i] < s.n || s.style != nothing && draw.IntN(2) == 0) {
			mode = op.Mode
		}
	}
	return os.FileMode(mode & 0o777)
}
