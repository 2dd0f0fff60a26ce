package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/cyclops-fpga/cyclops/remote/filelock"
)

// maxReverted bounds how many files one warning names.
const maxReverted = 5

// sayChanged warns once of every input that the job rewrote and that does not come back, as a project file
// of the tool's: the next run undoes what the tool did to it.
func (t *trip) sayChanged() {
	fresh, err := t.app.unsaid(t.root.Dir, t.manifest.ChangedInputs)
	if err != nil {
		t.app.warn("%v", err)
	}
	here := map[string]bool{}
	for _, a := range t.manifest.Artifacts {
		here[a.Name] = true
	}
	var changed, gone []string
	for _, name := range fresh {
		if here[name] {
			changed = append(changed, name)
		} else {
			gone = append(gone, name)
		}
	}
	if len(changed) > 0 {
		t.app.warn("the job changed %s, not fetched: the next run reverts that. To have it here: cyclops fetch %s %s", human.Names(changed, maxReverted, len(changed)), t.job.ID, shellWord(changed[0]))
	}
	if len(gone) > 0 {
		t.app.warn("the job removed %s, still here: the next run restores that on the host", human.Names(gone, maxReverted, len(gone)))
	}
}

func shellWord(word string) string {
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-") == "" {
		return word
	}
	return shellQuote(word)
}

// unsaid returns those of the names below root that this user was not warned of, and remembers them.
func (app *App) unsaid(root string, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	key := sha256.Sum256([]byte(root))
	file := filepath.Join(app.dirs.State, "reverted", hex.EncodeToString(key[:12]))
	unlock, err := filelock.Lock(file + ".lock")
	if err != nil {
		return names, err
	}
	defer unlock()
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return names, fmt.Errorf("unable to read what was said before: %w", err)
	}
	known := strings.Split(string(data), "\n")
	fresh := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(known, n) || strings.Contains(n, "\n") })
	if len(fresh) == 0 {
		return nil, nil
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err == nil {
		_, err = out.WriteString(strings.Join(fresh, "\n") + "\n")
		err = errors.Join(err, out.Close())
	}
	if err != nil {
		err = fmt.Errorf("unable to remember what was said: %w", err)
	}
	return fresh, err
}
