//go:build linux

package engine

import (
	"slices"

	"github.com/cyclops-fpga/cyclops/executor/supervise"
)

// removeLeftovers removes what supervisors that were killed left behind, of those jobs in ids
// that have ended.
func (e *Engine) removeLeftovers(ids []string) {
	e.mu.Lock()
	ids = slices.DeleteFunc(ids, func(id string) bool { return e.live[id] != nil })
	e.mu.Unlock()
	e.wg.Go(func() {
		if err := supervise.CleanUp(e.Data, ids...); err != nil {
			e.Log.Warn("files that jobs left behind stay", "error", err)
		}
	})
}
