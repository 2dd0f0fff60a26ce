package api

// CheckVersion is the version of CheckReport.
const CheckVersion = 1

// CheckReport says what of an executor's data is not as it was written.
type CheckReport struct {
	Version  int            `json:"version"`
	Full     bool           `json:"full"` // every byte was read, not only what is quick to look at
	Jobs     int            `json:"jobs"` // that have ended
	Packs    int            `json:"packs"`
	Bytes    int64          `json:"bytes"` // read
	Findings []CheckFinding `json:"findings"`
}

// CheckFinding is one thing that is not as it was written.
type CheckFinding struct {
	Kind  string `json:"kind"` // database, row, pack, job, document, manifest, log, artifact, version
	Name  string `json:"name"`
	Wrong string `json:"wrong"`          // for people
	Help  string `json:"help,omitempty"` // what can be done
	Done  string `json:"done,omitempty"` // what was done
}
