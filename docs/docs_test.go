// Package docs_test keeps the documentation true: links lead somewhere, examples decode, tables
// name what the code has.
package docs_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)|src="([^"]+)"`)
	for page, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, _, _ := strings.Cut(m[1]+m[2], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), target)); err != nil {
				t.Errorf("%s links to %s: %v", page, target, err)
			}
		}
	}
}

// The walk through the files is worth nothing once a file of it is gone.
func TestContributingNamesFilesThatExist(t *testing.T) {
	t.Parallel()
	path := regexp.MustCompile("`((?:cli|remote|executor|manifest|tui|docs|examples)/[^` ]+)`")
	named := path.FindAllStringSubmatch(read(t, filepath.Join("..", "CONTRIBUTING.md")), -1)
	if len(named) < 20 {
		t.Errorf("only %d paths were found", len(named))
	}
	for _, m := range named {
		if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
			t.Errorf("CONTRIBUTING.md names %s: %v", m[1], err)
		}
	}
}

// A fence of JSON names its type behind the word json; without a type it must at least be JSON.
func TestExamplesDecode(t *testing.T) {
	t.Parallel()
	types := map[string]func() any{
		"":                  func() any { return new(any) },
		"api.Error":         func() any { return new(api.Error) },
		"api.Hello":         func() any { return new(api.Hello) },
		"api.JobInfo":       func() any { return new(api.JobInfo) },
		"manifest.Job":      func() any { return new(manifest.Job) },
		"manifest.Manifest": func() any { return new(manifest.Manifest) },
	}
	fence := regexp.MustCompile("(?ms)^```json *([^\n]*)\n(.*?)^```$")
	checked := 0
	for page, text := range pages(t) {
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			into := types[m[1]]
			if into == nil {
				t.Errorf("%s: an example of an unknown type %q", page, m[1])
				continue
			}
			dec := json.NewDecoder(strings.NewReader(m[2]))
			dec.DisallowUnknownFields()
			if err := dec.Decode(into()); err != nil {
				t.Errorf("%s: an example of %q: %v", page, m[1], err)
			}
			checked++
		}
	}
	if checked < 2 {
		t.Errorf("only %d examples were found", checked)
	}
}

func TestProtocolNamesEveryPathFrameAndKind(t *testing.T) {
	t.Parallel()
	page := read(t, "protocol.md")
	for name, value := range constants(t) {
		var want string
		switch {
		case strings.HasPrefix(name, "string Path"):
			want = value
		case strings.HasPrefix(name, "FrameType Frame"):
			want = "| " + value + " | " + strings.TrimPrefix(name, "FrameType Frame") + " |"
		case strings.HasPrefix(name, "Kind "):
			want = "| " + value + " | " + strings.TrimPrefix(name, "Kind ") + " |"
		default:
			continue
		}
		if !strings.Contains(page, want) {
			t.Errorf("protocol.md lacks %s (%q)", name, want)
		}
	}
}

func TestDependenciesAreExplained(t *testing.T) {
	t.Parallel()
	page := read(t, filepath.Join("decisions", "dependencies.md"))
	require := regexp.MustCompile(`(?m)^(?:require)?\s+(\S+\.\S+/\S+) v\S+$`)
	for _, m := range require.FindAllStringSubmatch(read(t, filepath.Join("..", "go.mod")), -1) {
		if !strings.Contains(page, m[1]) {
			t.Errorf("decisions/dependencies.md does not say why there is %s", m[1])
		}
	}
}

// constants returns the values of the API's constants by "TYPE NAME".
func constants(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	files, err := filepath.Glob(filepath.Join("..", "executor", "api", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
				addConstant(found, spec)
			}
			return true
		})
	}
	if len(found) < 40 {
		t.Fatalf("only %d constants were found", len(found))
	}
	return found
}

func addConstant(found map[string]string, spec *ast.ValueSpec) {
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok {
		return
	}
	kind := "string"
	if named, ok := spec.Type.(*ast.Ident); ok {
		kind = named.Name
	}
	value := literal.Value
	if s, err := strconv.Unquote(value); err == nil {
		value = s
	}
	found[kind+" "+spec.Names[0].Name] = value
}

// pages returns the text of every Markdown file by its path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != ".." && strings.HasPrefix(d.Name(), ".") || d.Name() == "dist" {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			found[path] = read(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")))
}
