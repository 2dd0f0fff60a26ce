package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/manifest/human"
	"github.com/cyclops-fpga/cyclops/remote/scan"
)

// everywhere are the directories that a host has as well, or has its own of.
var everywhere = []string{
	"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/opt", "/proc", "/run", "/sbin", "/snap", "/srv", "/sys", "/tools", "/usr", "/var",
}

// maxNamed bounds how many paths one line names.
const maxNamed = 3

// sayOutside warns of arguments that name what is here, but outside the tree that was sent: the tool would
// only say that it does not exist.
func (t *trip) sayOutside(args []string) {
	if t.flags.bare || t.host.IsLocal() && t.job.SamePath != nil {
		return // on this machine all of it is there
	}
	cwd, err := filepath.Abs(t.flags.dir)
	if err != nil {
		return
	}
	o := outside{cwd: cwd, root: t.root.Dir, local: t.host.IsLocal()}
	if found := o.find(args); len(found) > 0 {
		t.app.warn("%s", o.text(found, t.host.Name))
	}
}

// outside looks for paths that were not sent.
type outside struct {
	cwd, root string
	local     bool // the host is this machine: absolute paths lead where they do here
}

// find returns those of the command's paths that lie outside the root, as they were written.
func (o *outside) find(args []string) []string {
	var found []string
	for _, arg := range args[min(1, len(args)):] {
		for _, word := range pathsIn(arg) {
			if o.leaves(word) && !slices.Contains(found, word) {
				found = append(found, word)
			}
		}
	}
	return found
}

// pathsIn returns what of an argument may be a path: all of it, what stands behind a flag's letter, behind = and
// between + as in +incdir+DIR, and the parts of lists.
func pathsIn(arg string) []string {
	words := []string{arg}
	if _, value, ok := strings.Cut(arg, "="); ok {
		words = append(words, value)
	}
	if len(arg) > 2 && arg[0] == '-' && arg[1] != '-' {
		words = append(words, arg[2:])
	}
	if strings.HasPrefix(arg, "+") {
		words = append(words, strings.Split(arg, "+")...)
	}
	var paths []string
	for _, w := range words {
		for _, p := range append([]string{w}, strings.FieldsFunc(w, func(r rune) bool { return strings.ContainsRune(" \t:,;", r) })...) {
			if filepath.IsAbs(p) || p == ".." || strings.Contains(p, "../") {
				paths = append(paths, p)
			}
		}
	}
	return paths
}

// leaves tells whether a word is the path of something here that is outside the root.
func (o *outside) leaves(word string) bool {
	path := word
	if !filepath.IsAbs(path) {
		path = filepath.Join(o.cwd, path)
	} else if o.local || ofSystem(path) {
		return false
	}
	real, err := filepath.EvalSymlinks(path)
	return err == nil && !below(real, o.root)
}

// ofSystem tells whether a host has a path of its own.
func ofSystem(path string) bool {
	path = filepath.Clean(path)
	if path == filepath.Dir(path) || path == filepath.Clean(os.TempDir()) || path == "/tmp" || path == "/home" {
		return true
	}
	return slices.ContainsFunc(everywhere, func(dir string) bool { return below(path, dir) })
}

// below tells whether path is dir or lies in it.
func below(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// text names the paths and says what helps.
func (o *outside) text(found []string, host string) string {
	verb, was := "lies", "was"
	if len(found) > 1 {
		verb, was = "lie", "were"
	}
	advice := "move it below the root or make it a submodule"
	if parent := o.common(found); (scan.Place{Root: parent}).Check() == nil {
		advice += ", or make " + parent + " the root with a cyclops.toml there"
	}
	return fmt.Sprintf("%s %s outside the root %s and %s not sent to %s: %s", human.Names(found, maxNamed, len(found)), verb, o.root, was, host, advice)
}

// common is the directory that holds the root and all that is outside it.
func (o *outside) common(found []string) string {
	parent := o.root
	for _, word := range found {
		path := word
		if !filepath.IsAbs(path) {
			path = filepath.Join(o.cwd, path)
		}
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		for !below(path, parent) {
			parent = filepath.Dir(parent)
		}
	}
	return parent
}
