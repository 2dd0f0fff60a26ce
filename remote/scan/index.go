package scan

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// indexHeader opens the stat index; its last byte is the version of the format. Any other is as good as none.
const indexHeader = "cycindex\x02"

// rules are what git's choice of names depended on.
type rules struct {
	watch   []watched
	ignores []watched // .gitignore files inside the tree
}

// index is what a scan leaves for the next one: every name with its stat and digest.
type index struct {
	ignoreSum manifest.Sum // of .cyclopsignore
	repos     map[string]*rules
	git       *gitState
	tree      *dir
}

// indexFile names the index of a tree.
func indexFile(cache, root string, withGit bool) string {
	key := sha256.Sum256(fmt.Appendf(nil, "%s\x00%t", root, withGit))
	return filepath.Join(cache, "index", hex.EncodeToString(key[:12]))
}

// index returns what is to be remembered of a finished scan.
func (s *scanner) index() *index {
	ix := &index{ignoreSum: s.ignore.sum, git: s.git, tree: s.tree, repos: map[string]*rules{}}
	for base, r := range s.repos.open {
		if r != nil {
			ix.repos[base] = &rules{watch: r.watch}
		}
	}
	s.gatherIgnores(s.tree, ix.repos[""], ix)
	return ix
}

func (s *scanner) gatherIgnores(d *dir, of *rules, ix *index) {
	if inner := ix.repos[d.path]; inner != nil {
		of = inner
	}
	if of != nil && (d.find(".gitignore") != nil || d.findSkipped(".gitignore") != nil) {
		path := filepath.Join(s.root, filepath.FromSlash(d.path), ".gitignore")
		of.ignores = append(of.ignores, watch(path, s.started))
	}
	for i := range d.entries {
		if sub := d.entries[i].dir; sub != nil {
			s.gatherIgnores(sub, of, ix)
		}
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (ix *index) encode() []byte {
	data := append(make([]byte, 0, 1<<20), indexHeader...)
	data = append(data, ix.ignoreSum[:]...)
	data = ix.git.append(data)
	data = binary.AppendUvarint(data, uint64(len(ix.repos)))
	for base, r := range ix.repos {
		data = appendString(data, base)
		data = appendWatched(appendWatched(data, r.watch), r.ignores)
	}
	return seal(ix.tree.append(data))
}

// seal adds the checksum.
func seal(data []byte) []byte {
	return binary.BigEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
}

// save writes the index, all or nothing. It is not synced: the checksum tells a torn one.
func (ix *index) save(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), "new-")
	if err != nil {
		return err
	}
	err = failpoint.Do(failpoint.ClientIndex, func() error { _, err := f.Write(ix.encode()); return err })
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func (g *gitState) append(b []byte) []byte {
	if g == nil {
		return append(b, 0)
	}
	b = append(b, 1, flag(g.dirty))
	b = appendString(appendString(b, g.commit), g.branch)
	b = binary.AppendUvarint(b, uint64(g.count))
	b = binary.AppendUvarint(b, uint64(len(g.changed)))
	for _, p := range g.changed {
		b = appendString(b, p)
	}
	return b
}

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (s stat) append(b []byte) []byte {
	b = append(b, byte(s.kind))
	b = binary.AppendUvarint(b, uint64(s.size))
	b = binary.BigEndian.AppendUint64(b, uint64(s.mtime))
	b = binary.BigEndian.AppendUint64(b, uint64(s.ctime))
	return binary.AppendUvarint(b, s.inode)
}

func appendWatched(b []byte, list []watched) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, w := range list {
		b = append(w.stat.append(appendString(b, w.path)), flag(w.racy))
	}
	return b
}

func (d *dir) append(b []byte) []byte {
	b = append(d.stat.append(b), flag(d.racy), flag(d.repo))
	b = append(b, d.sum[:]...)
	for _, n := range []int64{d.files, d.bytes, d.object, int64(len(d.skipped))} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	for _, s := range d.skipped {
		b = append(appendString(b, s.name), byte(s.kind))
	}
	b = binary.AppendUvarint(b, uint64(len(d.entries)))
	for i := range d.entries {
		b = d.entries[i].append(b)
	}
	return b
}

func (e *entry) append(b []byte) []byte {
	b = appendString(b, e.name)
	if e.dir != nil {
		return e.dir.append(append(b, byte(directory)))
	}
	b = append(e.stat.append(b), flag(e.racy))
	if e.stat.kind == symlink {
		return appendString(b, e.target)
	}
	return append(b, e.sum[:]...)
}
