package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// shimMark begins the second line of every shim; what follows is its version and what it does, as JSON. No file
// without it is ever replaced, removed, or passed over as a shim.
const (
	shimMark    = "# cyclops-shim "
	shimVersion = 1
)

// shim is a small executable that has a tool run on a host.
type shim struct {
	Tool  string   `json:"tool"`
	Host  string   `json:"host,omitempty"`
	Flags []string `json:"flags,omitempty"` // of run
	file  string
}

// name is what the shim is called by. Its file may have been given another one than the tool's.
func (s *shim) name() string { return filepath.Base(s.file) }

// toolName is what a shim may be called: a plain name, which needs no quoting anywhere.
var toolName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]*$`)

// shimScript is the text of every shim. Inside a job it steps aside, so that a host whose PATH leads to the same
// directory, as with a shared home, does not send the tool round in a circle.
const shimScript = `#!/bin/sh
%s%d %s
# Runs %[4]s on a host. Made by "cyclops shim add"; "cyclops shim rm %[4]s" removes it.
if [ -n "${CYCLOPS_JOB-}" ]; then
	set -f
	IFS=:
	for dir in $PATH; do
		file=${dir:-.}/%[4]s
		if [ -f "$file" ] && [ -x "$file" ] && ! head -n 2 "$file" | LC_ALL=C grep -q '^%[1]s'; then
			unset IFS
			exec "$file" "$@"
		fi
	done
	echo 'cyclops: %[4]s: command not found' >&2
	exit 127
fi
cyclops=%[5]s
[ -x "$cyclops" ] || cyclops=cyclops
exec "$cyclops" run %[6]s -- %[4]s "$@"
`

// script is the text of the shim; self is the program that made it.
func (s *shim) script(self string) (string, error) {
	about, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("unable to describe the shim: %w", err)
	}
	words := []string{"--shim"}
	if !slices.Contains(s.Flags, "--isolated") {
		words = append(words, "--concurrent")
	}
	if s.Host != "" {
		words = append(words, "--host", shellQuote(s.Host))
	}
	for _, f := range s.Flags {
		words = append(words, shellQuote(f))
	}
	return fmt.Sprintf(shimScript, shimMark, shimVersion, about, s.Tool, shellQuote(self), strings.Join(words, " ")), nil
}

func shellQuote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// readShim returns the shim that a file is, or nil when it is something else.
func readShim(file string) (*shim, error) {
	info, err := os.Lstat(file)
	if err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := bufio.NewReader(io.LimitReader(f, 64<<10))
	if first, _ := r.ReadString('\n'); first != "#!/bin/sh\n" {
		return nil, nil
	}
	line, _ := r.ReadString('\n')
	rest, ok := strings.CutPrefix(line, shimMark)
	if !ok {
		return nil, nil
	}
	_, about, _ := strings.Cut(rest, " ") // a later version's is a shim too, whatever else it says
	s := &shim{file: file}
	if json.Unmarshal([]byte(about), s) != nil {
		s.Tool = filepath.Base(file)
	}
	return s, nil
}

// isShim tells whether a file that may be no file of ours is one.
func isShim(file string) bool {
	s, err := readShim(file)
	return err == nil && s != nil
}

// write puts the shim in place, over an older one of ours but never over anything else.
func (s *shim) write(self string) error {
	text, err := s.script(self)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(s.file), ".cyclops-shim-*")
	if err != nil {
		return fmt.Errorf("unable to write shim: %w", err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(text)
	if err = errors.Join(err, temp.Chmod(0o755), temp.Close()); err != nil {
		return fmt.Errorf("unable to write shim: %w", err)
	}
	err = os.Link(temp.Name(), s.file) // fails where something is, a rename would replace it
	if err == nil {
		return nil
	}
	if old, lerr := readShim(s.file); !errors.Is(lerr, fs.ErrNotExist) && (lerr != nil || old == nil) {
		return api.Errorf(api.Conflict, "choose another directory with --dir, or remove the file", "%s is there and is no shim", s.file)
	}
	if err := os.Rename(temp.Name(), s.file); err != nil {
		return fmt.Errorf("unable to write shim: %w", err)
	}
	return nil
}
