package scan

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// IgnoreName is the file at the root that names what never travels, in the writing of .gitignore.
const IgnoreName = ".cyclopsignore"

// maxIgnoreFile bounds IgnoreName in bytes: a huge one would make every scan slow.
const maxIgnoreFile = 1 << 20

// OwnMark is in the names of files that a fetch makes: at the beginning while it writes, and before the job's id where
// it put an output beside a file of the user's. They never travel.
const OwnMark = ".cyclops-"

// own tells whether name is one that a fetch made.
func own(name string) bool {
	base, id, found := strings.Cut(name, OwnMark)
	return found && (base == "" || manifest.ValidIDPrefix(strings.TrimRight(id, "-23456789")))
}

// ignoreFile holds the rules of IgnoreName.
type ignoreFile struct {
	sum      manifest.Sum
	patterns gitignore.Matcher
	globs    []string
}

func readIgnoreFile(root string) (*ignoreFile, error) {
	f, err := openFile(filepath.Join(root, IgnoreName))
	if errors.Is(err, fs.ErrNotExist) {
		return &ignoreFile{}, nil
	}
	if err != nil {
		return nil, unreadable(IgnoreName, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxIgnoreFile+1))
	if err != nil {
		return nil, unreadable(IgnoreName, err)
	}
	if len(data) > maxIgnoreFile {
		return nil, api.Errorf(api.Usage, "name directories instead of files", "%s is larger than %d bytes", IgnoreName, maxIgnoreFile)
	}
	return parseIgnore(data), nil
}

func parseIgnore(data []byte) *ignoreFile {
	var patterns []gitignore.Pattern
	var globs []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		patterns = append(patterns, gitignore.ParsePattern(line, nil))
		if strings.HasPrefix(line, "!") {
			// A glob cannot be taken back: rather bring an output too many home than leave out one that was asked for.
			globs = nil
			continue
		}
		globs = append(globs, globsOf(line)...)
	}
	ig := &ignoreFile{sum: manifest.SumOf(data), globs: globs}
	if len(patterns) > 0 {
		ig.patterns = gitignore.NewMatcher(patterns)
	}
	return ig
}

// globsOf writes a line of an ignore file as globs below the root.
func globsOf(line string) []string {
	line = strings.TrimRight(strings.TrimPrefix(line, `\`), " ")
	onlyDir := strings.HasSuffix(line, "/")
	glob := strings.TrimSuffix(line, "/")
	if !strings.Contains(glob, "/") {
		glob = "**/" + glob
	}
	glob = strings.TrimPrefix(glob, "/")
	if onlyDir {
		return []string{glob + "/**"}
	}
	return []string{glob, glob + "/**"}
}

// excludes tells whether the name at a slash-separated path never travels.
func (ig *ignoreFile) excludes(path string, isDir bool) bool {
	return ig.patterns != nil && ig.patterns.Match(strings.Split(path, "/"), isDir)
}

// staysHome tells whether the name that git has for a file, or with a slash behind it for a directory, never travels.
func (ig *ignoreFile) staysHome(name string) bool {
	path, isDir := strings.CutSuffix(name, "/")
	return slices.ContainsFunc(strings.Split(path, "/"), own) || ig.excludes(path, isDir)
}

// unreadable says which file of the tree cannot be read.
func unreadable(path string, err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return api.Errorf(api.Refused, "make it readable, or list it in "+IgnoreName, "unable to read %s: %w", path, err)
}
