package scan

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"unsafe"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// loadIndex reads an index; nil when there is none that can be used.
func loadIndex(file string) *index {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return decodeIndex(data)
}

// decodeIndex keeps data: names in the result point into it.
func decodeIndex(data []byte) *index {
	if len(data) < len(indexHeader)+4 || string(data[:len(indexHeader)]) != indexHeader {
		return nil
	}
	body := data[:len(data)-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(data[len(body):]) {
		return nil
	}
	l := loader{rest: body[len(indexHeader):]}
	ix := &index{ignoreSum: l.sum(), git: l.git(), repos: map[string]*rules{}}
	for range l.count(4) {
		base := l.string()
		ix.repos[base] = &rules{watch: l.watched(), ignores: l.watched()}
	}
	ix.tree = l.dir("", 0)
	if l.bad || len(l.rest) > 0 {
		return nil
	}
	return ix
}

// loader takes fields off the front of rest; once something does not fit, all are zero.
type loader struct {
	rest []byte
	bad  bool
}

func (l *loader) take(n uint64) []byte {
	if l.bad || n > uint64(len(l.rest)) {
		l.bad, l.rest = true, nil
		return nil
	}
	b := l.rest[:n]
	l.rest = l.rest[n:]
	return b
}

func (l *loader) byte() byte {
	if b := l.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (l *loader) uvarint() uint64 {
	v, n := binary.Uvarint(l.rest)
	if n <= 0 {
		l.bad, l.rest = true, nil
		return 0
	}
	l.rest = l.rest[n:]
	return v
}

// count reads how many things of at least so many bytes follow.
func (l *loader) count(least int) uint64 {
	n := l.uvarint()
	if n > uint64(len(l.rest)/least) {
		l.bad, l.rest = true, nil
		return 0
	}
	return n
}

func (l *loader) uint64() uint64 {
	if b := l.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// string points into the file's bytes: a copy of each of 100,000 names would cost more than all the rest.
func (l *loader) string() string {
	b := l.take(l.uvarint())
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b))
}

func (l *loader) sum() (s manifest.Sum) {
	copy(s[:], l.take(manifest.DigestSize))
	return s
}

func (l *loader) git() *gitState {
	if l.byte() == 0 {
		return nil
	}
	g := &gitState{dirty: l.byte() == 1, commit: l.string(), branch: l.string(), count: int(l.uvarint())}
	for range l.count(1) {
		g.changed = append(g.changed, l.string())
	}
	return g
}

func (l *loader) stat() stat {
	return l.statOf(kind(l.byte()))
}

func (l *loader) statOf(k kind) stat {
	return stat{kind: k, size: int64(l.uvarint()), mtime: int64(l.uint64()), ctime: int64(l.uint64()), inode: l.uvarint()}
}

func (l *loader) watched() []watched {
	list := make([]watched, l.count(20))
	for i := range list {
		list[i] = watched{path: l.string(), stat: l.stat(), racy: l.byte() == 1}
	}
	return list
}

func (l *loader) dir(path string, depth int) *dir {
	d := &dir{path: path, stat: l.stat(), racy: l.byte() == 1, repo: l.byte() == 1, sum: l.sum()}
	d.files, d.bytes, d.object = int64(l.uvarint()), int64(l.uvarint()), int64(l.uvarint())
	l.bad = l.bad || depth > snapshot.MaxDepth || d.stat.kind != directory
	d.skipped = make([]skipped, l.count(2))
	for i := range d.skipped {
		d.skipped[i] = skipped{name: l.string(), kind: kind(l.byte())}
	}
	d.entries = make([]entry, l.count(20))
	for i := range d.entries {
		if !l.bad {
			l.entry(d, &d.entries[i], depth)
		}
	}
	return d
}

func (l *loader) entry(in *dir, e *entry, depth int) {
	e.name, e.known = l.string(), true
	k := kind(l.byte())
	if k == directory {
		e.dir = l.dir(in.join(e.name), depth+1)
		e.stat.kind = directory
		return
	}
	e.stat, e.racy = l.statOf(k), l.byte() == 1
	if k == symlink {
		e.target = l.string()
		return
	}
	e.sum = l.sum()
}
