//go:build linux

package daemon_test

import (
	"os"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

func TestAJobWithoutARecordCanBeWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	id := h.run(job("true", "w")).accepted.Job.ID
	h.halt()
	edit(t, h.data, id, func(s *store.Store, j store.Job) error {
		j.State, j.ExitCode, j.Reason, j.Record = manifest.Lost, nil, "its document was gone", manifest.Sum{}
		return s.End(t.Context(), j)
	})
	if err := os.Remove(h.data.Manifest(id)); err != nil {
		t.Fatal(err)
	}
	h.start()
	c := h.follow(api.Follow{Job: id})
	f := c.read()
	for ; f.Type == api.FrameState; f = c.read() {
	}
	if f.Type != api.FrameResult {
		t.Fatalf("got frame %d %s", f.Type, f.Payload)
	}
	var r api.Result
	c.decode(f, &r)
	m, err := manifest.DecodeManifest(r.Manifest)
	if err != nil || m.State != manifest.Lost || m.Reason != "its document was gone" {
		t.Errorf("got %+v, %v", m, err)
	}
	if err := c.drain(); err != nil {
		t.Error(err)
	}
}
