//go:build linux

package supervise

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/environ"
)

// The kinds of terminal that come closest to any of today, best first.
var commonTerms = [...]string{"xterm-256color", "xterm", "vt100", "dumb"}

// setTerm names the kind of terminal that the job runs on: the client's if this host knows it.
// One that it does not know would keep every full-screen program from starting.
func (s *supervisor) setTerm(env []string) []string {
	if s.term == nil {
		return env
	}
	want := s.job.Terminal.Term
	term := termFor(env, want)
	if term != want {
		s.warn(fmt.Sprintf("the host does not know terminals of the kind %q: TERM is %s", want, term))
	}
	return environ.Set(env, "TERM", term)
}

// termFor returns want, or the best of the common ones that this host knows in its place. A host
// that knows none at all has no such data, and programs that do without take the name as it is.
func termFor(env []string, want string) string {
	usable := want != "" && !strings.ContainsAny(want, "/\x00\n") && !strings.HasPrefix(want, ".")
	dirs := terminfoDirs(env)
	if usable && knowsTerm(dirs, want) {
		return want
	}
	for _, term := range commonTerms {
		if knowsTerm(dirs, term) {
			return term
		}
	}
	if usable {
		return want
	}
	return "dumb"
}

// terminfoDirs returns where programs with this environment look, as ncurses does.
func terminfoDirs(env []string) []string {
	var dirs []string
	add := func(dir string) {
		if filepath.IsAbs(dir) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	add(environ.Get(env, "TERMINFO"))
	if home := environ.Get(env, "HOME"); home != "" {
		add(filepath.Join(home, ".terminfo"))
	}
	for _, dir := range filepath.SplitList(environ.Get(env, "TERMINFO_DIRS")) {
		add(dir)
	}
	for _, dir := range []string{"/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo", "/usr/lib/terminfo"} {
		add(dir)
	}
	return dirs
}

// knowsTerm looks for a description below the first letter of its name, or that letter's number
// where file systems do not tell small letters from capitals.
func knowsTerm(dirs []string, term string) bool {
	for _, dir := range dirs {
		for _, below := range []string{term[:1], fmt.Sprintf("%x", term[0])} {
			info, err := os.Stat(filepath.Join(dir, below, term))
			if err == nil && info.Mode().IsRegular() {
				return true
			}
		}
	}
	return false
}
