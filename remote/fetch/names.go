package fetch

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cyclops-fpga/cyclops/remote/scan"
)

// Limits of a name that a host may give.
const (
	maxName      = 4096 // bytes
	maxComponent = 255  // bytes
	maxDepth     = 255  // components
)

// forbidden are names that would make a tool run what a host wrote, as folded by fold.
var forbidden = []string{".git", scan.ProjectFile, ".envrc", ".vscode"}

// shortNames are the beginnings of what Windows calls the forbidden ones in 8.3 form.
var shortNames = []string{"git~", "cyclop~", "envrc~", "vscode~"}

// checkName says why nothing may be fetched onto a name, if so.
func checkName(name string) error {
	if name == "" || len(name) > maxName || path.Clean(name) != name || !filepath.IsLocal(filepath.FromSlash(name)) || name == "." {
		return errors.New("its name leads out of the tree")
	}
	if !utf8.ValidString(name) && runtime.GOOS != "linux" {
		return errors.New("its name is not written in UTF-8")
	}
	parts := strings.Split(name, "/")
	if len(parts) > maxDepth {
		return fmt.Errorf("it lies more than %d directories deep", maxDepth)
	}
	for _, p := range parts {
		if err := checkComponent(p); err != nil {
			return err
		}
	}
	return nil
}

func checkComponent(p string) error {
	switch {
	case len(p) > maxComponent:
		return fmt.Errorf("a part of its name is longer than %d bytes", maxComponent)
	case strings.IndexFunc(p, unicode.IsControl) >= 0:
		return errors.New("its name holds control characters")
	case runtime.GOOS == "windows" && strings.ContainsAny(p, `\:*?"<>|`):
		return errors.New("its name holds characters that Windows gives a meaning")
	case strings.HasPrefix(p, scan.OwnMark):
		return fmt.Errorf("names that begin with %s are kept for what is being fetched", scan.OwnMark)
	}
	folded := fold(p)
	for _, f := range forbidden {
		if strings.EqualFold(folded, f) {
			return fmt.Errorf("nothing is fetched onto %s", f)
		}
	}
	for _, s := range shortNames {
		if rest, ok := cutFold(folded, s); ok && rest != "" && strings.Trim(rest[:1], "0123456789") == "" {
			return fmt.Errorf("%s can be another name of a file that nothing is fetched onto", p)
		}
	}
	return nil
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// fold takes out what some file system ignores in a name: code points without a width, what follows a colon on NTFS,
// trailing dots and spaces.
func fold(p string) string {
	p = strings.Map(func(r rune) rune {
		if ignorable(r) {
			return -1
		}
		return r
	}, p)
	p, _, _ = strings.Cut(p, ":")
	return strings.TrimRight(p, ". ")
}

// ignorable tells whether HFS+ or a normalising file system may pass over r.
func ignorable(r rune) bool {
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || unicode.Is(unicode.Variation_Selector, r)
}

// checkTarget says why a symlink of that name may not point to target. ".." is taken only at the beginning: behind a
// name that is itself a symlink it would lead somewhere else than it reads.
func checkTarget(name, target string) error {
	if target == "" || len(target) > maxName || strings.ContainsRune(target, 0) || strings.ContainsRune(target, '\\') && runtime.GOOS == "windows" {
		return errors.New("its target cannot be one")
	}
	if path.IsAbs(target) || filepath.IsAbs(target) || filepath.VolumeName(target) != "" {
		return errors.New("it points to an absolute path")
	}
	down := false
	for p := range strings.SplitSeq(target, "/") {
		if p == ".." && down {
			return errors.New("its target goes down and up again")
		}
		down = down || p != ".." && p != "." && p != ""
	}
	to := path.Join(path.Dir(name), target)
	if to == ".." || strings.HasPrefix(to, "../") {
		return errors.New("it points out of the tree")
	}
	for p := range strings.SplitSeq(to, "/") {
		if err := checkComponent(p); err != nil && p != "." {
			return fmt.Errorf("its target is refused: %w", err)
		}
	}
	return nil
}
