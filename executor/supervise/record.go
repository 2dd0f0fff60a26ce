//go:build linux

package supervise

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/durable"
	"github.com/cyclops-fpga/cyclops/executor/joblog"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/space"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// blank returns the manifest of a job of which nothing is known yet but what it asked for.
func (l *Launch) blank(j *manifest.Job) *manifest.Manifest {
	m := &manifest.Manifest{
		SchemaVersion: manifest.Version, MediaType: manifest.MediaType,
		Job: j.ID, Name: j.Name, Project: j.Project, Labels: j.Labels, Owner: j.Owner,
		Host: l.Host, Store: l.Store, Executor: l.Executor,
		Created: j.Created, Accepted: l.Accepted,
		Steps: []manifest.StepRecord{}, Dir: j.Dir, Terminal: j.Terminal != nil, Beside: j.Beside, Home: j.Home,
		Workspace: manifest.WorkspaceRecord{Name: j.Workspace.Name, Mode: j.Workspace.Mode, Path: l.Data.Workspace(WorkspaceName(j))},
		Input: manifest.InputRecord{
			Snapshot: j.Input.Snapshot, Files: j.Input.Files, Bytes: j.Input.Bytes, Git: j.Input.Git,
			Pinned: j.Workspace.Mode != manifest.Concurrent && j.Beside == "",
		},
		Resources: manifest.Resources{Asked: j.Needs, Leased: l.Leased},
		Artifacts: []manifest.Artifact{},
		Upstream:  l.Upstream,
	}
	for _, v := range j.Env {
		r := manifest.VariableRecord{Name: v.Name}
		if v.Public {
			r.Value = &v.Value
		}
		m.Environment = append(m.Environment, r)
	}
	for _, t := range l.Tools {
		m.Tools = append(m.Tools, manifest.ToolRecord{Name: t.Name, Setup: t.Setup})
	}
	for _, s := range j.Steps {
		m.Steps = append(m.Steps, manifest.StepRecord{Name: s.Name, Argv: s.Argv, Run: s.Run})
	}
	return m
}

// Blank returns the manifest of the job of which nothing is known yet but what it asked for.
func (l *Launch) Blank() (*manifest.Manifest, error) {
	j, err := l.Document()
	if err != nil {
		return nil, err
	}
	return l.blank(j), nil
}

// LogArtifacts lists the log and its index. Their names carry the job's id, so that no output
// of the job can bear the same.
func LogArtifacts(id string, log, index joblog.File) []manifest.Artifact {
	entry := func(path string, kind manifest.Kind, mediaType string, f joblog.File) manifest.Artifact {
		return manifest.Artifact{
			Name: id + "." + path, Path: path, Kind: kind, MediaType: mediaType,
			Size: f.Size, Digest: f.Sum.Digest(), Mode: 0o600, Fresh: true,
		}
	}
	return []manifest.Artifact{
		entry("log", manifest.KindLog, "text/plain", log),
		entry("log.idx", manifest.KindLogIndex, "application/vnd.cyclops.log-index.v1", index),
	}
}

func encode(m *manifest.Manifest) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("unable to write manifest: %w", err)
	}
	return b.Bytes(), nil
}

// WriteManifest makes the end of a job durable. Its presence means that the job has ended, so
// nothing may be written after it.
func WriteManifest(data layout.Data, m *manifest.Manifest) error {
	doc, err := encode(m)
	if err != nil {
		return err
	}
	if err := SyncNames(data, m.Job); err != nil {
		return err
	}
	path := data.Manifest(m.Job)
	if err := durable.WriteFile(path, doc); err != nil {
		return fmt.Errorf("unable to write manifest: %w", err)
	}
	return nil
}

// partial is behind the name of a manifest that is not whole yet.
const partial = ".part"

// reserved is how many bytes are kept for a manifest from a job's start on.
const reserved = 64 << 10

// reserve makes the file that will become the manifest, with room on the disk: a job that fills
// the disk must still be able to say so.
func reserve(data layout.Data, id string) (*os.File, error) {
	if err := failpoint.At(failpoint.SuperviseReserve); err != nil {
		return nil, fmt.Errorf("unable to make room for the manifest: %w", err)
	}
	f, err := os.OpenFile(data.Manifest(id)+partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("unable to make room for the manifest: %w", err)
	}
	err = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, reserved)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return nil, errors.Join(fmt.Errorf("unable to make room for the manifest: %w", err), os.Remove(f.Name()), f.Close())
	}
	return f, nil // some file systems cannot reserve
}

// writeReserved is WriteManifest through the file that reserve made.
func writeReserved(f *os.File, data layout.Data, m *manifest.Manifest) error {
	doc, err := encode(m)
	if err != nil {
		return err
	}
	if err = failpoint.Do(failpoint.ManifestWrite, func() error { _, err := f.WriteAt(doc, 0); return err }); err == nil {
		err = errors.Join(f.Truncate(int64(len(doc))), failpoint.Do(failpoint.ManifestSync, f.Sync))
	}
	if err != nil {
		return fmt.Errorf("unable to write manifest: %w", err)
	}
	err = failpoint.Do(failpoint.ManifestRename, func() error { return os.Rename(f.Name(), data.Manifest(m.Job)) })
	if err == nil {
		err = failpoint.Do(failpoint.ManifestSyncDir, func() error { return durable.SyncDir(data.Job(m.Job)) })
	}
	if err != nil {
		return fmt.Errorf("unable to write manifest: %w", err)
	}
	return nil
}

// SyncNames makes durable that there is a job's directory, and what is in it. Without the one a manifest would be lost with
// the directory's name, without the other it could be there and name a log that is not.
func SyncNames(data layout.Data, id string) error {
	err := failpoint.Do(failpoint.JobSyncDir, func() error { return errors.Join(durable.SyncDir(data.Job(id)), durable.SyncDir(data.Jobs())) })
	if err != nil {
		return fmt.Errorf("unable to make the job's directory durable: %w", err)
	}
	return nil
}

// RecordCancelled writes the manifest of a job that never ran and never will: taken out of the
// queue, or behind a job that failed.
func RecordCancelled(l *Launch, reason string) (*manifest.Manifest, error) {
	j, err := l.Document()
	if err != nil {
		return nil, err
	}
	m := l.blank(j)
	m.State, m.Reason, m.Ended = manifest.Cancelled, reason, time.Now().UTC()
	if err := failpoint.At(failpoint.CancelRecord); err != nil {
		return nil, fmt.Errorf("unable to write manifest: %w", err)
	}
	if err := os.MkdirAll(l.Data.Job(j.ID), 0o700); err != nil {
		return nil, fmt.Errorf("unable to write manifest: %w", err)
	}
	return m, WriteManifest(l.Data, m)
}

// RecordLost writes the manifest of a job whose supervisor is gone without one. Call KillMarked
// first. started is when the job began to run, nil if that is not known; restarted: the machine was since.
// An error means that there is no record yet: try again.
func RecordLost(l *Launch, started *time.Time, reason string, restarted bool) (*manifest.Manifest, error) {
	j, err := l.Document()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(l.Data.Job(j.ID), 0o700); err != nil {
		return nil, fmt.Errorf("unable to write manifest: %w", err)
	}
	if err := os.Remove(l.Data.Manifest(j.ID) + partial); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("unable to write manifest: %w", err)
	}
	var cut int64
	if restarted {
		cut, err = joblog.Trim(l.Data, j.ID)
	}
	log, index, rerr := joblog.Recover(l.Data, j.ID)
	if err = errors.Join(err, rerr); space.IsFull(err) || space.Fail(err) != nil {
		return nil, err // a record without the log would be for good
	}
	m := l.blank(j)
	if cut > 0 {
		reason += fmt.Sprintf("; %d bytes at the end of its log had not reached the disk", cut)
	}
	m.State, m.Reason, m.Started, m.Ended = manifest.Lost, reason, started, time.Now().UTC()
	if cerr := CleanUp(l.Data, j.ID); cerr != nil {
		m.Extra = map[string]any{"tmpdir": cerr.Error()}
	}
	if err != nil {
		m.Reason += "; " + err.Error()
	} else if log != (joblog.File{}) {
		m.Artifacts = LogArtifacts(j.ID, log, index)
		m.Usage.LogBytes = log.Size
	}
	return m, failpoint.Do(failpoint.LoseRecord, func() error { return WriteManifest(l.Data, m) })
}
