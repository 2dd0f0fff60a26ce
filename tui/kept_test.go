package tui

import (
	"strings"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// endBehind ends a job while there is no contact with its host, which then comes back.
func endBehind(m *Model, f *fake, id string) {
	m.takeEvent("lab", Event{Err: api.Errorf(api.Unreachable, "", "no route"), Retry: time.Second})
	for i := range f.jobs["lab"] {
		if j := &f.jobs["lab"][i]; j.ID == id {
			j.State, j.Ended, j.ExitCode = manifest.Failed, ago(0), code(2)
		}
	}
	pump(m, m.takeEvent("lab", f.first("lab")))
}

func TestWatchedJobThatEndedWithoutContactIsTold(t *testing.T) {
	t.Parallel()
	f := sample()
	m := begin(t, f, 100, 24)
	press(m, "w", "j")
	endBehind(m, f, "rrrrrrrrrrrrrrrr")
	if !strings.Contains(screen(m), "build (lab/rrrrrrrrrrrrrrrr) failed") || len(m.jobs.watched) != 0 {
		t.Errorf("its end is not told:\n%s", screen(m))
	}
}

// What was removed meanwhile is not waited for for ever.
func TestWatchedJobThatWasRemovedWithoutContactIsForgotten(t *testing.T) {
	t.Parallel()
	f := sample()
	m := begin(t, f, 100, 24)
	press(m, "w", "j")
	f.jobs["lab"] = f.jobs["lab"][2:]
	pump(m, m.takeEvent("lab", f.first("lab")))
	if len(m.jobs.watched)+len(m.jobs.kept) != 0 {
		t.Errorf("still kept: %v", m.jobs.kept)
	}
}

// An action is about the jobs that it says are marked, not about another one that is in view.
func TestMarksHoldUnderAFilter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ filter, want string }{
		{"state:running", "pin lab/rrrrrrrrrrrrrrrr lab/ffffffffffffffff lab/ssssssssssssssss"},
		{"name:bench", "pin lab/rrrrrrrrrrrrrrrr lab/ffffffffffffffff lab/ssssssssssssssss"},
	} {
		f := sample()
		m := begin(t, f, 100, 24)
		press(m, "space", "j", "space", "space", "f")
		typeIn(m, c.filter)
		press(m, "enter", "P")
		if got := strings.Join(f.verbs, "; "); got != c.want {
			t.Errorf("%s: did %q, want %q", c.filter, got, c.want)
		}
	}
}

// A filter that an ended job does not fit takes it from the table, not from the places about it.
func TestOpenJobStaysKnownUnderAFilter(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		f := sample()
		m := begin(t, f, 100, 40)
		press(m, "f")
		typeIn(m, "state:running")
		press(m, "enter", "enter")
		if lost {
			endBehind(m, f, "rrrrrrrrrrrrrrrr")
		} else {
			ended := &f.jobs["lab"][1]
			ended.State, ended.Ended, ended.ExitCode, ended.Reason = manifest.Failed, ago(0), code(2), "step route failed"
			pump(m, m.takeEvent("lab", Event{News: api.News{Jobs: []api.JobInfo{*ended}}}))
		}
		if s := screen(m); !strings.Contains(s, "failed (2)") || !strings.Contains(s, "synth") || m.top().(*jobPane).record.Manifest == nil {
			t.Errorf("lost %v: got\n%s", lost, s)
		}
	}
}

// absence is a screen whose host was away while 650 jobs ended there, more than a page has, and one
// that was chosen before by so many keys.
func absence(t *testing.T, down int, live bool) (m *Model, all []api.JobInfo, chosen Ref) {
	f := many(1, 950)
	host := f.hosts[0].Name
	all = f.jobs[host]
	f.jobs[host] = all[649:]
	if live {
		all[649].State, all[649].Ended = manifest.Running, nil
	}
	m = begin(t, f, 100, 24)
	for range down {
		press(m, "j")
	}
	chosen = m.current().ref()
	m.takeEvent(host, Event{Err: api.Errorf(api.Unreachable, "", "no route"), Retry: time.Second})
	f.jobs[host] = all
	pump(m, m.takeEvent(host, f.first(host)))
	return m, all, chosen
}

// A key must not be about another job because its host was away, and no job may be left out.
func TestTheChoiceStaysBehindALongAbsence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		down int
		live bool
	}{{0, true}, {0, false}, {5, false}, {150, false}, {290, false}} {
		m, all, chosen := absence(t, c.down, c.live)
		if now := m.current(); now == nil || now.ref() != chosen {
			t.Errorf("%v: the choice went from %v to %v", c, chosen, now)
		}
		whole(t, m.jobs.history.rows)
		press(m, "g")
		if newest := m.jobs.history.rows[0].Seq; newest != all[0].Seq {
			t.Errorf("%v: g goes to %d", c, newest)
		}
		whole(t, m.jobs.history.rows)
	}
}

// whole fails where a job of the only host is left out.
func whole(t *testing.T, rows []*row) {
	t.Helper()
	for i := range rows[:max(0, len(rows)-1)] {
		if rows[i].Seq != rows[i+1].Seq+1 {
			t.Fatalf("behind job %d comes %d", rows[i].Seq, rows[i+1].Seq)
		}
	}
}
