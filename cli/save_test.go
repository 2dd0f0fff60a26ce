package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

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

// What came to the name while the log was written is somebody's file.
func TestSavingReplacesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "job.log")
	err := saveAs(path, func(io.Writer) error { return os.WriteFile(path, []byte("mine"), 0o600) })
	if data, _ := os.ReadFile(path); api.KindOf(err) != api.Usage || string(data) != "mine" {
		t.Errorf("got %v, %q", err, data)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("left %v", files)
	}
}
