package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/tui"
)

// A log that could not be saved to its end leaves nothing that looks like it.
func TestALogIsSavedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "job.log")
	broken := errors.New("the line broke")
	err := saveAs(path, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 0 {
		t.Errorf("left %v", files)
	}
	whole := func(w io.Writer) error { _, err := io.WriteString(w, "whole"); return err }
	if err := saveAs(path, whole); err != nil {
		t.Fatal(err)
	}
	if err := saveAs(path, whole); api.KindOf(err) != api.Usage {
		t.Errorf("a file that is there: %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "whole" {
		t.Errorf("got %q", data)
	}
}

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
