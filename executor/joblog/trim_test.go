//go:build linux

package joblog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whichever byte of either file the disk did not get, what stays is a prefix, and all in front of the hole.
func TestTrimKeepsWhatTheIndexVouchesFor(t *testing.T) {
	t.Parallel()
	const line, n = "text\n", 5
	whole := newData(t)
	var pieces []piece
	for i := range n {
		pieces = append(pieces, piece{uint8(1 + i%2), line})
	}
	write(t, whole, pieces...)
	log, err1 := os.ReadFile(whole.Log(testID))
	idx, err2 := os.ReadFile(whole.LogIndex(testID))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for at := range len(log) + len(idx) {
		data := dataIn(t, filepath.Join(t.TempDir(), fmt.Sprint(at)))
		holed := [][]byte{append([]byte(nil), log...), append([]byte(nil), idx...)}
		kept := 0
		if at < len(log) {
			holed[0][at] ^= 0xff
			kept = at / len(line)
		} else if holed[1][at-len(log)] ^= 0xff; at-len(log) < int(headerSize) {
			kept = n
		} else {
			kept = (at - len(log) - int(headerSize)) / recordSize
		}
		if err := errors.Join(os.WriteFile(data.Log(testID), holed[0], 0o600), os.WriteFile(data.LogIndex(testID), holed[1], 0o600)); err != nil {
			t.Fatal(err)
		}
		cut, err := Trim(data, testID)
		if err != nil || cut != int64(len(line)*(n-kept)) {
			t.Fatalf("byte %d: %d bytes were cut, %v", at, cut, err)
		}
		if _, _, err := Recover(data, testID); err != nil {
			t.Fatal(err)
		}
		r, size := open(t, data)
		if got := all(t, r, size, 0); got != strings.Repeat(line, kept) {
			t.Fatalf("byte %d: %q is left", at, got)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTrimLeavesAWholeLogAlone(t *testing.T) {
	t.Parallel()
	data := newData(t)
	var pieces []piece
	for range 2*recordBlock + 1 {
		pieces = append(pieces, piece{1, "x"})
	}
	write(t, data, pieces...)
	if cut, err := Trim(data, testID); cut != 0 || err != nil {
		t.Errorf("%d bytes were cut, %v", cut, err)
	}
	r, size := open(t, data)
	defer r.Close()
	if got := all(t, r, size, 0); len(got) != len(pieces) {
		t.Errorf("%d bytes are left", len(got))
	}
	if cut, err := Trim(newData(t), testID); cut != 0 || err != nil {
		t.Errorf("no log at all: %d, %v", cut, err)
	}
}
