//go:build linux

package joblog

import (
	"bytes"
	"errors"
	"hash/crc32"
	"os"
	"runtime"
	"testing"
)

// Not parallel: it counts what the process takes. The daemon checks logs too, and a log of 10 GB may have
// more records than it has memory.
func TestACheckTakesNoMemoryForALongLog(t *testing.T) {
	const records = 200_000
	data := newData(t)
	idx := []byte(indexMagic)
	for i := range int64(records) {
		idx = record{offset: i, time: i, length: 1, sum: crc32.Checksum([]byte("x"), castagnoli), stream: 1}.append(idx)
	}
	if err := errors.Join(os.WriteFile(data.Log(testID), bytes.Repeat([]byte("x"), records), 0o600), os.WriteFile(data.LogIndex(testID), idx, 0o600)); err != nil {
		t.Fatal(err)
	}
	for what, look := range map[string]func() error{
		"check": func() error {
			wrong, err := Check(t.Context(), data, testID)
			if len(wrong) > 0 {
				t.Errorf("found %q", wrong)
			}
			return err
		},
		"remake": func() error {
			_, _, err := Remake(t.Context(), data, testID)
			return err
		},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := look(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%s takes %d bytes for an index of %d", what, took, len(idx))
		}
	}
	if now, err := os.ReadFile(data.LogIndex(testID)); err != nil || !bytes.Equal(now, idx) {
		t.Errorf("the index of a sound log was made anew as another: %v", err)
	}
}
