// Package layout names every file of an executor's data directory.
//
//	lock id config.toml             the daemon holds lock; id is the store's
//	run/cyclopsd.sock               the API; run/ID.sock is a supervisor's, run/ID.groups lists a job's control groups
//	bin/cyclopsd-VERSION bin/current
//	jobs.db                         the queue and the index
//	reserve                         room for what must be written when the disk is full
//	packs/DIGEST.pack incoming/     input content
//	workspaces/NAME/ .NAME.index .NAME.apply
//	jobs/ID/job.json(.part until the job is accepted) claim-N log log.idx displaced/ artifacts/ manifest.json pinned
//	tmp/ID                          a running job's TMPDIR, or a link to it
//	damaged/                        what was found to be not as it was written
//	mounts/                         notes of directories that were made to mount workspaces on
package layout

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/durable"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// Data is an executor's data directory, as an absolute path.
type Data string

// Default returns the data directory of this user: $CYCLOPS_DATA, else ~/.cyclops.
func Default() (Data, error) {
	dir, err := api.DefaultData()
	return Data(dir), err
}

func (d Data) join(parts ...string) string {
	return filepath.Join(append([]string{string(d)}, parts...)...)
}

func (d Data) Lock() string       { return d.join("lock") }
func (d Data) StoreID() string    { return d.join("id") }
func (d Data) Config() string     { return d.join("config.toml") }
func (d Data) Database() string   { return d.join("jobs.db") }
func (d Data) Reserve() string    { return d.join("reserve") }
func (d Data) DaemonLog() string  { return d.join("cyclopsd.log") }
func (d Data) Run() string        { return d.join("run") }
func (d Data) Socket() string     { return api.Socket(string(d)) }
func (d Data) Bin() string        { return d.join("bin") }
func (d Data) Packs() string      { return d.join("packs") }
func (d Data) Incoming() string   { return d.join("incoming") }
func (d Data) Jobs() string       { return d.join("jobs") }
func (d Data) Workspaces() string { return d.join("workspaces") }
func (d Data) Tmp() string        { return d.join("tmp") }
func (d Data) Mounts() string     { return d.join("mounts") }

// Damaged takes what is not as it was written, once it is found.
func (d Data) Damaged() string { return d.join("damaged") }

// Control is the control socket of a job's supervisor.
func (d Data) Control(id string) string { return d.join("run", id+".sock") }

// Groups names the control groups of a job that runs.
func (d Data) Groups(id string) string { return d.join("run", id+".groups") }

// JobTmp is the temporary directory of a job, or a link to it.
func (d Data) JobTmp(id string) string { return d.join("tmp", id) }

// Pack is the file of a pack, named by the digest of its bytes.
func (d Data) Pack(sum manifest.Sum) string { return d.join("packs", sum.String()+".pack") }

// Workspace is the directory a job runs in; its index and journal lie beside it, out of reach of
// relative paths.
func (d Data) Workspace(name string) string        { return d.join("workspaces", name) }
func (d Data) WorkspaceIndex(name string) string   { return d.join("workspaces", "."+name+".index") }
func (d Data) WorkspaceJournal(name string) string { return d.join("workspaces", "."+name+".apply") }

// Job is the directory of a job's record.
func (d Data) Job(id string) string       { return d.join("jobs", id) }
func (d Data) JobSpec(id string) string   { return d.join("jobs", id, "job.json") }
func (d Data) Log(id string) string       { return d.join("jobs", id, "log") }
func (d Data) LogIndex(id string) string  { return d.join("jobs", id, "log.idx") }
func (d Data) Pinned(id string) string    { return d.join("jobs", id, "pinned") }
func (d Data) Displaced(id string) string { return d.join("jobs", id, "displaced") }
func (d Data) Artifacts(id string) string { return d.join("jobs", id, "artifacts") }
func (d Data) Manifest(id string) string  { return d.join("jobs", id, "manifest.json") }

// Claim says who took start n of a job.
func (d Data) Claim(id string, n int) string { return d.join("jobs", id, fmt.Sprintf("claim-%d", n)) }

// JobSpecPart is the document of a job that is not accepted yet. Under its own name it says that the job is.
func (d Data) JobSpecPart(id string) string { return d.JobSpec(id) + ".part" }

// Bare tells whether a job's directory is gone, or is of a job that was never accepted.
func (d Data) Bare(id string) bool {
	entries, err := os.ReadDir(d.Job(id))
	if err != nil || len(entries) == 0 {
		return errors.Is(err, os.ErrNotExist) || err == nil
	}
	return len(entries) == 1 && entries[0].Name() == filepath.Base(d.JobSpecPart(id))
}

// Create makes every directory, readable by this user alone. Until the store has its id, the names of
// the directories are made durable too: else a power cut could take them, with all that is in them.
func (d Data) Create() error {
	for _, dir := range []string{string(d), d.Run(), d.Bin(), d.Packs(), d.Incoming(), d.Jobs(), d.Workspaces(), d.Tmp(), d.Mounts()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if _, err := os.Lstat(d.StoreID()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := durable.SyncDir(filepath.Dir(string(d))); err != nil && !errors.Is(err, os.ErrPermission) { // one may write where one may not read
		return err
	}
	return durable.SyncDir(string(d))
}
