package fetch

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/remote/filelock"
	"github.com/cyclops-fpga/cyclops/remote/place"
)

// remembered is how many of the last contents put at a path are known: a line is written before its rename, so that after
// a crash between the two the one before it still counts.
const remembered = 2

// spare is how many lines beyond twice the needed ones make a record worth rewriting.
const spare = 1000

// record is what Cyclops put at which path below one root: lines of "content name", newest last.
type record struct {
	name  string
	mu    sync.Mutex
	turns sync.Mutex // held by the goroutine that commits, where other processes do too
	file  *os.File
	read  int64 // bytes of the file that last knows
	last  map[string][]string
	when  map[string]int64 // when the host's file changed that was last put at a path; of jobs that ran side by side
}

func openRecord(dirs place.Dirs, root string) (*record, error) {
	key := manifest.SumOf([]byte(root))
	r := &record{name: filepath.Join(dirs.State, "placed", hex.EncodeToString(key[:12])), last: map[string][]string{}, when: map[string]int64{}}
	unlock, err := filelock.Lock(r.name + ".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	data, err := os.ReadFile(r.name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("unable to read what was fetched before: %w", err)
	}
	lines := r.decode(data)
	if lines > 2*len(r.last)+spare {
		if err := os.WriteFile(r.name+".new", r.encode(), 0o600); err != nil {
			return nil, fmt.Errorf("unable to shorten the record of what was fetched: %w", err)
		}
		if err := os.Rename(r.name+".new", r.name); err != nil {
			return nil, fmt.Errorf("unable to shorten the record of what was fetched: %w", err)
		}
	}
	r.file, err = os.OpenFile(r.name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err == nil && len(data) > 0 && data[len(data)-1] != '\n' {
		_, err = r.file.WriteString("\n")
	}
	if err != nil {
		return nil, fmt.Errorf("unable to record what is fetched: %w", err)
	}
	return r, nil
}

// decode reads lines, passing over those that are torn, and returns how many there are.
func (r *record) decode(data []byte) (lines int) {
	for line := range bytes.Lines(data) {
		lines++
		content, quoted, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		name, err := strconv.Unquote(quoted)
		content, when, _ := strings.Cut(content, whenMark)
		if ok && err == nil {
			changed, _ := strconv.ParseInt(when, 10, 64)
			r.remember(name, content, changed)
		}
	}
	return lines
}

func (r *record) encode() []byte {
	var out []byte
	for name, list := range r.last {
		for i, content := range list {
			changed := int64(0)
			if i == len(list)-1 {
				changed = r.when[name]
			}
			out = append(out, recordLine(name, content, changed)...)
		}
	}
	return out
}

func (r *record) remember(name, content string, changed int64) {
	delete(r.when, name)
	if changed != 0 {
		r.when[name] = changed
	}
	list := r.last[name]
	if len(list) == 0 || list[len(list)-1] != content { // it may be read again at a turn
		list = append(list, content)
	}
	r.last[name] = list[max(0, len(list)-remembered):]
}

// whenMark stands between a content and when the host's file changed.
const whenMark = "@"

func recordLine(name, content string, changed int64) string {
	if changed != 0 {
		content += whenMark + strconv.FormatInt(changed, 10)
	}
	return content + " " + strconv.Quote(name) + "\n"
}

// add records that content is about to be put at name.
func (r *record) add(name, content string, changed time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := int64(0)
	if !changed.IsZero() {
		at = changed.UnixNano()
	}
	r.remember(name, content, at)
	if err := failpoint.Do(failpoint.ClientPlaced, func() error { _, err := r.file.WriteString(recordLine(name, content, at)); return err }); err != nil {
		return fmt.Errorf("unable to record what is fetched: %w", err)
	}
	return nil
}

// has tells whether content is what Cyclops put at name.
func (r *record) has(name, content string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.last[name] {
		if c == content {
			return true
		}
	}
	return false
}

func (r *record) close() error { return r.file.Close() }
