//go:build linux

package engine

import (
	"fmt"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/supervise"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

// limits is what the host's config lets each job use.
func (e *Engine) limits() supervise.Limits {
	size := func(b *human.Bytes) int64 {
		if b == nil {
			return 0
		}
		return int64(*b)
	}
	c := e.Config.Limits
	l := supervise.Limits{Memory: size(c.Memory), Log: size(c.Log), Output: size(c.Output)}
	if c.Processes != nil {
		l.Processes = *c.Processes
	}
	return l
}

// reportLimits says which limits there are, and tries whether they hold.
func (e *Engine) reportLimits() []api.LimitReport {
	l := e.limits()
	why := supervise.TryLimits(e.Data, l)
	report := []api.LimitReport{{Name: "processes", Value: fmt.Sprint(l.Processes), NotEnforced: why["processes"]}}
	for _, size := range []struct {
		name  string
		value int64
	}{{"memory", l.Memory}, {"log", l.Log}, {"output", l.Output}} {
		if size.value > 0 {
			report = append(report, api.LimitReport{Name: size.name, Value: human.Size(size.value), NotEnforced: why[size.name]})
		}
	}
	return report
}
