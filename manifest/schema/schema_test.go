package schema_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/cyclops-fpga/cyclops/manifest/schema"
)

func TestSamplesMatchTheirSchema(t *testing.T) {
	t.Parallel()
	for name, data := range read(t, "../testdata/*-v1*.json") {
		if err := schema.Validate(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An example without a media type is a part of some document, which other tests look after.
func TestExamplesInTheDocsMatchTheirSchema(t *testing.T) {
	t.Parallel()
	fence := regexp.MustCompile("(?ms)^```json[^\n]*\n(.*?)^```$")
	documents := 0
	pages := read(t, "../../docs/*.md")
	maps.Copy(pages, read(t, "../../*.md"))
	for name, page := range pages {
		for _, m := range fence.FindAllSubmatch(page, -1) {
			var part struct{ MediaType string }
			if err := json.Unmarshal(m[1], &part); err != nil || part.MediaType == "" {
				continue
			}
			documents++
			if err := schema.Validate(m[1]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if documents < 2 {
		t.Errorf("the docs show %d documents, not a job and a manifest", documents)
	}
}

func read(t *testing.T, pattern string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		if all[name], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestWrongDocumentsAreRefused(t *testing.T) {
	t.Parallel()
	for name, good := range read(t, "../testdata/*-v1*.json") {
		for what, spoil := range map[string]func(map[string]any){
			"other version":  func(d map[string]any) { d["schemaVersion"] = 2 },
			"no steps":       func(d map[string]any) { delete(d, "steps") },
			"null for steps": func(d map[string]any) { d["steps"] = nil },
			"text for steps": func(d map[string]any) { d["steps"] = "true" },
			"broken digest":  func(d map[string]any) { d["input"].(map[string]any)["snapshot"] = "sha256:12" },
			"unknown mode":   func(d map[string]any) { d["workspace"].(map[string]any)["mode"] = "shared" },
			"other document": func(d map[string]any) { d["mediaType"] = "text/plain" },
		} {
			if err := schema.Validate(spoiled(t, good, spoil)); err == nil {
				t.Errorf("%s with %s is valid", name, what)
			}
		}
		more := spoiled(t, good, func(d map[string]any) { d["later"] = true })
		if err := schema.Validate(more); err != nil {
			t.Errorf("%s with an unknown field: %v", name, err)
		}
	}
	for _, bad := range []string{"", "[]", "{}", "{"} {
		if err := schema.Validate([]byte(bad)); err == nil {
			t.Errorf("%q is valid", bad)
		}
	}
}

func spoiled(t *testing.T, good []byte, spoil func(map[string]any)) []byte {
	t.Helper()
	var d map[string]any
	if err := json.Unmarshal(good, &d); err != nil {
		t.Fatal(err)
	}
	spoil(d)
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSchemasAreJSON(t *testing.T) {
	t.Parallel()
	for _, s := range [][]byte{schema.Manifest(), schema.Job()} {
		if !json.Valid(s) {
			t.Errorf("%s", s)
		}
	}
}
