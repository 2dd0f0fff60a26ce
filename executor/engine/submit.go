//go:build linux

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/inputs"
	"github.com/cyclops-fpga/cyclops/executor/space"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// maxSteps, maxNeeds and maxAfter bound a job.
const (
	maxSteps = 1000
	maxNeeds = 100
	maxAfter = 1000
)

// Submission is a job with what came for it.
type Submission struct {
	Job   []byte
	Bases []manifest.Digest
	Files []string // packs in incoming/
}

// Submit accepts a job durably, or says what of its inputs is missing. Packs that came are taken
// either way.
func (e *Engine) Submit(ctx context.Context, s Submission) (api.Accepted, *api.Missing, error) {
	doc, err := decode(s.Job)
	if err != nil {
		return api.Accepted{}, nil, err
	}
	digest := manifest.SumOf(s.Job)
	if again, err := e.known(ctx, doc.ID, digest); again != nil || err != nil {
		return accepted(again), nil, err
	}
	if err := e.admissible(ctx, doc); err != nil {
		return api.Accepted{}, nil, err
	}
	gathered, missing, err := e.gather(ctx, doc, s)
	if err != nil || missing != nil {
		return api.Accepted{}, missing, err
	}
	defer gathered.Release()
	info, err := e.admit(ctx, newJob(doc, digest), s.Job, gathered)
	if again, known := errors.AsType[*alreadyError](err); known {
		if again.ended != nil {
			return accepted(again.ended), nil, nil
		}
		return e.awaitAgain(ctx, again.job, digest)
	}
	if err != nil {
		return api.Accepted{}, nil, err
	}
	if len(gathered.Packs) > inputs.MaxPacks {
		e.compact(info.Snapshot)
	}
	return api.Accepted{Job: info}, nil, nil
}

func accepted(again *api.JobInfo) api.Accepted {
	if again == nil {
		return api.Accepted{}
	}
	return api.Accepted{Job: *again, Again: true}
}

// compact makes one pack of the many that a snapshot draws on, while jobs go on.
func (e *Engine) compact(d manifest.Digest) {
	e.wg.Go(func() {
		snapshot, err := d.Sum()
		if err == nil {
			err = e.Inputs.Compact(e.ctx, snapshot)
		}
		if err != nil && e.ctx.Err() == nil {
			e.Log.Warn("packs stay as they are", "error", err)
		}
	})
}

func decode(raw []byte) (*manifest.Job, error) {
	doc, err := manifest.DecodeJob(raw)
	if version, ok := errors.AsType[*manifest.VersionError](err); ok {
		return nil, api.Errorf(api.Incompatible, "cyclops install HOST brings the executor up to date", "unable to accept job: %w", version)
	}
	if err == nil {
		err = doc.Validate()
	}
	if err == nil && (len(doc.Steps) > maxSteps || len(doc.Needs) > maxNeeds || len(doc.After) > maxAfter) {
		err = fmt.Errorf("it has more than %d steps, %d needs or %d upstream jobs", maxSteps, maxNeeds, maxAfter)
	}
	if err == nil && doc.Input.Snapshot != "" {
		_, err = doc.Input.Snapshot.Sum()
	}
	if err != nil {
		return nil, api.Errorf(api.Invalid, "", "unable to accept job: %w", err)
	}
	if doc.Priority == "" {
		doc.Priority = manifest.Normal
	}
	return doc, nil
}

// known answers for an id that was seen before: the same job, or a conflict.
func (e *Engine) known(ctx context.Context, id string, digest manifest.Sum) (*api.JobInfo, error) {
	e.mu.Lock()
	j := e.live[id]
	e.mu.Unlock()
	if j != nil {
		a, _, err := e.awaitAgain(ctx, j, digest)
		return &a.Job, err
	}
	if err := e.sound(); err != nil {
		return nil, err
	}
	return e.recorded(ctx, id, digest)
}

// recorded answers for an id that the store has, of a job or of one that was removed.
func (e *Engine) recorded(ctx context.Context, id string, digest manifest.Sum) (*api.JobInfo, error) {
	row, err := e.Store.Get(ctx, id)
	if err == nil {
		info := e.rowInfo(&row)
		return &info, sameJob(id, row.Digest, digest)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	_, err = e.Store.Tombstone(ctx, id)
	if err == nil {
		return nil, api.Errorf(api.Conflict, "submit it as a new job", "job %s was removed", id)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return nil, nil
}

// awaitAgain answers for a job that is live, when it is durable.
func (e *Engine) awaitAgain(ctx context.Context, j *job, digest manifest.Sum) (api.Accepted, *api.Missing, error) {
	select {
	case <-j.accepted:
	case <-ctx.Done():
		return api.Accepted{}, nil, context.Cause(ctx)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if j.refused != nil {
		return api.Accepted{}, nil, j.refused
	}
	return api.Accepted{Job: e.info(j), Again: true}, nil, sameJob(j.row.ID, j.row.Digest, digest)
}

func sameJob(id string, have, want manifest.Sum) error {
	if have == want {
		return nil
	}
	return api.Errorf(api.Conflict, "submit it as a new job", "job %s is there already and is another job", id)
}

// admissible tells whether a job could ever run here.
func (e *Engine) admissible(ctx context.Context, doc *manifest.Job) error {
	if doc.Beside != "" {
		return e.admissibleBeside(ctx, doc)
	}
	e.mu.Lock()
	draining := e.queue.Draining()
	name, asked, total := e.counted.Short(doc.Needs)
	e.mu.Unlock()
	if draining {
		return api.Errorf(api.Draining, "cyclops resume lets it take jobs again", "%s is draining and takes no new jobs", e.Host)
	}
	if name != "" {
		return api.Errorf(api.Refused, "cyclops hosts lists what there is", "the job needs %d of %s and %s has %d", asked, name, e.Host, total)
	}
	for _, tool := range doc.Tools {
		if _, ok := e.Config.Tools[tool]; !ok {
			return api.Errorf(api.NotFound, "tools are named in "+e.Data.Config()+" there", "%s has no tool %q", e.Host, tool)
		}
	}
	return e.checkUpstream(ctx, doc)
}

func (e *Engine) checkUpstream(ctx context.Context, doc *manifest.Job) error {
	for _, up := range doc.After {
		if !manifest.ValidID(up) || up == doc.ID {
			return api.Errorf(api.Invalid, "", "%q is no id of an upstream job", up)
		}
		row, err := e.Store.Get(ctx, up)
		if errors.Is(err, store.ErrNotFound) {
			return api.Errorf(api.NotFound, "", "the job is to come after job %s, which %s does not know", up, e.Host)
		}
		if err != nil {
			return err
		}
		if row.State.Ended() && row.State != manifest.Succeeded {
			return api.Errorf(api.Conflict, "", "the job is to come after job %s, which %s", up, ending(row.State))
		}
	}
	return nil
}

func ending(s manifest.State) string {
	switch s {
	case manifest.Cancelled:
		return "was cancelled"
	case manifest.TimedOut:
		return "timed out"
	case manifest.Lost:
		return "was lost"
	}
	return string(s)
}

func (e *Engine) gather(ctx context.Context, doc *manifest.Job, s Submission) (*inputs.Gathered, *api.Missing, error) {
	r := inputs.Request{Job: doc.ID, Files: s.Files}
	if doc.Input.Snapshot == "" {
		return &inputs.Gathered{}, nil, nil
	}
	var err error
	if r.Snapshot, err = doc.Input.Snapshot.Sum(); err != nil {
		return nil, nil, err
	}
	for _, d := range s.Bases {
		base, err := d.Sum()
		if err != nil {
			return nil, nil, api.Errorf(api.Invalid, "", "unable to accept job: %w", err)
		}
		r.Bases = append(r.Bases, base)
	}
	g, missing, err := e.Inputs.Gather(ctx, r)
	return g, missing, e.disk(err)
}

// alreadyError says that the same id came in twice at the same time.
type alreadyError struct {
	job   *job
	ended *api.JobInfo // it has ended by now
}

func (a *alreadyError) Error() string { return "the job was accepted meanwhile" }

// admit queues a job and makes that durable; one that may start at once is accepted and started
// in the same commit.
func (e *Engine) admit(ctx context.Context, j *job, raw []byte, g *inputs.Gathered) (api.JobInfo, error) {
	e.removing.RLock()
	defer e.removing.RUnlock()
	if j.row.About.Beside != "" {
		// Asked again: it may have been removed since, and cannot be from now on.
		if _, err := e.place(ctx, j.row.About.Beside); err != nil {
			return api.JobInfo{}, err
		}
	}
	e.mu.Lock()
	if have := e.live[j.row.ID]; have != nil {
		e.mu.Unlock()
		return api.JobInfo{}, &alreadyError{job: have}
	}
	// Asked again under the lock: while the inputs came, the same job may have come another way, ended and been removed.
	if ended, err := e.recorded(ctx, j.row.ID, j.row.Digest); ended != nil || err != nil {
		e.mu.Unlock()
		if err == nil {
			err = &alreadyError{ended: ended}
		}
		return api.JobInfo{}, err
	}
	// Asked again under the lock: an upstream job may have ended since.
	if e.orphaned(ctx, j) {
		e.mu.Unlock()
		return api.JobInfo{}, api.Errorf(api.Conflict, "", "a job that it is to come after did not succeed")
	}
	e.seq++
	j.row.Seq = e.seq
	e.live[j.row.ID] = j
	e.enqueue(j)
	e.see(j)
	row := j.row
	j.copied = true
	e.mu.Unlock()
	err := e.persist(ctx, row, raw, g)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.refuse(j, err)
		return api.JobInfo{}, err
	}
	close(j.accepted)
	return e.info(j), nil
}

// enqueue lets a job start now or in its turn. e.mu is held.
func (e *Engine) enqueue(j *job) {
	if j.row.About.Beside != "" {
		e.startBeside(j)
		return
	}
	e.queue.Add(j.queued())
	e.startNext()
}

func (e *Engine) persist(ctx context.Context, row store.Job, raw []byte, g *inputs.Gathered) error {
	// Once begun it is finished: a client that hangs up meanwhile may ask again for the same id.
	ctx = context.WithoutCancel(ctx)
	if err := e.writeSpec(row.ID, raw); err != nil {
		return e.disk(errors.Join(err, os.RemoveAll(e.Data.Job(row.ID))))
	}
	err := failpoint.Do(failpoint.AcceptCommit, func() error {
		return e.Store.Accept(ctx, store.Acceptance{Job: row, Spec: raw, Packs: g.Packs, New: g.New})
	})
	if err == nil {
		// It is accepted, whatever becomes of the name: its start and the next daemon give it again.
		if err := e.nameSpec(row.ID); err != nil {
			e.Log.Error("the document of an accepted job has not got its name", "job", row.ID, "error", e.disk(err))
		}
		return nil
	}
	err = fmt.Errorf("unable to accept job %s: %w", row.ID, err)
	if f := space.Fail(err); f != nil {
		_ = e.disk(err)
		return api.Errorf(api.Unsure, failedHint, "%s cannot tell whether it has job %s: %w", e.Host, row.ID, f)
	}
	return e.disk(errors.Join(err, os.RemoveAll(e.Data.Job(row.ID))))
}

// ensureSpec writes a job's document again that a loss of power took: its directory is not synced.
func (e *Engine) ensureSpec(id string, raw []byte) error {
	if info, err := os.Stat(e.Data.JobSpec(id)); err == nil && info.Size() == int64(len(raw)) {
		return nil
	}
	if err := e.writeSpec(id, raw); err != nil {
		return err
	}
	return e.nameSpec(id)
}

// writeSpec writes the copy of the document that people browse. The store's own is the durable one.
func (e *Engine) writeSpec(id string, raw []byte) error {
	if err := failpoint.Do(failpoint.SpecDir, func() error { return os.MkdirAll(e.Data.Job(id), 0o700) }); err != nil {
		return fmt.Errorf("unable to make the job's directory: %w", err)
	}
	if err := failpoint.Do(failpoint.SpecWrite, func() error { return os.WriteFile(e.Data.JobSpecPart(id), raw, 0o600) }); err != nil {
		return fmt.Errorf("unable to write the job's document: %w", err)
	}
	return nil
}

// nameSpec gives the document its name once the job is accepted, and before anybody is told: without the
// database that name alone tells a job that was accepted from a submit that a KILL ended, which must not run.
func (e *Engine) nameSpec(id string) error {
	if err := failpoint.Do(failpoint.SpecRename, func() error { return os.Rename(e.Data.JobSpecPart(id), e.Data.JobSpec(id)) }); err != nil {
		return fmt.Errorf("unable to name the job's document: %w", err)
	}
	return nil
}

// refuse takes back a job that could not be made durable. e.mu is held.
func (e *Engine) refuse(j *job, err error) {
	delete(e.live, j.row.ID)
	close(j.ended)
	j.refused = err
	e.overviews.gone(j.row.ID)
	orphans, waiting := e.queue.Remove(j.row.ID)
	if !waiting {
		orphans = e.queue.Done(j.row.ID, false)
	}
	close(j.accepted)
	e.orphan(orphans, "job "+j.row.ID+", which it was to come after, was not accepted")
	e.startNext()
}
