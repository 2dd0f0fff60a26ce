//go:build linux

package engine

import (
	"cmp"
	"slices"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// Who sends a job's input is the supervisor's to say, which outlives daemons. Between asking and
// being answered nobody's input is passed on: it would be counted as another's.

// claim is a watcher's wish to send the job's input. Engine.mu guards it.
type claim struct {
	input   string // the client's name for it; empty: it sends none
	seq     uint64 // order of the claims on one job
	lost    bool   // another client has it
	granted uint64 // how often it was
	from    int64  // offset at which the client goes on
}

// Claim asks for the job's input for the client that calls it by this name, in the place of
// whoever sends it now. The supervisor hears of it with Ask; its answer comes with View.
func (w *Watch) Claim(input string) {
	if w.j == nil {
		return
	}
	w.e.mu.Lock()
	defer w.e.mu.Unlock()
	j := w.j
	j.claims++
	w.claim = claim{input: input, seq: j.claims}
	j.owner = nil
	if j.control != nil {
		j.asked++
		j.unsaid = append(j.unsaid, input)
	}
}

// Ask passes claims on to the supervisor. It may take as long as that does to listen.
func (w *Watch) Ask() {
	if w.j == nil {
		return
	}
	w.j.speaking.Lock()
	defer w.j.speaking.Unlock()
	w.e.mu.Lock()
	control, unsaid := w.j.control, w.j.unsaid
	w.j.unsaid = nil
	w.e.mu.Unlock()
	for _, input := range unsaid {
		if control == nil || control.JSON(api.FrameStdinTake, api.StdinTake{Input: input}) != nil {
			return // the next connection is asked for everybody
		}
	}
}

// claimants returns who wants to send the input, in the order in which they came. e.mu is held.
func (j *job) claimants() []*Watch {
	var all []*Watch
	for w := range j.watchers {
		if w.claim.input != "" && !w.claim.lost {
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b *Watch) int { return cmp.Compare(a.claim.seq, b.claim.seq) })
	return all
}

// attach makes a connection the one to the job's supervisor, and asks it what was asked for
// while there was none.
func (e *Engine) attach(j *job, control *api.FrameWriter, taken int64) error {
	j.speaking.Lock()
	defer j.speaking.Unlock()
	e.mu.Lock()
	claimants := j.claimants()
	j.control, j.stdinTaken, j.asked, j.owner, j.unsaid = control, taken, len(claimants), nil, nil
	cancel := j.cancel
	j.wake()
	e.mu.Unlock()
	for _, w := range claimants {
		if err := control.JSON(api.FrameStdinTake, api.StdinTake{Input: w.claim.input}); err != nil {
			return err
		}
	}
	if cancel != nil {
		return control.JSON(api.FrameCancel, cancel)
	}
	return nil
}

// granted takes the supervisor's answer to one claim; that to the last one counts. Of several
// watchers of one client the newest has a line that works. e.mu is held.
func (j *job) granted(o api.StdinOwner) {
	if j.asked = max(0, j.asked-1); j.asked > 0 {
		return
	}
	j.owner = nil
	for _, w := range j.claimants() {
		w.claim.lost = true
		if w.claim.input == o.Input {
			j.owner = w
		}
	}
	if j.owner != nil {
		c := &j.owner.claim
		c.lost, c.from = false, o.Received
		c.granted++
	}
	j.wake()
}

// takes tells whether a frame of this watcher may pass now. Input of one that has it no more is
// dropped; of one that may get it, it waits. e.mu is held.
func (w *Watch) takes(t api.FrameType) (pass, drop bool) {
	switch {
	case t != api.FrameStdin && t != api.FrameStdinEnd:
		return true, false
	case w.claim.input == "" || w.claim.lost:
		return false, true
	}
	return w.j.owner == w, false
}
