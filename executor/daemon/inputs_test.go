//go:build linux

package daemon_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/inputs"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// refusedAs reads the Missing that a Submit is answered with.
func (c *client) missing() api.Missing {
	c.Helper()
	var m api.Missing
	f, _ := c.next()
	if f.Type != api.FrameMissing {
		c.Fatalf("got frame %d %s instead of Missing", f.Type, f.Payload)
	}
	c.decode(f, &m)
	return m
}

func (h *host) packs() int {
	h.Helper()
	entries, err := os.ReadDir(h.data.Packs())
	if err != nil {
		h.Fatal(err)
	}
	return len(entries)
}

func TestDifferenceToABaseIsEnough(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	files := map[string]string{"a": "1", "sub/b": "2", "same/c": "3"}
	base := newTree(t, files)
	if err := h.inline(job("true", "w"), base, nil, everything).drain(); err != nil {
		t.Fatal(err)
	}
	files["sub/b"] = "changed"
	next := newTree(t, files)
	c := h.inline(job("cat a sub/b same/c", "w"), next, base, everything)
	if err := c.drain(); err != nil || c.text(0) != "1changed3" {
		t.Fatalf("got %v, %q", err, c.text(0))
	}
	j := job("cat sub/b", "w")
	j.Input.Snapshot = next.root.Digest()
	if c := h.run(j); c.text(0) != "changed" || h.packs() != 2 {
		t.Errorf("an untouched tree: %q, %d packs", c.text(0), h.packs())
	}
}

func TestMissingNamesExactlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	s := newTree(t, map[string]string{"a": "1", "sub/b": "2"})
	lost := manifest.SumOf([]byte("2"))
	part := &tree{root: s.root, objects: map[manifest.Sum]object{}}
	for sum, o := range s.objects {
		if sum != lost {
			part.objects[sum] = o
		}
	}
	c := h.inline(job("cat sub/b", "w"), part, nil, everything)
	m := c.missing()
	if !bytes.Equal(m.Objects, lost[:]) || len(m.UnknownBases) != 0 {
		t.Fatalf("missing %x", m.Objects)
	}
	// What came is held for the job, so the rest is enough.
	j := job("cat sub/b", "w")
	c = h.inline(j, part, nil, everything)
	c.missing()
	c.sendPack((&tree{objects: map[manifest.Sum]object{lost: s.objects[lost]}}).pack(t, nil))
	c.send(api.FrameSubmit, api.Submit{Job: encode(t, j), Inline: true, Follow: everything})
	if err := c.drain(); err != nil || c.text(0) != "2" {
		t.Errorf("got %v, %q", err, c.text(0))
	}
}

func TestUnknownBaseIsSaid(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	base := newTree(t, map[string]string{"a": "1"})
	next := newTree(t, map[string]string{"a": "1", "b": "2"})
	c := h.inline(job("cat a b", "w"), next, base, everything)
	m := c.missing()
	if len(m.UnknownBases) != 1 || m.UnknownBases[0] != base.root.Digest() || len(m.Objects) != 0 {
		t.Errorf("got %+v", m)
	}
}

func TestDamagedOrForeignUploadsAreRefused(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	s := newTree(t, map[string]string{"a": "1"})
	data := s.pack(t, nil)
	data[len(data)/2] ^= 1
	for name, kind := range map[string]api.Kind{"good-name": api.Corrupt, "../jobs.db": api.Invalid, ".hidden": api.Invalid} {
		if kind == api.Corrupt {
			if err := os.WriteFile(filepath.Join(h.data.Incoming(), name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		j := job("true", "w")
		j.Input.Snapshot = s.root.Digest()
		c := h.stream()
		c.send(api.FrameSubmit, api.Submit{Job: encode(t, j), Uploads: []string{name}})
		if err := c.drain(); err == nil || err.Kind != kind {
			t.Errorf("%s: got %v, want kind %d", name, err, kind)
		}
	}
	if h.packs() != 0 {
		t.Errorf("%d packs were kept", h.packs())
	}
}

func TestRemovingFreesWhatOnlyThatJobUsed(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	files := map[string]string{"a": "1"}
	base := newTree(t, files)
	first := job("mkdir -p ro/x && chmod 500 ro", "w")
	h.inline(first, base, nil, everything).drain()
	files["b"] = "2"
	second := job("true", "w")
	second.Workspace.Mode = manifest.Isolated
	h.inline(second, newTree(t, files), base, everything).drain()
	if h.packs() != 2 {
		t.Fatalf("%d packs", h.packs())
	}
	for _, step := range []struct {
		id    string
		packs int
		gone  string
	}{{second.ID, 1, h.data.Workspace(second.ID)}, {first.ID, 0, h.data.Workspace("w")}} {
		if _, err := os.Lstat(step.gone); err != nil {
			t.Errorf("before: %v", err)
		}
		if err := h.call("DELETE", "/v1/jobs/"+step.id, nil, nil); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{step.gone, h.data.Job(step.id)} {
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("%s is still there: %v", path, err)
			}
		}
		if h.packs() != step.packs {
			t.Errorf("%d packs are left, want %d", h.packs(), step.packs)
		}
	}
	if left, _ := os.ReadDir(h.data.Incoming()); len(left) != 0 {
		t.Errorf("incoming/ holds %v", left)
	}
}

func TestARunningJobIsNotRemoved(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	g := h.gate(job("", "w"))
	if err := h.call("DELETE", "/v1/jobs/"+g.id, nil, nil); err == nil || err.Kind != api.Conflict {
		t.Errorf("got %v", err)
	}
	g.open()
	g.drain()
}

func TestASnapshotOfManyPacksStaysWhole(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	files, want := map[string]string{}, 0
	var base *tree
	for i := range inputs.MaxPacks + 2 {
		content := fmt.Sprint("content ", i)
		files[fmt.Sprint("f", i)] = content
		want += len(content)
		next := newTree(t, files)
		if err := h.inline(job("cat f0", "w"), next, base, everything).drain(); err != nil {
			t.Fatal(err)
		}
		base = next
	}
	j := job("cat f*", "other")
	j.Input.Snapshot = base.root.Digest()
	if c := h.run(j); len(c.text(0)) != want {
		t.Errorf("got %q", c.text(0))
	}
}

func TestMissingObjectsAreAskedFor(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	s := newTree(t, map[string]string{"a": "1"})
	h.inline(job("true", "w"), s, nil, everything).drain()
	have, lack := manifest.SumOf([]byte("1")), manifest.SumOf([]byte("2"))
	var reply api.MissingReply
	request := api.MissingRequest{Job: manifest.NewID(), Objects: append(append([]byte{}, have[:]...), lack[:]...)}
	if err := h.call("POST", api.PathMissing, request, &reply); err != nil || len(reply.Missing) != 1 || reply.Missing[0] != 2 {
		t.Errorf("got %v, %v", err, reply.Missing)
	}
	request.Objects = request.Objects[:40]
	if err := h.call("POST", api.PathMissing, request, nil); err == nil || err.Kind != api.Invalid {
		t.Errorf("got %v", err)
	}
}
