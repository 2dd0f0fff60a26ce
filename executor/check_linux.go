package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/check"
	"github.com/cyclops-fpga/cyclops/executor/daemon"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/store"
)

// errDamaged says that check found something; it was printed.
var errDamaged = errors.New("some of it is damaged")

// checkData looks at every byte that an executor keeps, and with repair mends what can be.
func checkData(ctx context.Context, d layout.Data, self []string, o options, out io.Writer) error {
	look := lookAt
	if o.repair {
		look = repairAll
	}
	report, err := look(ctx, d, self)
	if err != nil {
		return err
	}
	if o.json {
		err = json.NewEncoder(out).Encode(report)
	} else {
		err = printReport(out, report)
	}
	if err == nil && len(report.Findings) > 0 && (!o.repair || slices.ContainsFunc(report.Findings, lost)) {
		err = errDamaged
	}
	return err
}

// lost tells of a job that even a repair did not bring back.
func lost(f api.CheckFinding) bool { return f.Kind == check.Job && f.Done == "" }

// lookAt reads beside a daemon, if there is one.
func lookAt(ctx context.Context, d layout.Data, _ []string) (*api.CheckReport, error) {
	if _, err := os.Stat(d.Database()); err != nil {
		return nil, fmt.Errorf("unable to check %s: %w", d, err)
	}
	s, err := store.OpenBeside(ctx, d.Database())
	if store.IsDamaged(err) {
		f := api.CheckFinding{Kind: "database", Name: "jobs.db", Wrong: err.Error(), Help: "--repair makes it anew from the jobs' directories"}
		return &api.CheckReport{Version: api.CheckVersion, Full: true, Findings: []api.CheckFinding{f}}, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return check.Run(ctx, check.Options{Data: d, Store: s, Full: true})
}

// repairAll ends the daemon, mends, and starts it again: it indexes the jobs that a damaged database
// lost. Jobs that run go on.
func repairAll(ctx context.Context, d layout.Data, self []string) (*api.CheckReport, error) {
	report, err := repair(ctx, d)
	if err != nil {
		return nil, err
	}
	if err := daemon.Ensure(ctx, d, self); err != nil {
		return nil, err
	}
	return report, lookAgain(ctx, d, report)
}

// lookAgain sees which of the jobs are in the index by now that it had lost: what a repair says that it did
// is to be true.
func lookAgain(ctx context.Context, d layout.Data, report *api.CheckReport) error {
	s, err := store.OpenBeside(ctx, d.Database())
	if err != nil {
		return err
	}
	defer s.Close()
	for i := range report.Findings {
		f := &report.Findings[i]
		if f.Kind != check.Job {
			continue
		}
		known, err := s.Knows(ctx, path.Base(f.Name))
		if err != nil {
			return err
		}
		if !known {
			f.Done, f.Help = "", "it could not be indexed: cyclopsd.log in the data directory says why"
		}
	}
	return nil
}

func repair(ctx context.Context, d layout.Data) (*api.CheckReport, error) {
	lock, err := daemon.TakeOver(ctx, d)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	s, err := store.Open(ctx, d.Database())
	if store.IsDamaged(err) {
		if err := store.Salvage(ctx, d.Database(), d.Damaged()); err != nil {
			return nil, err
		}
		f := api.CheckFinding{Kind: "database", Name: "jobs.db", Wrong: err.Error(), Done: madeAnew}
		return &api.CheckReport{Version: api.CheckVersion, Findings: []api.CheckFinding{f}}, nil
	}
	if err != nil {
		return nil, err
	}
	report, err := check.Run(ctx, check.Options{Data: d, Store: s, Full: true, Repair: true})
	if err = errors.Join(err, s.Close()); err != nil || !check.Database(report) {
		return report, err
	}
	for i := range report.Findings {
		if f := &report.Findings[i]; f.Done == "" && f.Kind != "document" {
			f.Done = madeAnew
		}
	}
	return report, store.Salvage(ctx, d.Database(), d.Damaged())
}

const madeAnew = "a copy is in damaged/; made anew from what is sound of it and from the jobs' directories"

func printReport(out io.Writer, r *api.CheckReport) error {
	for _, f := range r.Findings {
		what := f.Help
		if f.Done != "" {
			what = f.Done
		}
		if _, err := fmt.Fprintf(out, "%s %s: %s\n  → %s\n", f.Kind, f.Name, f.Wrong, what); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "%d jobs, %d packs, %d bytes read: %d damaged\n", r.Jobs, r.Packs, r.Bytes, len(r.Findings))
	return err
}
