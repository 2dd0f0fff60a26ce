package schema_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/cyclops-fpga/cyclops/manifest"
)

var update = flag.Bool("update", false, "write the generated files anew")

func TestSchemasAreGenerated(t *testing.T) {
	t.Parallel()
	checkGenerated(t, "manifest-v1.json", generate[manifest.Manifest](t, manifest.Version, manifest.MediaType))
	checkGenerated(t, "job-v1.json", generate[manifest.Job](t, manifest.JobVersion, manifest.JobMediaType))
}

func checkGenerated(t *testing.T, name string, s *jsonschema.Schema) {
	t.Helper()
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(name, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the types say; go generate ./manifest/schema (%v)", name, err)
	}
}

// generate derives a schema from a document's type and the comments on its fields.
func generate[T any](t *testing.T, version int, mediaType string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[manifest.Digest]():        {Type: "string", Pattern: "^sha256:[0-9a-f]{64}$"},
		reflect.TypeFor[manifest.State]():         words(manifest.Succeeded, manifest.Failed, manifest.Cancelled, manifest.TimedOut, manifest.Lost),
		reflect.TypeFor[manifest.Priority]():      words(manifest.Interactive, manifest.Normal, manifest.Low),
		reflect.TypeFor[manifest.WorkspaceMode](): words(manifest.Kept, manifest.Isolated, manifest.Concurrent),
		reflect.TypeFor[manifest.Kind](): words(manifest.KindOutput, manifest.KindReport, manifest.KindBitstream,
			manifest.KindLog, manifest.KindLogIndex, manifest.KindSymlink),
		reflect.TypeFor[time.Time](): {Type: "string", Format: "date-time"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	describe(s, reflect.TypeFor[T](), comments(t))
	loosen(s)
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = mediaType
	s.Properties["schemaVersion"].Const = jsonschema.Ptr[any](version)
	s.Properties["mediaType"].Const = jsonschema.Ptr[any](mediaType)
	return s
}

func words[S ~string](all ...S) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, w := range all {
		s.Enum = append(s.Enum, string(w))
	}
	return s
}

// loosen allows unknown fields, which readers ignore, and forbids null, which is never written.
func loosen(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Not != nil {
		s.AdditionalProperties = nil
	}
	if at := slices.Index(s.Types, "null"); at >= 0 {
		s.Type, s.Types = slices.Delete(s.Types, at, at+1)[0], nil
	}
	loosen(s.Items)
	loosen(s.AdditionalProperties)
	for _, p := range s.Properties {
		loosen(p)
	}
}

// describe puts the comments of t and its fields into s.
func describe(s *jsonschema.Schema, t reflect.Type, comments map[string]string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		if t.Kind() == reflect.Slice {
			s = s.Items
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || s == nil || s.Properties == nil {
		return
	}
	s.Description = comments[t.Name()]
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		p := s.Properties[name]
		describe(p, f.Type, comments)
		if c := comments[t.Name()+"."+f.Name]; c != "" {
			p.Description = c
		}
	}
}

// comments returns the comments of all types ("Job") and fields ("Job.ID") of package manifest.
func comments(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				collect(all, g)
			}
		}
	}
	return all
}

func collect(all map[string]string, g *ast.GenDecl) {
	for _, spec := range g.Specs {
		typ := spec.(*ast.TypeSpec)
		all[typ.Name.Name] = text(g.Doc)
		s, ok := typ.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range s.Fields.List {
			for _, n := range f.Names {
				all[typ.Name.Name+"."+n.Name] = text(f.Doc, f.Comment)
			}
		}
	}
}

func text(groups ...*ast.CommentGroup) string {
	var words []string
	for _, g := range groups {
		words = append(words, strings.Fields(g.Text())...)
	}
	return strings.Join(words, " ")
}
