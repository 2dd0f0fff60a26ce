//go:build linux

package joblog

import (
	"errors"
	"os"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/layout"
)

// readOnly opens a file so that it takes neither writes nor truncation.
func readOnly(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// tear leaves bytes behind the end of both files, on a disk that then does not take them back.
func tear(t *testing.T, data layout.Data, w *Writer) {
	t.Helper()
	if err := errors.Join(writeAt(w.log, []byte("torn, and longer than what comes"), w.size), writeAt(w.idx, make([]byte, 3*recordSize), w.idxSize)); err != nil {
		t.Fatal(err)
	}
	log, idx := w.log, w.idx
	w.log, w.idx = readOnly(t, data.Log(testID)), readOnly(t, data.LogIndex(testID))
	for range 2 {
		if err := w.Append(1, []byte("x")); err == nil {
			t.Fatal("it was written")
		}
	}
	if err := w.Sync(); err == nil {
		t.Error("it is durable with what was torn")
	}
	w.log, w.idx = log, idx
}

func TestWhatAFailedWriteLeftIsNotInTheLog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, before, after string }{{"nothing else", "", ""}, {"at the end", "one\n", ""}, {"before more", "one\n", "two\n"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data := newData(t)
			w, err := Create(data, testID)
			if err == nil {
				err = w.Append(1, []byte(c.before))
			}
			if err != nil {
				t.Fatal(err)
			}
			tear(t, data, w)
			if err := errors.Join(w.Append(1, []byte(c.after)), w.Sync()); err != nil {
				t.Fatal(err)
			}
			log, index := w.Files()
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(data.Log(testID))
			if err != nil || string(text) != c.before+c.after {
				t.Errorf("the log is %q, %v", text, err)
			}
			if log2, index2, err := Recover(data, testID); err != nil || log2 != log || index2 != index {
				t.Errorf("the files hold %+v and %+v, their writer says %+v and %+v (%v)", log2, index2, log, index, err)
			}
		})
	}
}
