//go:build linux

package engine

import (
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

const (
	// newsJobs bounds the jobs of one News: a frame must hold them.
	newsJobs = 200
	// toldStandings is how far down the queue places are told again when it moves: each start would
	// otherwise send the whole of a long queue.
	toldStandings = 100
)

// Overview sees every job of the host until Close. One that is slow sees the newest state when it
// looks again, and never holds up a job or other watchers.
type Overview struct {
	e    *Engine
	wake chan struct{}

	// Engine.mu guards these: what was not told yet.
	jobs   map[*job]struct{}
	gone   []string
	status bool
}

// Overview begins to see all jobs. The first News are those that have not ended.
func (e *Engine) Overview() *Overview {
	o := &Overview{e: e, wake: make(chan struct{}, 1), jobs: map[*job]struct{}{}, status: true}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, j := range e.live {
		o.jobs[j] = struct{}{}
	}
	e.overviews[o] = struct{}{}
	o.ring()
	return o
}

// Close ends the seeing.
func (o *Overview) Close() {
	o.e.mu.Lock()
	defer o.e.mu.Unlock()
	delete(o.e.overviews, o)
}

// Changed gets a value when there are News.
func (o *Overview) Changed() <-chan struct{} { return o.wake }

// Take returns what changed since it was last called, or a part of it; Changed tells of the rest.
func (o *Overview) Take() api.News {
	o.e.mu.Lock()
	news := api.News{Gone: o.gone}
	o.gone = nil
	for j := range o.jobs {
		if len(news.Jobs) == newsJobs {
			o.ring()
			break
		}
		delete(o.jobs, j)
		news.Jobs = append(news.Jobs, o.e.info(j))
	}
	status := o.status
	o.status = false
	o.e.mu.Unlock()
	if status {
		news.Status = o.e.Status()
	}
	return news
}

func (o *Overview) ring() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// overviews are told of what happens to all jobs. Engine.mu guards them.
type overviews map[*Overview]struct{}

func (all overviews) changed(j *job) {
	for o := range all {
		o.jobs[j], o.status = struct{}{}, true
		o.ring()
	}
}

func (all overviews) gone(id string) {
	for o := range all {
		o.gone = append(o.gone, id)
		o.ring()
	}
}

// moved tells of a queue whose jobs have other places now.
func (all overviews) moved(e *Engine) {
	if len(all) == 0 {
		return
	}
	for _, j := range e.live {
		if j.row.State != manifest.Queued {
			continue
		}
		if at, _ := e.queue.Standing(j.row.ID); at <= toldStandings {
			all.changed(j)
		}
	}
	for o := range all {
		o.status = true
		o.ring()
	}
}

// see has whoever sees all jobs told of j from now on. e.mu is held.
func (e *Engine) see(j *job) {
	j.overviews = e.overviews
	e.overviews.changed(j)
}
