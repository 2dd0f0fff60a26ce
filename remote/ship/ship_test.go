package ship

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pkg/sftp"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/pack"
	"github.com/cyclops-fpga/cyclops/remote/carry"
	"github.com/cyclops-fpga/cyclops/remote/place"
	"github.com/cyclops-fpga/cyclops/remote/scan"
)

type bed struct {
	testing.TB
	root string
	dirs place.Dirs
}

func newBed(t testing.TB, files map[string]string) *bed {
	b := &bed{TB: t, root: t.TempDir(), dirs: place.Dirs{Cache: t.TempDir(), State: t.TempDir()}}
	for name, content := range files {
		b.write(name, content)
	}
	return b
}

func (b *bed) write(name, content string) {
	b.Helper()
	full := filepath.Join(b.root, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) take() *scan.Tree {
	b.Helper()
	t, err := scan.Take(b.Context(), scan.Options{Root: b.root, Dirs: b.dirs})
	if err != nil {
		b.Fatal(err)
	}
	return t
}

func (b *bed) recall() *Memory { return Recall(b.dirs, "store", "ws") }

func (b *bed) acknowledge(t *scan.Tree) {
	b.Helper()
	if err := b.recall().Acknowledge(t); err != nil {
		b.Fatal(err)
	}
}

func written(p *Plan) []string {
	var list []string
	for _, o := range p.Objects {
		if !o.Tree {
			list = append(list, o.Path)
		}
	}
	slices.Sort(list)
	return list
}

func TestPlanSendsTheDifference(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string]string{"a": "1", "same": "1", "d/b": "2", "e/c": "3"})
	one := b.take()
	p := NewPlan(one, b.recall())
	if got := written(p); len(p.Bases) != 0 || fmt.Sprint(got) != "[a d/b e/c]" {
		t.Fatalf("first: bases %v, files %v", p.Bases, got)
	}
	b.acknowledge(one)
	if p := NewPlan(one, b.recall()); !p.Empty() || fmt.Sprint(p.Bases) != fmt.Sprint([]manifest.Digest{one.Root.Digest()}) {
		t.Fatalf("unchanged: %d objects, bases %v", len(p.Objects), p.Bases)
	}
	b.write("d/b", "two")
	two := b.take()
	p = NewPlan(two, b.recall())
	if got := written(p); fmt.Sprint(got) != "[d/b]" || len(p.Objects) != 3 || len(p.Bases) != 1 {
		t.Fatalf("edit: %v of %d objects, bases %v", got, len(p.Objects), p.Bases)
	}
	b.acknowledge(two)
	b.write("d/b", "2")
	if p := NewPlan(b.take(), b.recall()); !p.Empty() || p.Bases[0] != one.Root.Digest() {
		t.Fatalf("back again: %d objects, bases %v", len(p.Objects), p.Bases)
	}
}

func TestMemoryKeepsEight(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string]string{"a": "0", "fixed": "x"})
	var roots []manifest.Sum
	for i := range Slots + 3 {
		b.write("a", fmt.Sprintf("version %d", i))
		tree := b.take()
		roots = append(roots, tree.Root)
		b.acknowledge(tree)
	}
	m := b.recall()
	if bases := m.Bases(); len(bases) != Slots || bases[0] != roots[len(roots)-1].Digest() {
		t.Fatalf("remembers %v", bases)
	}
	for i, r := range roots {
		if got, want := m.HoldsIn(r, r), i >= 3; got != want {
			t.Errorf("snapshot %d: held %t, want %t", i, got, want)
		}
	}
	if m.Holds(manifest.SumOf([]byte("version 1"))) || !m.Holds(manifest.SumOf([]byte("version 5"))) {
		t.Error("what only a dropped snapshot had must be forgotten, what is left must be kept")
	}
	if other := Recall(b.dirs, "other", "ws"); len(other.Bases()) != 0 {
		t.Error("another store must know nothing")
	}
}

func TestDamagedMemoryIsNone(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string]string{"a": "0"})
	b.acknowledge(b.take())
	m := b.recall()
	data, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 0x40
		if new(Memory).decode(bad) {
			t.Fatalf("took a file with byte %d wrong", i)
		}
		if new(Memory).decode(data[:i]) {
			t.Fatalf("took the first %d bytes", i)
		}
	}
}

func FuzzMemory(f *testing.F) {
	m := &Memory{order: []slot{{1, manifest.SumOf(nil)}}, sums: []uint64{1, 5}, masks: []uint8{2, 2}}
	f.Add(m.encode())
	f.Add([]byte(memoryHeader))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := new(Memory)
		if m.decode(data) && !bytes.Equal(m.encode(), data) {
			t.Error("decoded what encode does not write")
		}
	})
}

func TestAfterMissing(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string]string{"a": "1", "d/b": "2"})
	one := b.take()
	b.acknowledge(one)
	b.write("a", "one")
	two := b.take()
	m := b.recall()
	p := NewPlan(two, m)
	next, err := p.After(api.Missing{UnknownBases: p.Bases}, m)
	if err != nil || fmt.Sprint(written(next)) != "[d/b]" || len(next.Bases) != 0 || len(m.Bases()) != 0 {
		t.Fatalf("unknown base: %v, %v, bases %v", err, written(next), next.Bases)
	}
	sum := manifest.SumOf([]byte("2"))
	next, err = p.After(api.Missing{Objects: sum[:]}, m)
	if err != nil || fmt.Sprint(written(next)) != "[d/b]" || next.Bytes != 1 {
		t.Fatalf("missing object: %v, %v", err, written(next))
	}
	stranger := manifest.SumOf([]byte("stranger"))
	if _, err = p.After(api.Missing{Objects: stranger[:]}, m); api.KindOf(err) != api.Invalid {
		t.Errorf("an object that is none of ours: %v", err)
	}
	if _, err = p.After(api.Missing{Objects: sum[:5]}, m); api.KindOf(err) != api.Invalid {
		t.Errorf("half a digest: %v", err)
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string]string{"a": "1", "b": "22", "c": "333"})
	p := NewPlan(b.take(), b.recall())
	if len(p.Sums()) != 4*manifest.DigestSize {
		t.Fatalf("%d bytes of digests", len(p.Sums()))
	}
	if err := p.Keep([]byte{0b0101}); err != nil || fmt.Sprint(written(p)) != "[b]" {
		t.Fatalf("kept %v, %v", written(p), err)
	}
	if err := p.Keep(nil); api.KindOf(err) != api.Invalid {
		t.Errorf("too short an answer: %v", err)
	}
}

func TestWriteAndChange(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string]string{"a": "1", "b": "2", "d/c": "3"})
	p := NewPlan(b.take(), b.recall())
	var out bytes.Buffer
	sum, size, err := p.Write(t.Context(), &out, nil)
	if err != nil || size != int64(out.Len()) || sum != manifest.SumOf(out.Bytes()) {
		t.Fatalf("wrote %d bytes: %v", size, err)
	}
	r, _, err := pack.Verify(t.Context(), bytes.NewReader(out.Bytes()), size)
	if err != nil || r.Len() != len(p.Objects) {
		t.Fatalf("verified: %v", err)
	}
	for name, change := range map[string]func() error{
		"shrunk": func() error { return os.Truncate(filepath.Join(b.root, "b"), 0) },
		"other":  func() error { return os.WriteFile(filepath.Join(b.root, "b"), []byte("x"), 0o644) },
		"gone":   func() error { return os.Remove(filepath.Join(b.root, "b")) },
		"folder": func() error {
			return errors.Join(os.Remove(filepath.Join(b.root, "b")), os.Mkdir(filepath.Join(b.root, "b"), 0o755))
		},
	} {
		if err := os.RemoveAll(filepath.Join(b.root, "b")); err != nil {
			t.Fatal(err)
		}
		b.write("b", "2")
		if err := change(); err != nil {
			t.Fatal(err)
		}
		var changed *ChangedError
		if _, _, err := p.Write(t.Context(), io.Discard, nil); !errors.As(err, &changed) || changed.Path != "b" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStable(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string]string{"a": "0"})
	again := func(context.Context) (*scan.Tree, error) { return b.take(), nil }
	n := 0
	tree, err := Stable(t.Context(), b.take(), again, func(ctx context.Context, tree *scan.Tree) error {
		if n++; n < 3 {
			b.write("a", fmt.Sprint("changed ", n))
		}
		_, _, err := NewPlan(tree, b.recall()).Write(ctx, io.Discard, nil)
		return err
	})
	if err != nil || tree.Root != b.take().Root {
		t.Fatalf("settled: %v", err)
	}
	_, err = Stable(t.Context(), b.take(), again, func(context.Context, *scan.Tree) error { return &ChangedError{"a"} })
	if api.KindOf(err) != api.Changing {
		t.Errorf("never settled: %v", err)
	}
}

// pipes opens SFTP servers of this process.
type pipes struct{ testing.TB }

func (p pipes) Bulk(context.Context) (io.ReadWriteCloser, error) {
	near, far := net.Pipe()
	server, err := sftp.NewServer(far)
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve() }()
	p.Cleanup(func() { near.Close(); far.Close(); <-done })
	return near, nil
}

func TestUpload(t *testing.T) {
	t.Parallel()
	big := make([]byte, 5<<20+13)
	for i := range big {
		big[i] = byte(i * i >> 7)
	}
	for channels := 1; channels <= 3; channels++ {
		b := newBed(t, map[string]string{"big": string(big), "small": "s"})
		p := NewPlan(b.take(), b.recall())
		incoming := t.TempDir()
		clients := carry.New(pipes{t}, channels, nil)
		t.Cleanup(clients.Close)
		last := int64(0)
		up, err := p.Upload(t.Context(), incoming, clients, func(n int64) { last = n })
		if err != nil || last != p.Bytes {
			t.Fatalf("%d channels: %v, told %d of %d", channels, err, last, p.Bytes)
		}
		data, err := os.ReadFile(filepath.Join(incoming, up.Name))
		if err != nil || int64(len(data)) != up.Size || manifest.SumOf(data) != up.Sum {
			t.Fatalf("%d channels: %d bytes, %v", channels, len(data), err)
		}
		b.write("big", "shrunk")
		var changed *ChangedError
		if _, err := p.Upload(t.Context(), incoming, clients, nil); !errors.As(err, &changed) {
			t.Errorf("changed while sent: %v", err)
		}
		if left, _ := os.ReadDir(incoming); len(left) != 1 {
			t.Errorf("%d files are left in incoming", len(left))
		}
	}
}

func TestUploadFails(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string]string{"a": "1"})
	p := NewPlan(b.take(), b.recall())
	if _, err := p.Upload(t.Context(), filepath.Join(t.TempDir(), "none"), carry.New(pipes{t}, 1, nil), nil); err == nil {
		t.Error("uploaded into nothing")
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := p.Upload(ctx, t.TempDir(), carry.New(pipes{t}, 2, nil), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
