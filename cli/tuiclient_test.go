package cli

import (
	"bytes"
	"io"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/tui"
)

// A log that could not be saved to its end leaves nothing that looks like it.
func TestALogIsCopiedPageByPage(t *testing.T) {
	t.Parallel()
	log := []byte("one two three")
	page := func(most int64) func(from int64) ([]api.LogChunk, api.LogPage, error) {
		return func(from int64) ([]api.LogChunk, api.LogPage, error) {
			size := int64(len(log))
			next := min(from+4, most)
			return []api.LogChunk{{Offset: from, Data: log[from:next]}}, api.LogPage{From: from, Next: next, Size: size}, nil
		}
	}
	var b bytes.Buffer
	if err := copyLog(&b, func(tui.Progress) {}, page(int64(len(log)))); err != nil || !bytes.Equal(b.Bytes(), log) {
		t.Errorf("got %q, %v", b.Bytes(), err)
	}
	if err := copyLog(io.Discard, func(tui.Progress) {}, page(8)); err == nil {
		t.Error("a host that does not come further gives a whole log")
	}
}
