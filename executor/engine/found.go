//go:build linux

package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/durable"
	"github.com/cyclops-fpga/cyclops/executor/joblog"
	"github.com/cyclops-fpga/cyclops/executor/space"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/executor/supervise"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// foundJob is what the directory of a job says of it.
type foundJob struct {
	row store.Job
	raw []byte
	doc *manifest.Job

	made    time.Time          // when its document was written
	record  *manifest.Manifest // nil: it has none, or a damaged one
	data    []byte             // the bytes of its record
	damaged error              // what is wrong with them
}

// leftOut says why a directory is not indexed as a job, and will not be by trying again.
type leftOut struct{ error }

func (l *leftOut) Unwrap() error { return l.error }

// errNoJob is a directory that was made for a job that was never accepted.
var errNoJob = errors.New("it holds no job")

// readJob reads what the directory of a job says of it. What is damaged of that goes to damaged/ and costs
// no more than itself: the other document tells the rest.
func (e *Engine) readJob(id string) (foundJob, error) {
	var f foundJob
	if !manifest.ValidID(id) {
		return f, &leftOut{errors.New("its directory has no job's name")}
	}
	if err := e.readRecord(id, &f); err != nil {
		return f, err
	}
	if err := e.readSpec(id, &f); err != nil {
		return f, err
	}
	f.row = newJob(f.doc, manifest.SumOf(f.raw)).row
	f.row.State, f.row.Accepted = manifest.Running, f.made
	_, err := os.Lstat(e.Data.Pinned(id))
	f.row.About.Pinned = err == nil
	switch {
	case f.damaged != nil:
		err = e.Room.Use(func() error { return e.loseRecord(&f) })
		return f, err
	case f.record == nil:
		f.row.Started, f.row.About.Boot = f.made, e.bootOf(f.made)
		return f, nil
	}
	f.row.Accepted = f.record.Accepted
	f.row.TakeOver(f.record)
	f.row.Record = manifest.SumOf(f.data)
	return f, nil
}

// readRecord reads a job's manifest, if it has one. That of a later version is not touched.
func (e *Engine) readRecord(id string, f *foundJob) error {
	data, err := os.ReadFile(e.Data.Manifest(id))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	m, err := manifest.DecodeManifest(data)
	switch {
	case errors.As(err, new(*manifest.VersionError)):
		return &leftOut{err}
	case err == nil && m.Job != id:
		err = fmt.Errorf("it is of job %s", m.Job)
	}
	f.data, f.damaged = data, err
	if err == nil {
		f.record = m
	}
	return nil
}

// readSpec reads a job's document. In the place of one that is damaged or gone an empty one is put, which
// nothing takes for a job that can run: what else is known of the job is in its record.
func (e *Engine) readSpec(id string, f *foundJob) error {
	info, err := os.Stat(e.Data.JobSpec(id))
	if errors.Is(err, os.ErrNotExist) {
		if e.Data.Bare(id) {
			return errNoJob
		}
		info, err = os.Stat(e.Data.Job(id))
	}
	if err != nil {
		return err
	}
	f.made = info.ModTime()
	f.raw, err = os.ReadFile(e.Data.JobSpec(id))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err == nil {
		f.doc, err = decode(f.raw)
	}
	if api.KindOf(err) == api.Incompatible {
		return &leftOut{err}
	}
	if err == nil && f.doc.ID == id {
		return nil
	}
	e.Log.Warn("the document of a job is damaged", "job", id, "error", err)
	f.doc = asked(id, f.record)
	return e.Room.Use(func() error { return e.replaceSpec(id, f) })
}

func (e *Engine) replaceSpec(id string, f *foundJob) error {
	if len(f.raw) > 0 {
		if err := durable.KeepCopy(f.raw, filepath.Join(e.Data.Damaged(), "jobs", id, "job.json")); err != nil {
			return err
		}
	}
	if err := durable.WriteFile(e.Data.JobSpec(id), nil); err != nil {
		return err
	}
	f.raw = []byte{}
	return nil
}

// asked is what a record, which may be nil, says of the job that was asked for.
func asked(id string, m *manifest.Manifest) *manifest.Job {
	doc := &manifest.Job{ID: id, Priority: manifest.Normal}
	if m == nil {
		return doc
	}
	doc.Name, doc.Project, doc.Labels, doc.Owner, doc.Beside = m.Name, m.Project, m.Labels, m.Owner, m.Beside
	doc.Workspace = manifest.Workspace{Name: m.Workspace.Name, Mode: m.Workspace.Mode}
	doc.Input.Snapshot = m.Input.Snapshot
	for _, s := range m.Steps {
		doc.Steps = append(doc.Steps, manifest.Step{Name: s.Name, Argv: s.Argv, Run: s.Run})
	}
	return doc
}

// loseRecord writes the record of a job whose own is damaged: it has ended, and nobody knows how. The damaged
// one is copied and then replaced: for a moment without any the job would be one that never ended, and
// run again.
func (e *Engine) loseRecord(f *foundJob) error {
	id := f.row.ID
	log, index, err := joblog.Recover(e.Data, id)
	if space.IsFull(err) || space.Fail(err) != nil {
		return err // a record without the log would be for good
	}
	f.row.State, f.row.Ended, f.row.Reason = manifest.Lost, time.Now().UTC(), "its record was damaged: "+errors.Join(f.damaged, err).Error()
	m := e.ofRow(&f.row)
	for _, s := range f.doc.Steps {
		m.Steps = append(m.Steps, manifest.StepRecord{Name: s.Name, Argv: s.Argv, Run: s.Run})
	}
	m.Extra = map[string]any{"damaged": []string{"manifest.json: it was damaged, and so was the index"}}
	if m.Artifacts, err = supervise.OutputsBeside(e.Data, id); err != nil {
		return err
	}
	if log != (joblog.File{}) {
		m.Artifacts = append(m.Artifacts, supervise.LogArtifacts(id, log, index)...)
		m.Usage.LogBytes = log.Size
	}
	if err := durable.KeepCopy(f.data, filepath.Join(e.Data.Damaged(), "jobs", id, "manifest.json")); err != nil {
		return err
	}
	if err := supervise.WriteManifest(e.Data, m); err != nil {
		return err
	}
	f.row.TakeOver(m)
	f.row.Record = e.recordSum(id)
	return nil
}
