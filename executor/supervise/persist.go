//go:build linux

package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/collect"
	"github.com/cyclops-fpga/cyclops/executor/space"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// recordAgain is the time between two attempts to write a record that the disk did not take.
const recordAgain = 2 * time.Second

// persist writes the manifest. On a full disk it does without what can be left out. A disk that
// takes none is tried again until it does, or the host ends: how a job ended after hours must not
// be lost because a disk was full, or read-only, for a while.
func (s *supervisor) persist(ctx context.Context) error {
	err := writeReserved(s.final, s.launch.Data, s.record)
	if space.IsFull(err) {
		err = s.persistLess()
	}
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return err // without its directory there is nothing left to record it in
	}
	s.sayStuck(err)
	ctx = s.stop.rearm(ctx) // whoever cancels it now does without the record
	timer := time.NewTimer(recordAgain)
	defer timer.Stop()
	for ; err != nil && !errors.Is(err, os.ErrNotExist); timer.Reset(recordAgain) {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return err
		}
		// In a file of its own: a sync that failed must not be asked for a second time.
		err = WriteManifest(s.launch.Data, s.record)
	}
	return errors.Join(err, s.dropReserve())
}

// dropReserve removes the file that did not become the manifest.
func (s *supervisor) dropReserve() error {
	if err := os.Remove(s.final.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return s.final.Close()
}

// persistLess gives the copies of the outputs up for the record, which then lists them where they are: in the
// workspace. If not even that finds room it does without them.
func (s *supervisor) persistLess() error {
	m, reason := s.record, s.record.Reason
	for i := range m.Artifacts { // first: a removal that fails may have taken some
		if a := &m.Artifacts[i]; !a.OwnLog() && !a.Volatile {
			collect.Stays(s.launch.Data, s.job.ID, WorkspaceName(s.job), a)
		}
	}
	s.addReason("the outputs stay in the workspace, to make room for this record: the host's disk is full")
	if err := os.RemoveAll(s.launch.Data.Artifacts(s.job.ID)); err != nil {
		return err
	}
	err := writeReserved(s.final, s.launch.Data, m)
	if !space.IsFull(err) {
		return err
	}
	m.Artifacts = slices.DeleteFunc(m.Artifacts, func(a manifest.Artifact) bool { return !a.OwnLog() })
	m.Reason = reason
	s.addReason("the outputs are not listed, to make room for this record: the host's disk is full")
	return writeReserved(s.final, s.launch.Data, m)
}

func (s *supervisor) sayStuck(err error) {
	fmt.Fprintf(os.Stderr, "cyclopsd supervise: job %s waits to be recorded: %v\n", s.job.ID, err)
	s.phase(api.PhaseRecording)
	s.warn("its record waits for the host's disk: " + err.Error())
	if _, there := os.Lstat(s.launch.Data.Manifest(s.job.ID)); there != nil { // else it may have been read already
		s.addReason("the host's disk did not take this record at first: " + err.Error())
		s.doubt(err)
	}
}

func (s *supervisor) addReason(text string) {
	if s.record.Reason != "" {
		s.record.Reason += "; "
	}
	s.record.Reason += text
}
