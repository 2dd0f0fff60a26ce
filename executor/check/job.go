//go:build linux

package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/durable"
	"github.com/cyclops-fpga/cyclops/executor/joblog"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// job looks at one ended job. One that is removed meanwhile is in order.
func (c *checker) job(ctx context.Context, j store.Job) error {
	c.report.Jobs++
	before := len(c.report.Findings)
	if err := c.look(ctx, j); err != nil {
		return err
	}
	if len(c.report.Findings) == before || c.Repair {
		return nil
	}
	if _, err := c.Store.Get(ctx, j.ID); errors.Is(err, store.ErrNotFound) {
		c.report.Findings = c.report.Findings[:before]
	}
	return nil
}

// look compares what is kept of a job with what was written.
func (c *checker) look(ctx context.Context, j store.Job) error {
	if err := c.document(ctx, j); err != nil {
		return err
	}
	m, wrong, err := c.manifest(j)
	if errors.As(err, new(*manifest.VersionError)) {
		c.later("jobs/"+j.ID+"/manifest.json", err)
		return nil
	}
	if err != nil {
		return err
	}
	if wrong != "" {
		return c.mendManifest(ctx, j, wrong)
	}
	if m == nil {
		return nil // the disk was full when it ended: the row is its record
	}
	if m.State != j.State {
		if err := c.correct(ctx, &j, m); err != nil {
			return err
		}
	}
	damaged, err := c.artifacts(ctx, j, m)
	switch {
	case err != nil:
		return err
	case len(damaged) > 0:
		return c.mendArtifacts(ctx, j, m, damaged)
	case c.Repair && j.Record.IsZero():
		return c.vouch(ctx, j) // a repair was cut short, or an older executor wrote the row
	}
	return nil
}

// document compares the two copies of a job's document with the digest in its row.
func (c *checker) document(ctx context.Context, j store.Job) error {
	kept, err := c.Store.Spec(ctx, j.ID)
	inStore := err == nil
	if err != nil && !store.IsDamaged(err) && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	file, err := os.ReadFile(c.Data.JobSpec(j.ID))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	inFile := err == nil && manifest.SumOf(file) == j.Digest
	f := api.CheckFinding{Kind: "document", Name: "jobs/" + j.ID + "/job.json", Wrong: "it is not what was submitted", Help: "the database has a copy"}
	switch {
	case inStore && inFile:
		return nil
	case inStore:
		if c.Repair {
			if err := c.writeDocument(j.ID, kept); err != nil {
				return err
			}
			f.Done = "written again from the database"
		}
	case inFile:
		f.Name, f.Help = "specs "+j.ID, "jobs/"+j.ID+"/job.json is a copy"
		if c.Repair {
			if err := c.Store.SetSpec(ctx, j.ID, file); err != nil {
				return err
			}
			f.Done = "written again from job.json"
		}
	default:
		f.Help = "both copies are damaged: the job cannot be tried again"
	}
	c.found(f)
	return nil
}

func (c *checker) writeDocument(id string, doc []byte) error {
	if err := os.MkdirAll(c.Data.Job(id), 0o700); err != nil {
		return err
	}
	return durable.WriteFile(c.Data.JobSpec(id), doc)
}

// manifest reads a job's record; wrong says for people why it is not to be believed.
func (c *checker) manifest(j store.Job) (m *manifest.Manifest, wrong string, err error) {
	data, err := os.ReadFile(c.Data.Manifest(j.ID))
	switch {
	case errors.Is(err, fs.ErrNotExist) && j.Record.IsZero():
		return nil, "", nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, "it is gone", nil
	case err != nil:
		return nil, "", err
	}
	c.report.Bytes += int64(len(data))
	m, err = manifest.DecodeManifest(data)
	if version, ok := errors.AsType[*manifest.VersionError](err); ok && version.Later() && (j.Record.IsZero() || manifest.SumOf(data) == j.Record) {
		return nil, "", err
	}
	if !j.Record.IsZero() && manifest.SumOf(data) != j.Record {
		return nil, "its digest is not the one that the database has of it", nil
	}
	if err != nil {
		return nil, err.Error(), nil
	}
	if m.Job != j.ID || m.State != j.State && j.State != manifest.Lost {
		return nil, fmt.Sprintf("it is of job %s, which is %s", m.Job, m.State), nil
	}
	return m, "", nil
}

// correct tells of a row that calls a job lost whose record says how it ended: the executor that wrote the row could not
// read the record, as one of a later version. Taking the record for damaged would lose the job for good.
func (c *checker) correct(ctx context.Context, j *store.Job, m *manifest.Manifest) error {
	f := api.CheckFinding{
		Kind: Job, Name: "jobs/" + j.ID, Wrong: fmt.Sprintf("the database calls it %s, and its manifest %s", j.State, m.State),
		Help: "its manifest is believed",
	}
	if c.Repair {
		j.TakeOver(m)
		if err := c.Store.End(ctx, *j); err != nil {
			return err
		}
		f.Done = "written again from its manifest"
	}
	c.found(f)
	return nil
}

// artifacts compares files with what the manifest says of them, and returns what is wrong by name.
func (c *checker) artifacts(ctx context.Context, j store.Job, m *manifest.Manifest) (map[string]string, error) {
	damaged := map[string]string{}
	for i := range m.Artifacts {
		a := &m.Artifacts[i]
		if a.Volatile {
			continue // later jobs may change it
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		wrong, err := c.artifact(j.ID, a)
		if err != nil {
			return nil, err
		}
		if wrong != "" {
			damaged[a.Name] = wrong
		}
	}
	if c.Full && m.Usage.LogBytes > 0 {
		wrong, err := joblog.Check(ctx, c.Data, j.ID)
		switch {
		case errors.As(err, new(*joblog.ErrVersion)) && damaged[j.ID+".log.idx"] == "":
			c.later("jobs/"+j.ID+"/log.idx", err)
		case errors.As(err, new(*joblog.ErrVersion)), errors.Is(err, fs.ErrNotExist):
			// said already: its digest is not that of the record
		case err != nil:
			return nil, err
		case len(wrong) > 0:
			damaged[j.ID+".log"] = strings.Join(wrong, "; ")
		}
	}
	return damaged, nil
}

func (c *checker) artifact(id string, a *manifest.Artifact) (wrong string, err error) {
	path := filepath.Join(c.Data.Job(id), filepath.FromSlash(a.Path))
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "it is gone", nil
	case err != nil:
		return "", err
	case a.Kind == manifest.KindSymlink:
		return linked(path, info, a)
	case !info.Mode().IsRegular():
		return "it is no file", nil
	case info.Size() != a.Size:
		return fmt.Sprintf("it has %d bytes, not %d", info.Size(), a.Size), nil
	case !c.Full:
		return "", nil
	}
	sum, _, err := c.sumOf(path)
	if err == nil && sum.Digest() != a.Digest {
		wrong = "its bytes are not those that the manifest lists"
	}
	return wrong, err
}

// linked says what is wrong with a symlink, which has its target for bytes.
func linked(path string, info fs.FileInfo, a *manifest.Artifact) (wrong string, err error) {
	if info.Mode()&fs.ModeSymlink == 0 {
		return "it is no symlink", nil
	}
	target, err := os.Readlink(path)
	if err == nil && (target != a.Target || manifest.SumOf([]byte(target)).Digest() != a.Digest) {
		wrong = fmt.Sprintf("it leads to %q, not to %q", target, a.Target)
	}
	return wrong, err
}
