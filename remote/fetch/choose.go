package fetch

import (
	"fmt"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/scan"
)

// Limits of what one manifest may make a client do.
const (
	maxArtifacts = 1 << 20
	maxSize      = int64(1) << 44 // bytes of one file
)

// choose sorts the manifest's artifacts into wanted, left, stale and refused.
func (p *Placer) choose() error {
	m := p.req.Manifest
	if len(m.Artifacts) > maxArtifacts {
		return api.Errorf(api.Refused, "", "the manifest lists %d artifacts, more than %d", len(m.Artifacts), maxArtifacts)
	}
	if !manifest.ValidID(m.Job) {
		return api.Errorf(api.Invalid, "", "the manifest's job id %.40q is none", m.Job)
	}
	for _, pattern := range p.req.Patterns {
		if !doublestar.ValidatePattern(pattern) {
			return api.Errorf(api.Usage, "quote it, and close its brackets", "pattern %q cannot be read", pattern)
		}
	}
	var links []manifest.Artifact
	for _, a := range m.Artifacts {
		switch p.sort(a) {
		case isWanted:
			if a.Kind == manifest.KindSymlink {
				links = append(links, a)
				p.byName[a.Name] = -1 // want gives it its place, behind the files
			} else {
				p.want(a)
			}
		case isLeft:
			p.report.Left = append(p.report.Left, a)
		}
	}
	for _, a := range links {
		p.want(a)
	}
	p.taken = newFlags(len(p.wanted))
	return nil
}

func (p *Placer) want(a manifest.Artifact) {
	p.byName[a.Name] = len(p.wanted)
	p.wanted = append(p.wanted, a)
	p.totalFiles.Add(1)
	p.totalBytes.Add(a.Size)
}

type choice int

const (
	isWanted choice = iota
	isLeft
	isDone // told in the report already, or of no interest here
)

func (p *Placer) sort(a manifest.Artifact) choice {
	asked := p.asked(a)
	isLog := a.OwnLog()
	switch {
	case isLog && (len(p.req.Patterns) == 0 || !asked):
		return isDone
	case !asked:
		return isLeft
	case !a.Fresh && p.req.Manifest.State != manifest.Succeeded && !isLog:
		p.report.Stale = append(p.report.Stale, a.Name)
		return isDone
	}
	if err := p.check(a); err != nil {
		p.report.Refused = append(p.report.Refused, manifest.Refusal{Path: a.Name, Reason: err.Error()})
		return isDone
	}
	return isWanted
}

// asked tells whether the request is for a.
func (p *Placer) asked(a manifest.Artifact) bool {
	if len(p.req.Patterns) == 0 {
		return a.Fetch || p.req.All
	}
	for _, pattern := range p.req.Patterns {
		pattern = path.Clean(pattern)
		if pattern == a.Name || pattern == "." || strings.HasPrefix(a.Name, pattern+"/") || doublestar.MatchUnvalidated(pattern, a.Name) {
			return true
		}
	}
	return false
}

// check says what forbids to fetch a.
func (p *Placer) check(a manifest.Artifact) error {
	if err := checkName(a.Name); err != nil {
		return err
	}
	if _, twice := p.byName[a.Name]; twice {
		return fmt.Errorf("it is listed twice")
	}
	if a.Kind == manifest.KindSymlink {
		return checkTarget(a.Name, a.Target)
	}
	if a.Size < 0 || a.Size > maxSize {
		return fmt.Errorf("its size of %d bytes is out of range", a.Size)
	}
	if _, err := a.Digest.Sum(); err != nil {
		return err
	}
	return sourcePath(a)
}

// tempName names what an artifact is written to: the same again after an interruption, another for each artifact, and
// for each of the jobs that ran side by side and may bring the same one at once.
func (p *Placer) tempName(a manifest.Artifact) string {
	text := string(a.Digest) + "\x00" + a.Name
	if p.shared {
		text += "\x00" + p.req.Manifest.Job
	}
	key := manifest.SumOf([]byte(text))
	return scan.OwnMark + key.String()[:16]
}

// ownTemp names what an artifact is written to that is not gone on with after an interruption: another name for each fetch,
// lest two of the same job put in place what the other has half written.
func (p *Placer) ownTemp(a manifest.Artifact) string { return p.tempName(a) + "-" + p.own }
