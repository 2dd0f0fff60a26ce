// Package journal remembers which jobs this user sent where, so that a job can be named without its host.
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/remote/filelock"
	"github.com/cyclops-fpga/cyclops/remote/place"
)

// The journal is cut back to Keep entries once it has twice as many.
const Keep = 10_000

// maxLine bounds a line in bytes: names are the user's own, but a damaged file may hold anything.
const maxLine = 64 << 10

// Entry says where a job went.
type Entry struct {
	ID        string    `json:"id"`
	Host      string    `json:"host"`
	Store     string    `json:"store,omitempty"`
	Root      string    `json:"root,omitempty"` // of the tree, on this machine
	Name      string    `json:"name,omitempty"`
	Project   string    `json:"project,omitempty"`
	Workspace string    `json:"workspace,omitempty"`
	Beside    string    `json:"beside,omitempty"` // id of the job in whose workspace it ran
	Created   time.Time `json:"created"`
}

// Journal is the file of a user.
type Journal struct{ file string }

// Open returns the journal in dirs.
func Open(dirs place.Dirs) *Journal { return &Journal{filepath.Join(dirs.State, "journal")} }

// Add appends an entry. A later entry of the same id replaces an earlier one.
func (j *Journal) Add(e Entry) error {
	unlock, err := filelock.Lock(j.file + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	line, err := encode(e)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(j.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unable to read the journal: %w", err)
	}
	if bytes.Count(data, []byte("\n")) >= 2*Keep {
		return j.rewrite(data, line)
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		// The last writer was cut off; its half line must not swallow this one.
		line = append([]byte("\n"), line...)
	}
	return j.append(line)
}

func (j *Journal) append(line []byte) error {
	f, err := os.OpenFile(j.file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("unable to write the journal: %w", err)
	}
	err = failpoint.Do(failpoint.ClientJournal, func() error { _, err := f.Write(line); return err })
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("unable to write the journal: %w", err)
	}
	return nil
}

// rewrite keeps the newest entries and adds line.
func (j *Journal) rewrite(data, line []byte) error {
	list, _ := decode(data)
	list = list[max(0, len(list)-Keep):]
	var out []byte
	for _, e := range list {
		kept, err := encode(e)
		if err != nil {
			return err
		}
		out = append(out, kept...)
	}
	temp := j.file + ".new"
	err := os.WriteFile(temp, append(out, line...), 0o600)
	if err == nil {
		err = os.Rename(temp, j.file)
	}
	if err != nil {
		return fmt.Errorf("unable to shorten the journal: %w", err)
	}
	return nil
}

// encode writes an entry as a line: checksum, space, JSON.
func encode(e Entry) ([]byte, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("unable to write job %s to the journal: %w", e.ID, err)
	}
	if len(data) > maxLine {
		return nil, fmt.Errorf("unable to write job %s to the journal: %d bytes are too many", e.ID, len(data))
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(data), data), nil
}

// decode returns the entries, oldest first, and how many lines before the last are damaged. The last line may be torn:
// its writer was cut off before it told anybody of the job.
func decode(data []byte) (list []Entry, damaged int) {
	at := map[string]int{}
	for line := range bytes.Lines(data) {
		e, ok := decodeLine(line)
		if !ok {
			if bytes.HasSuffix(line, []byte("\n")) && len(line) > 1 {
				damaged++
			}
			continue
		}
		if i, again := at[e.ID]; again {
			list[i] = e
			continue
		}
		at[e.ID] = len(list)
		list = append(list, e)
	}
	return list, damaged
}

func decodeLine(line []byte) (e Entry, ok bool) {
	line, whole := bytes.CutSuffix(line, []byte("\n"))
	if !whole || len(line) < 10 || len(line) > maxLine+9 || line[8] != ' ' {
		return e, false
	}
	sum, err := strconv.ParseUint(string(line[:8]), 16, 32)
	if err != nil || uint32(sum) != crc32.ChecksumIEEE(line[9:]) {
		return e, false
	}
	err = json.Unmarshal(line[9:], &e)
	return e, err == nil && manifest.ValidID(e.ID)
}

// List returns the entries, newest first, and how many damaged lines were left out.
func (j *Journal) List() ([]Entry, int, error) {
	data, err := os.ReadFile(j.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("unable to read the journal: %w", err)
	}
	list, damaged := decode(data)
	slices.Reverse(list)
	return list, damaged, nil
}

// Lookup finds the job that a person means: HOST/ID, @N (the Nth newest, from 1), an id, a name (its newest job), or the
// beginning of an id. HOST/ID need not be in the journal; if it is not, only those two fields are set.
func (j *Journal) Lookup(word string) (Entry, error) {
	list, _, err := j.List()
	if err != nil {
		return Entry{}, err
	}
	if host, id, ok := cutHost(word); ok {
		return onHost(list, host, id)
	}
	if n, ok := strings.CutPrefix(word, "@"); ok {
		// A shell is no step in anybody's work: @1 stays the job that it was opened for.
		return nth(slices.DeleteFunc(list, func(e Entry) bool { return e.Beside != "" }), n)
	}
	for _, match := range []func(Entry) bool{
		func(e Entry) bool { return e.ID == word },
		func(e Entry) bool { return e.Name == word },
	} {
		if i := slices.IndexFunc(list, match); i >= 0 && word != "" {
			return list[i], nil
		}
	}
	return byPrefix(list, word)
}

// cutHost takes HOST/ID apart; the host may hold slashes.
func cutHost(word string) (host, id string, ok bool) {
	i := strings.LastIndexByte(word, '/')
	if i <= 0 || !manifest.ValidIDPrefix(word[i+1:]) {
		return "", "", false
	}
	return word[:i], word[i+1:], true
}

func onHost(list []Entry, host, id string) (Entry, error) {
	list = slices.DeleteFunc(slices.Clone(list), func(e Entry) bool { return e.Host != host })
	e, err := byPrefix(list, id)
	if api.KindOf(err) == api.NotFound && manifest.ValidID(id) {
		return Entry{ID: id, Host: host}, nil
	}
	return e, err
}

func nth(list []Entry, n string) (Entry, error) {
	i, err := strconv.Atoi(n)
	if err != nil || i < 1 {
		return Entry{}, api.Errorf(api.Usage, "@1 is your latest job, @2 the one before it", "@%s names no job", n)
	}
	if i > len(list) {
		return Entry{}, api.Errorf(api.NotFound, "cyclops ps --all lists them", "there is no job @%d: the journal knows %d", i, len(list))
	}
	return list[i-1], nil
}

func byPrefix(list []Entry, word string) (Entry, error) {
	var found []Entry
	for _, e := range list {
		if manifest.ValidIDPrefix(word) && strings.HasPrefix(e.ID, word) {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 0:
		return Entry{}, api.Errorf(api.NotFound, "cyclops ps --all lists jobs; a job sent from elsewhere is named HOST/ID", "no job is called %q", word)
	case 1:
		return found[0], nil
	}
	return Entry{}, api.Errorf(api.Ambiguous, "give more of the id", "%q could be %s, %s%s", word, found[0].ID, found[1].ID, more(len(found)-2))
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" or %d more", n)
}
