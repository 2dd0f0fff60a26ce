package manifest

import (
	"encoding/json"
	"fmt"
)

// MaxDocumentSize bounds a document that is read from a host: a hostile one could be endless.
const MaxDocumentSize = 64 << 20

// Versioned is the part of every document that is decoded before the rest.
type Versioned struct {
	SchemaVersion int    `json:"schemaVersion"`
	MediaType     string `json:"mediaType"`
}

// VersionError says that a document is of a version that this code cannot read.
type VersionError struct {
	Document   string // "job" or "manifest"
	Have, Want int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("unable to read %s of version %d: this Cyclops reads up to version %d", e.Document, e.Have, e.Want)
}

// Later tells whether a later Cyclops wrote the document; no version is below 1, so that anything else is damage.
func (e *VersionError) Later() bool { return e.Have > e.Want }

// DecodeManifest reads a Manifest of any version up to this code's own. Unknown fields are ignored.
func DecodeManifest(data []byte) (*Manifest, error) {
	m := new(Manifest)
	return m, decode("manifest", data, Version, m)
}

// DecodeJob reads a Job of any version up to this code's own. Unknown fields are ignored.
func DecodeJob(data []byte) (*Job, error) {
	j := new(Job)
	return j, decode("job", data, JobVersion, j)
}

func decode(document string, data []byte, want int, into any) error {
	if len(data) > MaxDocumentSize {
		return fmt.Errorf("unable to read %s: %d bytes are more than the limit of %d", document, len(data), MaxDocumentSize)
	}
	var v Versioned
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("unable to read %s: %w", document, err)
	}
	if v.SchemaVersion < 1 || v.SchemaVersion > want {
		return &VersionError{Document: document, Have: v.SchemaVersion, Want: want}
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("unable to read %s: %w", document, err)
	}
	return nil
}
