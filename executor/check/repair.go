//go:build linux

package check

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/durable"
	"github.com/cyclops-fpga/cyclops/executor/joblog"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/executor/supervise"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// damagedExtra is the name in a manifest's extra of what was found to be damaged.
const damagedExtra = "damaged"

// mendManifest tells of a damaged record, and writes another from the row and the files.
func (c *checker) mendManifest(ctx context.Context, j store.Job, wrong string) error {
	f := api.CheckFinding{Kind: "manifest", Name: "jobs/" + j.ID + "/manifest.json", Wrong: wrong, Help: "it is written again from the database and from the files that are there"}
	if c.Repair {
		var err error
		if f.Done, err = c.replaceManifest(ctx, j); err != nil {
			return err
		}
	}
	c.found(f)
	return nil
}

// replaceManifest puts another record in the place of a damaged one, which stays there until then: a disk that has no room
// for the other must not leave the job without any. It says for people what was done.
func (c *checker) replaceManifest(ctx context.Context, j store.Job) (done string, err error) {
	m, err := c.again(ctx, j)
	if store.IsDamaged(err) || errors.Is(err, store.ErrNotFound) {
		if err := c.setAside(c.Data.Manifest(j.ID)); err != nil {
			return "", err
		}
		j.Record = manifest.Sum{}
		return "set aside in damaged/; without its document only the database tells how it ended", c.Store.SetRecord(ctx, j)
	}
	if err != nil {
		return "", err
	}
	if err := c.aside(c.Data.Manifest(j.ID), durable.KeepAside); err != nil {
		return "", err
	}
	return "set aside in damaged/ and written again", c.write(ctx, j, m)
}

// again makes a record from what the database knows of a job. What it does not know, as how fresh
// an output is, is left out: nothing of that may reach a board by mistake.
func (c *checker) again(ctx context.Context, j store.Job) (*manifest.Manifest, error) {
	l := &supervise.Launch{Data: c.Data, Accepted: j.Accepted}
	var err error
	if l.Job, err = c.Store.Spec(ctx, j.ID); err != nil {
		return nil, err
	}
	if len(l.Job) == 0 { // stands in for one that was damaged when the index was made again
		return nil, store.ErrNotFound
	}
	m, err := l.Blank()
	if err != nil {
		return nil, err
	}
	m.Host, m.Store, m.Executor = host(), storeID(ctx, c.Store), api.BuildVersion()
	m.State, m.ExitCode, m.Signal, m.Reason, m.Ended = j.State, j.ExitCode, j.Signal, j.Reason, j.Ended
	if !j.Started.IsZero() {
		m.Started = &j.Started
	}
	for i, s := range j.About.Steps {
		if i < len(m.Steps) {
			m.Steps[i].Started, m.Steps[i].Ended, m.Steps[i].ExitCode = s.Started, s.Ended, s.ExitCode
		}
	}
	m.Extra = map[string]any{damagedExtra: []string{"manifest.json: its record was damaged and was made again from the index"}}
	if m.Artifacts, err = c.outputs(j.ID); err != nil {
		return nil, err
	}
	return m, c.logs(ctx, m)
}

func host() string {
	name, _ := os.Hostname()
	return name
}

func storeID(ctx context.Context, s *store.Store) string {
	id, _ := s.Setting(ctx, "store")
	return id
}

// outputs lists the outputs that are beside a lost manifest.
func (c *checker) outputs(id string) ([]manifest.Artifact, error) {
	list, err := supervise.OutputsBeside(c.Data, id)
	for _, a := range list {
		if a.Kind != manifest.KindSymlink {
			c.report.Bytes += a.Size
		}
	}
	return list, err
}

// logs puts the log and its index, made whole, into a record.
func (c *checker) logs(ctx context.Context, m *manifest.Manifest) error {
	m.Artifacts = slices.DeleteFunc(m.Artifacts, func(a manifest.Artifact) bool { return a.OwnLog() })
	log, index, err := joblog.Remake(ctx, c.Data, m.Job)
	if errors.As(err, new(*joblog.ErrVersion)) { // no record vouches for it, so that it may as well be a damaged byte
		if err := c.setAside(c.Data.LogIndex(m.Job)); err != nil {
			return err
		}
		log, index, err = joblog.Remake(ctx, c.Data, m.Job)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	m.Artifacts = append(m.Artifacts, supervise.LogArtifacts(m.Job, log, index)...)
	m.Usage.LogBytes = log.Size
	return nil
}

// mendArtifacts tells of files that are not what the record says, sets outputs aside and has the
// record say so. Of a log what is sound stays where it is.
func (c *checker) mendArtifacts(ctx context.Context, j store.Job, m *manifest.Manifest, damaged map[string]string) error {
	var said []string
	log := false
	for _, name := range slices.Sorted(maps.Keys(damaged)) {
		f := api.CheckFinding{Kind: "artifact", Name: "jobs/" + j.ID + "/artifacts/" + name, Wrong: damaged[name], Help: "it is set aside and taken out of the record"}
		if ownLog(j.ID, name) {
			f.Kind, f.Name, f.Help = "log", "jobs/"+j.ID+"/"+strings.TrimPrefix(name, j.ID+"."), "its index is made again; what is damaged is said in the record"
			log = true
		} else if c.Repair {
			if err := c.setAside(filepath.Join(c.Data.Artifacts(j.ID), filepath.FromSlash(name))); err != nil {
				return err
			}
		}
		if c.Repair {
			f.Done = "said in the record"
		}
		c.found(f)
		said = append(said, name+": "+damaged[name])
	}
	if !c.Repair {
		return nil
	}
	m.Artifacts = slices.DeleteFunc(m.Artifacts, func(a manifest.Artifact) bool { return damaged[a.Name] != "" && !ownLog(j.ID, a.Name) })
	if m.Extra == nil {
		m.Extra = map[string]any{}
	}
	m.Extra[damagedExtra] = said
	if log {
		if err := c.logs(ctx, m); err != nil {
			return err
		}
	}
	return c.rewrite(ctx, j, m)
}

func ownLog(id, name string) bool { return name == id+".log" || name == id+".log.idx" }

// rewrite puts a record in the place of a sound one. Meanwhile the row vouches for neither, and the one that is there is
// believed: a repair that was cut short between the two would take the new one for damaged, and make another of what
// the row knows, which is less.
func (c *checker) rewrite(ctx context.Context, j store.Job, m *manifest.Manifest) error {
	j.Record = manifest.Sum{}
	if err := failpoint.Do(failpoint.CheckDoubt, func() error { return c.Store.SetRecord(ctx, j) }); err != nil {
		return err
	}
	return c.write(ctx, j, m)
}

// write makes a record durable and notes its digest.
func (c *checker) write(ctx context.Context, j store.Job, m *manifest.Manifest) error {
	if err := failpoint.Do(failpoint.CheckRecord, func() error { return supervise.WriteManifest(c.Data, m) }); err != nil {
		return err
	}
	return c.vouch(ctx, j)
}

// vouch notes the digest of the record that is there.
func (c *checker) vouch(ctx context.Context, j store.Job) error {
	data, err := os.ReadFile(c.Data.Manifest(j.ID))
	if err != nil {
		return err
	}
	j.Record = manifest.SumOf(data)
	return failpoint.Do(failpoint.CheckCommit, func() error { return c.Store.SetRecord(ctx, j) })
}

// setAside moves a file to damaged/, under the path that it had.
func (c *checker) setAside(file string) error { return c.aside(file, durable.SetAside) }

// aside hands a file and the place for it in damaged/ to put. One that is gone is none.
func (c *checker) aside(file string, put func(file, to string) error) error {
	rel, err := filepath.Rel(string(c.Data), file)
	if err != nil {
		return err
	}
	err = failpoint.Do(failpoint.CheckAside, func() error { return put(file, filepath.Join(c.Data.Damaged(), rel)) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
