//go:build linux

package serve

import (
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// The rests between two News: jobs that change often are told of once each, and what the system
// does by itself, as its load, is looked at now and then.
const (
	newsRest   = 100 * time.Millisecond
	statusRest = 5 * time.Second
)

// watch tells a client of all jobs until it leaves.
func (st *stream) watch() error {
	overview := st.s.Engine.Overview()
	defer overview.Close()
	st.silence = maxSilence
	st.heard = make(chan struct{})
	go func() {
		defer close(st.heard)
		st.hearPings()
	}()
	status, asking := time.NewTicker(statusRest), time.NewTicker(maxSilence/3)
	defer status.Stop()
	defer asking.Stop()
	for {
		var news api.News
		select {
		case <-asking.C: // a client that always hears something never asks by itself
			if err := st.w.Write(api.FramePing); err != nil {
				return err
			}
			continue
		case <-overview.Changed():
			news = overview.Take()
		case <-status.C:
			news.Status = st.s.Engine.Status()
		case <-st.ctx.Done():
			return st.ctx.Err()
		}
		if news.Status != nil {
			fillStatus(news.Status, st.s.Data)
		}
		if err := st.w.JSON(api.FrameNews, news); err != nil {
			return err
		}
		select {
		case <-time.After(newsRest):
		case <-st.ctx.Done():
			return st.ctx.Err()
		}
	}
}

// hearPings answers a client that only listens, until it has left.
func (st *stream) hearPings() {
	defer st.cancel()
	buf := make([]byte, 4096)
	for {
		st.alive()
		f, err := api.ReadFrame(st.r, buf)
		if err == nil && f.Type == api.FramePing {
			err = st.w.Write(api.FramePong, f.Payload)
		}
		if err != nil {
			return
		}
	}
}
