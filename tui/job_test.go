package tui

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// The error that ended a job stands behind all its warnings.
func TestAJobShowsItsLastProblems(t *testing.T) {
	t.Parallel()
	f := sample()
	f.log = ""
	for i := range 50 {
		f.log += fmt.Sprintf("WARNING: number %d\n", i)
	}
	f.log += "ERROR: it ended here\n"
	m := begin(t, f, 100, 60)
	press(m, "j", "j", "enter")
	s := screen(m)
	last, end := strings.Index(s, "WARNING: number 49"), strings.Index(s, "ERROR: it ended here")
	if last < 0 || end < last || strings.Contains(s, "number 38") || !strings.Contains(s, "The last 12 errors and warnings in the log") {
		t.Errorf("got\n%s", s)
	}
}

// brief is a host that looks at the last MiB of a log at once.
type brief struct{ *fake }

func (b *brief) LogFind(context.Context, Ref, LogSearch) (api.LogFound, error) {
	return api.LogFound{Hits: []api.LogHit{}, Next: 9 << 20, Size: 10 << 20}, nil
}

func TestAJobSaysHowMuchOfItsLogWasLookedAt(t *testing.T) {
	t.Parallel()
	m := begin(t, sample(), 100, 60)
	m.client = &brief{sample()}
	press(m, "j", "j", "enter")
	if s := screen(m); !strings.Contains(s, "Errors and warnings in the last 1.0 MiB of the log") {
		t.Errorf("got\n%s", s)
	}
}

// away is a host that tells nothing of jobs while it is away, and counts what it is asked.
type away struct {
	*fake
	away  bool
	asked int
}

func (a *away) Record(ctx context.Context, ref Ref) (Record, error) {
	if a.asked++; a.away {
		return Record{}, api.Errorf(api.Unreachable, "", "no route to lab")
	}
	return a.fake.Record(ctx, ref)
}

// A place that was opened while its host was away fills itself when the host is back.
func TestAPlaceIsReadAgainWhenItsHostIsBack(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{"enter": "synth", "a": "top.bin"} {
		f := &away{fake: sample(), away: true}
		m := begin(t, f.fake, 100, 40)
		m.client = f
		press(m, "j", "j", key)
		if s := screen(m); !strings.Contains(s, "no route to lab") {
			t.Errorf("%s shows no problem:\n%s", key, s)
		}
		f.away = false
		pump(m, m.takeEvent("lab", f.first("lab")))
		if s := screen(m); strings.Contains(s, "no route") || !strings.Contains(s, want) {
			t.Errorf("%s is not read again:\n%s", key, s)
		}
		asked := f.asked
		pump(m, m.takeEvent("lab", Event{News: f.first("lab").News}))
		if f.asked != asked {
			t.Errorf("%s asks %d times more", key, f.asked-asked)
		}
	}
}
