//go:build linux

package workspace

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// journal says which snapshots may have left inputs in a workspace: the last one applied, or, while
// an apply runs or after it was interrupted, all that it could have met and the new one. It is a
// file of lines, of which the last whole one counts, and serves as the lock of the workspace.
type journal struct {
	file      *os.File
	size      int64
	snapshots []manifest.Sum
}

// maxJournal is the size at which the file begins anew, in bytes.
const maxJournal = 64 << 10

// openJournal waits for other applies to the same workspace to end.
func openJournal(ctx context.Context, path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("unable to open workspace journal: %w", err)
	}
	locked := make(chan error, 1)
	go func() {
		locked <- ignoringEINTR(func() error { return unix.Flock(int(file.Fd()), unix.LOCK_EX) })
	}()
	select {
	case err = <-locked:
	case <-ctx.Done():
		go func() { <-locked; file.Close() }() // a lock cannot be given up before it is had
		return nil, ctx.Err()
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("unable to lock workspace: %w", err)
	}
	j := &journal{file: file}
	return j, j.load()
}

func (j *journal) load() error {
	data, err := io.ReadAll(io.LimitReader(j.file, 2*maxJournal))
	if err != nil {
		return fmt.Errorf("unable to read workspace journal: %w", err)
	}
	j.size = int64(len(data))
	for line := range bytes.Lines(data) {
		if sums, ok := parseLine(string(line)); ok {
			j.snapshots = sums
		}
	}
	return nil
}

// parseLine reads a line: a checksum of the rest, then digests.
func parseLine(line string) ([]manifest.Sum, bool) {
	check, rest, _ := strings.Cut(line, " ")
	rest, whole := strings.CutSuffix(rest, "\n")
	if !whole || check != checksum(rest) {
		return nil, false
	}
	var sums []manifest.Sum
	for word := range strings.FieldsSeq(rest) {
		sum, err := manifest.Digest(word).Sum()
		if err != nil {
			return nil, false
		}
		sums = append(sums, sum)
	}
	return sums, len(sums) > 0
}

func formatLine(sums []manifest.Sum) string {
	words := make([]string, len(sums))
	for i, s := range sums {
		words[i] = string(s.Digest())
	}
	rest := strings.Join(words, " ")
	return checksum(rest) + " " + rest + "\n"
}

func checksum(s string) string { return fmt.Sprintf("%08x", crc32.Checksum([]byte(s), castagnoli)) }

// record notes which snapshots may be in the workspace from now on. Durable, it also outlives a loss of power.
func (j *journal) record(sums []manifest.Sum, durable bool) error {
	line := formatLine(sums)
	if j.size+int64(len(line)) > maxJournal {
		if err := j.file.Truncate(0); err != nil {
			return fmt.Errorf("unable to write workspace journal: %w", err)
		}
		j.size = 0
	}
	// The newline before it closes a line that was torn.
	n, err := 0, failpoint.At(failpoint.ApplyJournal)
	if err == nil {
		n, err = j.file.WriteAt([]byte("\n"+line), j.size)
	}
	j.size += int64(n)
	if err == nil && durable {
		err = unix.Fdatasync(int(j.file.Fd()))
	}
	if err != nil {
		return fmt.Errorf("unable to write workspace journal: %w", err)
	}
	j.snapshots = sums
	return nil
}

func (j *journal) close() { j.file.Close() }
