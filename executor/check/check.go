//go:build linux

// Package check looks whether an executor's data is as it was written, and repairs what can be.
package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/durable"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/packs"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/executor/supervise"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// Job is the kind of a finding of a job that the database has lost.
const Job = "job"

// Options says what is looked at.
type Options struct {
	Data  layout.Data
	Store *store.Store
	// Full reads every byte. Without it only what is quick to look at is: rows, records and sizes.
	Full bool
	// Repair mends what is found in files. No daemon may run. What is wrong in the database is
	// Salvage's to mend.
	Repair bool
}

// checker is one look at everything.
type checker struct {
	Options
	report api.CheckReport
}

// Run looks at everything. Jobs that have not ended are their supervisors' own. An error means that
// it could not look.
func Run(ctx context.Context, o Options) (*api.CheckReport, error) {
	c := &checker{Options: o, report: api.CheckReport{Version: api.CheckVersion, Full: o.Full, Findings: []api.CheckFinding{}}}
	if err := c.database(ctx); err != nil {
		return nil, fmt.Errorf("unable to check the database: %w", err)
	}
	if err := c.identity(ctx); err != nil {
		return nil, fmt.Errorf("unable to check the store's id: %w", err)
	}
	if err := c.packs(ctx); err != nil {
		return nil, fmt.Errorf("unable to check packs: %w", err)
	}
	if err := c.strays(ctx); err != nil {
		return nil, fmt.Errorf("unable to check jobs: %w", err)
	}
	err := c.Store.EachEnded(ctx, func(j store.Job) error { return c.job(ctx, j) })
	if err != nil && !store.IsDamaged(err) { // that was found above
		return nil, fmt.Errorf("unable to check jobs: %w", err)
	}
	return &c.report, nil
}

// Database tells whether a report names damage of the database.
func Database(r *api.CheckReport) bool {
	for _, f := range r.Findings {
		if f.Kind == "database" || f.Kind == "row" {
			return true
		}
	}
	return false
}

// strays finds the directories of jobs that the database does not know although they were accepted.
func (c *checker) strays(ctx context.Context) error {
	entries, err := os.ReadDir(c.Data.Jobs())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		id := e.Name()
		if !manifest.ValidID(id) {
			continue
		}
		if c.Data.Bare(id) {
			continue
		}
		known, err := c.Store.Knows(ctx, id)
		if store.IsDamaged(err) {
			return nil // that was found above
		}
		if err != nil {
			return err
		}
		if known || c.laterJob(id) {
			continue
		}
		f := api.CheckFinding{Kind: Job, Name: "jobs/" + id, Wrong: "the database has no row of it", Help: "it is indexed again from its directory"}
		if c.Repair {
			if err := c.Store.Doubt(ctx); err != nil {
				return err
			}
			f.Done = "indexed again from its directory"
		}
		c.found(f)
	}
	return nil
}

// laterJob tells of a job without a row that a later executor wrote: only one of that version can index it.
func (c *checker) laterJob(id string) bool {
	record, _ := os.ReadFile(c.Data.Manifest(id))
	_, merr := manifest.DecodeManifest(record)
	doc, _ := os.ReadFile(c.Data.JobSpec(id))
	_, derr := manifest.DecodeJob(doc)
	for name, err := range map[string]error{"manifest.json": merr, "job.json": derr} {
		if errors.As(err, new(*manifest.VersionError)) {
			c.later("jobs/"+id+"/"+name, err)
			return true
		}
	}
	return false
}

func (c *checker) found(f api.CheckFinding) {
	c.report.Findings = append(c.report.Findings, f)
}

func (c *checker) database(ctx context.Context) error {
	return c.Store.Check(ctx, c.Full, func(d store.Damage) {
		f := api.CheckFinding{Kind: "database", Name: "jobs.db", Wrong: d.Wrong, Help: "it is made anew from what is sound of it and from the jobs' directories"}
		if d.Table != "" {
			f.Kind, f.Name = "row", d.Table+" "+d.Name
		}
		c.found(f)
	})
}

// identity compares the file of the store's id with the database's copy.
func (c *checker) identity(ctx context.Context) error {
	kept, err := c.Store.Setting(ctx, "store")
	if err != nil || kept == "" {
		return nil // the row is found above, or no daemon of this version has run yet
	}
	data, err := os.ReadFile(c.Data.StoreID())
	if err == nil && string(data) == kept+"\n" {
		return nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f := api.CheckFinding{Kind: "document", Name: "id", Wrong: "it is not the store's id", Help: "the database has a copy"}
	if c.Repair {
		if err := durable.WriteFile(c.Data.StoreID(), []byte(kept+"\n")); err != nil {
			return err
		}
		f.Done = "written again from the database"
	}
	c.found(f)
	return nil
}

// packs compares the packs that the database names with their files.
func (c *checker) packs(ctx context.Context) error {
	all, err := c.Store.Packs(ctx)
	if store.IsDamaged(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, p := range all {
		c.report.Packs++
		err := c.pack(ctx, p)
		if api.KindOf(err) == api.Incompatible {
			c.later(filepath.Base(c.Data.Pack(p.Sum)), err)
			continue
		}
		if api.KindOf(err) != api.Corrupt {
			if err != nil {
				return err
			}
			continue
		}
		if known, kerr := c.Store.HasPack(ctx, p.Sum); !known && kerr == nil {
			continue // swept meanwhile
		}
		f := api.CheckFinding{Kind: "pack", Name: filepath.Base(c.Data.Pack(p.Sum)), Wrong: err.Error(), Help: "what was in it is sent again with the next job that needs it"}
		if c.Repair {
			if err := errors.Join(packs.SetAside(c.Data, p.Sum), c.Store.Forget(ctx, p)); err != nil {
				return err
			}
			f.Done = "set aside in damaged/"
		}
		c.found(f)
	}
	return nil
}

// later tells of what a later executor wrote. It is sound for all that is known here, and stays.
func (c *checker) later(name string, err error) {
	f := api.CheckFinding{Kind: "version", Name: name, Wrong: err.Error(), Help: "cyclops install HOST brings an executor that reads it"}
	if c.Repair {
		f.Done = "left as it is: cyclops install HOST brings an executor that reads it"
	}
	c.found(f)
}

func (c *checker) pack(ctx context.Context, p store.Pack) error {
	if c.Full {
		c.report.Bytes += p.Size
		return packs.Verify(ctx, c.Data, p.Sum)
	}
	info, err := os.Lstat(c.Data.Pack(p.Sum))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return api.Errorf(api.Corrupt, "", "it is gone")
	case err == nil && info.Size() != p.Size:
		return api.Errorf(api.Corrupt, "", "it has %d bytes, not %d", info.Size(), p.Size)
	}
	return err
}

// sumOf reads a file and returns its digest and size.
func (c *checker) sumOf(path string) (manifest.Sum, int64, error) {
	sum, n, err := supervise.SumOfFile(path)
	c.report.Bytes += n
	return sum, n, err
}
