//go:build linux

// Package powerfs is a file system for tests that tells what a loss of power could leave on a disk.
//
// It is mounted over a directory, passes everything through to it, and keeps a trace of all that
// matters for durability. From one trace it makes crash states: what could be found after the power
// went behind the first n operations. Which of all that could be found is chosen by a seed; the same
// trace, n and seed give the same state.
//
// # The model
//
// The disk promises what POSIX promises and nothing that some file system adds:
//
//   - An fsync or fdatasync of a file makes durable what was written to it before the call began, its
//     size and its mode. It does not make the file's name durable.
//   - An fsync of a directory makes durable which names are in it. It does not make durable what is
//     in the files behind them, nor the directory's own name in its parent.
//   - A rename is atomic: both names change or none. It is durable when either directory was synced.
//   - An operation counts as covered only by a sync that began behind it, and that had returned.
//   - What a sync of a file was to cover that failed, no later one covers: as Linux has it, the pages
//     count as written then, and only writing them again helps. Names are covered by a later one: they lie
//     in a journal, and a file system whose journal fails takes nothing more.
//
// Of all else anything may be there or not:
//
//   - Of writes that no fsync covers, any subset, torn at sectors of 512 bytes, at pages of 4096, or at
//     the end of a prefix. The size is an old one or a new one; what lies below it and was never
//     written is zero, so that a file can have its length and no bytes. A file whose name is
//     durable and whose data was never synced may be empty.
//   - Of changes of names that no fsync covers, any subset, not only a prefix: a rename may survive
//     without the create before it or without an earlier rename of the same file, and a removal
//     may survive or not. A file has never two names by that, and a directory never.
//
// Some seeds make the mild states of file systems in use: all of it there, none of it, a prefix.
//
// Not modelled: times, owners, extended attributes, syncfs (the kernel passes none to a file system of
// this kind), O_SYNC, sectors that are torn or spoiled, and disks that lie about a flush.
package powerfs

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"os"
	"sync"
)

// Kind is what an operation does.
type Kind uint8

// The operations.
const (
	Create Kind = iota + 1 // a file, in Dir as Name
	Mkdir
	Symlink // Data is the target
	Mknod   // a socket or a pipe: nothing of it survives
	Link
	Unlink
	Rmdir
	Rename
	Write
	Truncate
	Chmod
	SyncBegin
	SyncEnd
	Mark     // Data was written to the ledger
	SyncFail // like SyncEnd, of a sync that failed; Name is the path
)

// Op is one operation that succeeded.
type Op struct {
	Kind  Kind
	Inode uint64 // what it acts on: file, link or directory
	Dir   uint64 // the directory of Name
	Name  string
	ToDir uint64 // of a rename
	To    string
	At    int64 // offset of a write, new size of a truncate, in bytes
	Mode  uint32
	Data  []byte
	Begin int // of a SyncEnd or SyncFail: the number of its SyncBegin
}

// rootInode is that of the directory that is mounted.
const rootInode = 1

// Trace is what happened, in order.
type Trace struct {
	Ops []Op

	once  sync.Once
	index index
}

// Save writes the trace into a file, so that a state that failed can be made again.
func (t *Trace) Save(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("unable to save trace: %w", err)
	}
	defer f.Close()
	if err := gob.NewEncoder(f).Encode(t.Ops); err != nil {
		return fmt.Errorf("unable to save trace: %w", err)
	}
	return f.Close()
}

// Load reads what Save wrote.
func Load(path string) (*Trace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("unable to load trace: %w", err)
	}
	defer f.Close()
	t := new(Trace)
	if err := gob.NewDecoder(f).Decode(&t.Ops); err != nil {
		return nil, fmt.Errorf("unable to load trace: %w", err)
	}
	return t, nil
}

// index is what all crash states of a trace have in common.
type index struct {
	data    map[uint64][]int // the operations on the bytes and the mode of each inode
	names   []int            // the operations on names
	moved   []int            // the link that each operation on names creates, moves or removes
	durable []int            // for each operation the SyncEnd that made it durable, or never
	kinds   map[uint64]Kind  // what each inode is
	targets map[uint64][]byte
	modes   map[uint64]uint32 // when it was made
	owner   []uint64          // the inode of each link
}

// never is behind every operation.
const never = int(^uint(0) >> 1)

func (t *Trace) look() *index {
	t.once.Do(func() {
		x := &t.index
		x.data, x.kinds, x.targets, x.modes = map[uint64][]int{}, map[uint64]Kind{rootInode: Mkdir}, map[uint64][]byte{}, map[uint64]uint32{rootInode: 0o755}
		syncs := map[uint64][]span{}
		for i, op := range t.Ops {
			if op.Kind == SyncEnd || op.Kind == SyncFail {
				syncs[op.Inode] = append(syncs[op.Inode], span{op.Begin, i, op.Kind == SyncFail})
			}
		}
		x.links(t.Ops)
		x.durable = make([]int, len(t.Ops))
		for i, op := range t.Ops {
			switch op.Kind {
			case Write, Truncate, Chmod:
				x.data[op.Inode] = append(x.data[op.Inode], i)
				x.durable[i] = covered(syncs[op.Inode], i, spoils)
			case Rename:
				x.durable[i] = min(covered(syncs[op.Dir], i, !spoils), covered(syncs[op.ToDir], i, !spoils))
			default:
				x.durable[i] = covered(syncs[op.Dir], i, !spoils)
			}
		}
	})
	return &t.index
}

// span is one fsync, by the numbers of its beginning and its end.
type span struct {
	begin, end int
	failed     bool
}

// spoils: a sync that failed leaves nothing that a later one could cover.
const spoils = true

// covered returns the end of the first of syncs, which are in the order of their ends, that covers operation i.
func covered(syncs []span, i int, spoils bool) int {
	for _, s := range syncs {
		switch {
		case s.begin < i:
		case !s.failed:
			return s.end
		case spoils:
			return never
		}
	}
	return never
}

// place is a name in a directory.
type place struct {
	dir  uint64
	name string
}

// links gives each name that a file ever got a number that stays when it is renamed: that is what
// a rename moves, in a state in which an earlier rename of it was lost too.
func (x *index) links(ops []Op) {
	at := map[place]int{}
	for i, op := range ops {
		from := place{op.Dir, op.Name}
		var link int
		switch op.Kind {
		case Create, Mkdir, Symlink, Mknod:
			x.kinds[op.Inode], x.targets[op.Inode], x.modes[op.Inode] = op.Kind, op.Data, op.Mode
			fallthrough
		case Link:
			link = len(x.owner)
			x.owner, at[from] = append(x.owner, op.Inode), link
		case Unlink, Rmdir:
			link = at[from]
			delete(at, from)
		case Rename:
			link = at[from]
			delete(at, from)
			at[place{op.ToDir, op.To}] = link
		default:
			continue
		}
		x.names, x.moved = append(x.names, i), append(x.moved, link)
	}
}

// Marks calls fn for every line of the ledger, with the number of the operation that ended it: the
// kernel may cut one write into several.
func (t *Trace) Marks(fn func(n int, line string)) {
	var rest []byte
	for i, op := range t.Ops {
		if op.Kind != Mark {
			continue
		}
		rest = append(rest, op.Data...)
		for {
			line, more, ok := bytes.Cut(rest, []byte("\n"))
			if !ok {
				break
			}
			fn(i, string(line))
			rest = more
		}
	}
}
