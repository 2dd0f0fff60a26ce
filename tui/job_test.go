package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
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

func (a *away) gone() error {
	if a.away {
		return api.Errorf(api.Unreachable, "", "no route to lab")
	}
	return nil
}

func (a *away) LogPage(ctx context.Context, ref Ref, part LogPart) (LogPage, error) {
	if err := a.gone(); err != nil {
		return LogPage{}, err
	}
	return a.fake.LogPage(ctx, ref, part)
}

func (a *away) LogFind(ctx context.Context, ref Ref, s LogSearch) (api.LogFound, error) {
	if err := a.gone(); err != nil {
		return api.LogFound{}, err
	}
	return a.fake.LogFind(ctx, ref, s)
}

func (a *away) Record(ctx context.Context, ref Ref) (Record, error) {
	a.asked++
	if err := a.gone(); err != nil {
		return Record{}, err
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

func (a *away) Peek(ctx context.Context, ref Ref, f manifest.Artifact, most int64) ([]byte, error) {
	if err := a.gone(); err != nil {
		return nil, err
	}
	return a.fake.Peek(ctx, ref, f, most)
}

// A file that is opened while its host is away is shown when that is back.
func TestAPreviewIsReadWhenItsHostIsBack(t *testing.T) {
	t.Parallel()
	f := &away{fake: sample()}
	m := begin(t, f.fake, 100, 24)
	m.client = f
	press(m, "j", "j", "a")
	f.away = true
	press(m, "j", "enter")
	if s := screen(m); !strings.Contains(s, "no route to lab") {
		t.Errorf("got\n%s", s)
	}
	f.away = false
	pump(m, m.takeEvent("lab", f.first("lab")))
	if s := screen(m); !strings.Contains(s, "Max frequency") {
		t.Errorf("got\n%s", s)
	}
}

// running is a screen of 100×60 on the running job of a host that can go away.
func running(t *testing.T) (*Model, *away) {
	f := &away{fake: sample()}
	m := begin(t, f.fake, 100, 60)
	m.client = f
	press(m, "g")
	if r := m.current(); r == nil || r.State != manifest.Running {
		t.Fatalf("the first job is %v", r)
	}
	return m, f
}

// end tells that the job under the cursor has ended.
func (a *away) end(m *Model) {
	ended := m.current().JobInfo
	ended.State, ended.Ended, ended.ExitCode = manifest.Failed, ago(0), code(2)
	all := a.jobs[m.current().host]
	all[slices.IndexFunc(all, func(j api.JobInfo) bool { return j.ID == ended.ID })] = ended
	pump(m, m.takeEvent(m.current().host, Event{News: api.News{Jobs: []api.JobInfo{ended}}}))
}

// A read that failed once, of a host that stayed, is made up for when the job ends.
func TestAFailedReadIsMadeUpForAtTheEnd(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{"enter": "Outputs", "a": "top.bin"} {
		m, f := running(t)
		f.away = true
		press(m, key)
		f.away = false
		f.end(m)
		if s := screen(m); !strings.Contains(s, want) || strings.Contains(s, "no route") {
			t.Errorf("%s is not read again:\n%s", key, s)
		}
		asked := f.asked
		pump(m, m.takeEvent(m.current().host, Event{News: api.News{Status: &api.Status{}}}))
		if f.asked != asked {
			t.Errorf("%s asks %d times more", key, f.asked-asked)
		}
	}
}

// halfRead is a host that gives what was asked of a job, and not its manifest.
type halfRead struct{ *fake }

func (h halfRead) Record(ctx context.Context, ref Ref) (Record, error) {
	r, _ := h.fake.Record(ctx, ref)
	return Record{Spec: r.Spec}, api.Errorf(api.Corrupt, "", "the manifest is damaged")
}

func TestOneDocumentIsShownWithoutTheOther(t *testing.T) {
	t.Parallel()
	m := begin(t, sample(), 100, 60)
	m.client = halfRead{sample()}
	press(m, "j", "j", "enter")
	if s := screen(m); !strings.Contains(s, "the manifest is damaged") || !strings.Contains(s, "synth_ice40") {
		t.Errorf("got\n%s", s)
	}
}

// What a running job's log has of errors is looked for again, and kept where that fails.
func TestErrorsOfARunningJobAppear(t *testing.T) {
	t.Parallel()
	m, f := running(t)
	f.log = "WARNING: the first\n"
	press(m, "enter")
	later := func() string {
		m.now = m.now.Add(lookAgain)
		pump(m, m.pass(tickMsg(m.now)))
		return screen(m)
	}
	f.log += "ERROR: the second\n"
	if s := screen(m); strings.Contains(s, "the second") {
		t.Fatalf("got\n%s", s)
	}
	if s := later(); !strings.Contains(s, "ERROR: the second") {
		t.Errorf("it is not looked for again:\n%s", s)
	}
	f.away = true
	if s := later(); !strings.Contains(s, "ERROR: the second") || !strings.Contains(s, "unable to look for newer ones: no route to lab") {
		t.Errorf("got\n%s", s)
	}
	f.away = false
	pump(m, m.takeEvent("lab", f.first("lab")))
	if s := screen(m); strings.Contains(s, "unable to look") {
		t.Errorf("got\n%s", s)
	}
}
