//go:build linux

package workspace_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/packs"
	"github.com/cyclops-fpga/cyclops/executor/workspace"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
	"github.com/cyclops-fpga/cyclops/manifest/snapshot"
)

// node is a file, symlink or directory of a tree on paper.
type node struct {
	kind snapshot.Kind
	text string // content or target
}

func (n node) String() string { return fmt.Sprintf("%s %.40q", n.kind, n.text) }

// tree maps paths to nodes. Directories are listed only when they are empty.
type tree map[string]node

func file(text string) node       { return node{snapshot.File, text} }
func executable(text string) node { return node{snapshot.Executable, text} }
func link(target string) node     { return node{snapshot.Symlink, target} }
func emptyDir() node              { return node{kind: snapshot.Dir} }

// fataler is a *testing.T or *rapid.T.
type fataler interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Helper()
}

// host is a data directory with the packs of the trees that were sent to it.
type host struct {
	data  layout.Data
	packs []manifest.Sum
}

func newHost(t fataler, dir string) *host {
	t.Helper()
	h := &host{data: layout.Data(dir)}
	if err := h.data.Create(); err != nil {
		t.Fatal(err)
	}
	return h
}

// send packs a tree as a client would, and takes the pack in.
func (h *host) send(t fataler, tr tree) manifest.Sum {
	t.Helper()
	var b bytes.Buffer
	w := pack.NewWriter(&b)
	root := build(t, w, tr)
	if _, _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(h.data.Incoming(), "up")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := packs.Accept(bg, h.data, path)
	if err != nil {
		t.Fatal(err)
	}
	h.packs = append(h.packs, a.Sum)
	return root
}

func build(t fataler, w *pack.Writer, tr tree) manifest.Sum {
	t.Helper()
	below := map[string]tree{}
	var dir snapshot.Tree
	for path, n := range tr {
		name, rest, deeper := strings.Cut(path, "/")
		switch {
		case deeper || n.kind == snapshot.Dir:
			if below[name] == nil {
				below[name] = tree{}
			}
			if deeper {
				below[name][rest] = n
			}
		case n.kind == snapshot.Symlink:
			dir = append(dir, snapshot.Entry{Name: name, Kind: n.kind, Target: n.text})
		default:
			sum := manifest.SumOf([]byte(n.text))
			if err := w.Add(pack.Blob, sum, int64(len(n.text)), strings.NewReader(n.text)); err != nil {
				t.Fatal(err)
			}
			dir = append(dir, snapshot.Entry{Name: name, Kind: n.kind, Size: int64(len(n.text)), Sum: sum})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(below)) {
		sub := build(t, w, below[name])
		dir = append(dir, dirEntry(t, name, below[name], sub))
	}
	dir.Sort()
	e, data, err := dir.Object("")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(pack.Tree, e.Sum, int64(len(data)), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return e.Sum
}

func dirEntry(t fataler, name string, tr tree, sum manifest.Sum) snapshot.Entry {
	t.Helper()
	e := snapshot.Entry{Name: name, Kind: snapshot.Dir, Sum: sum}
	for _, n := range tr {
		switch n.kind {
		case snapshot.Dir:
		case snapshot.Symlink:
			e.Files++
		default:
			e.Files++
			e.Size += int64(len(n.text))
		}
	}
	return e
}

// set opens every pack that was sent.
func (h *host) set(t fataler) *packs.Set {
	t.Helper()
	s, err := packs.OpenSet(h.data, h.packs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (h *host) request(root manifest.Sum, content workspace.Content) workspace.Request {
	return workspace.Request{Data: h.data, Name: "w", New: root, Content: content, Displaced: h.data.Displaced("job")}
}

// apply brings the workspace to a tree that is sent before.
func (h *host) apply(t fataler, tr tree) workspace.Report {
	t.Helper()
	root := h.send(t, tr)
	s := h.set(t)
	defer s.Close()
	r, err := workspace.Apply(bg, h.request(root, s))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// read returns what stands in a directory; empty directories count, others do not.
func read(t fataler, root string) tree {
	t.Helper()
	out := tree{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		n := node{kind: snapshot.Dir}
		switch {
		case d.Type().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fi, err := d.Info()
			if err != nil {
				return err
			}
			if n = file(string(data)); fi.Mode()&0o100 != 0 {
				n.kind = snapshot.Executable
			}
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			n = link(target)
		}
		delete(out, filepath.Dir(rel)) // not empty
		out[rel] = n
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// contains reports what of want is not in have.
func contains(t fataler, have, want tree) {
	t.Helper()
	for path, n := range want {
		got, ok := have[path]
		if n.kind == snapshot.Dir && !ok { // a job may have put something in
			for p := range have {
				ok = ok || strings.HasPrefix(p, path+"/")
			}
			got = n
		}
		if !ok || got != n {
			t.Fatalf("%q is %v (there: %v), want %v", path, got, ok, n)
		}
	}
}

func write(t testing.TB, h *host, path, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(h.data.Workspace("w"), path), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
