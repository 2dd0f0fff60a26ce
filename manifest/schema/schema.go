// Package schema holds the JSON Schemas of the documents in package manifest, and checks documents against them.
package schema

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/cyclops-fpga/cyclops/manifest"
)

//go:generate go test -run TestSchemasAreGenerated -update

//go:embed manifest-v1.json
var manifestV1 string

//go:embed job-v1.json
var jobV1 string

// Manifest returns the JSON Schema of manifest.Manifest in its current version.
func Manifest() []byte { return []byte(manifestV1) }

// Job returns the JSON Schema of manifest.Job in its current version.
func Job() []byte { return []byte(jobV1) }

// Validate checks a whole document, of the kind that its media type says, against its schema.
func Validate(document []byte) error {
	var v manifest.Versioned
	if err := json.Unmarshal(document, &v); err != nil {
		return fmt.Errorf("unable to validate document: %w", err)
	}
	switch v.MediaType {
	case manifest.MediaType:
		return validate(manifestV1, document)
	case manifest.JobMediaType:
		return validate(jobV1, document)
	}
	return fmt.Errorf("unable to validate document: there is no schema for %q", v.MediaType)
}

func validate(schema string, document []byte) error {
	var s jsonschema.Schema
	if err := json.Unmarshal([]byte(schema), &s); err != nil {
		return fmt.Errorf("unable to read schema: %w", err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		return fmt.Errorf("unable to resolve schema: %w", err)
	}
	var instance any
	if err := json.Unmarshal(document, &instance); err != nil {
		return fmt.Errorf("unable to validate document: %w", err)
	}
	if err := resolved.Validate(instance); err != nil {
		return fmt.Errorf("unable to validate document: %w", err)
	}
	return nil
}
