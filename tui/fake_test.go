package tui

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// fake is a few hosts in memory.
type fake struct {
	hosts    []Host
	jobs     map[string][]api.JobInfo // of each host, newest first
	log      string
	stderr   string // what of the log is stderr: its lines that have this in them
	verbs    []string
	fail     error  // of every verb
	partly   string // what verbs say that fail
	failJobs error  // of every page of jobs
	events   chan Event
	records  map[string]*manifest.Manifest
	mu       sync.Mutex
	trees    atomic.Int32 // times that one was asked for
}

func (f *fake) Hosts() []Host { return f.hosts }

func (f *fake) Watch(ctx context.Context, host string) <-chan Event {
	out := make(chan Event)
	go func() {
		defer close(out)
		select {
		case out <- f.first(host):
		case <-ctx.Done():
			return
		}
		for {
			select {
			case e := <-f.events:
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// first is what a host says at first.
func (f *fake) first(host string) Event {
	status := &api.Status{Slots: 2, Running: 1, Queued: 1, Load: 0.42, DiskFree: 40 << 30, DiskTotal: 100 << 30, Started: sampleTime.Add(-3 * time.Hour),
		Resources: []api.ResourceStatus{{Name: "cores", Total: 8, Held: 3}}, Tools: []string{"vivado-2025_1"}}
	e := Event{First: true, Hello: &api.Hello{API: 1, Executor: "v0.1.0", OS: "linux", Arch: "amd64", User: "ada", Host: host, Data: "/home/ada/.cyclops", Store: "kx3b7qzt5mva2c4d", Status: status}, News: api.News{Status: status}}
	for _, j := range f.jobs[host] {
		if !j.State.Ended() {
			e.News.Jobs = append(e.News.Jobs, j)
		}
	}
	return e
}

func (f *fake) Jobs(_ context.Context, host string, ask Ask) (api.JobPage, error) {
	var page api.JobPage
	all := f.jobs[host]
	if f.failJobs != nil {
		return page, f.failJobs
	}
	if ask.Query.ID != "" {
		all = slices.DeleteFunc(slices.Clone(all), func(j api.JobInfo) bool { return !strings.HasPrefix(j.ID, ask.Query.ID) })
	}
	if ask.After != nil {
		for i := len(all) - 1; i >= 0 && len(page.Jobs) <= ask.Limit; i-- {
			if all[i].Seq > *ask.After {
				page.Jobs = append(page.Jobs, all[i])
			}
		}
		if page.Newer = len(page.Jobs) > ask.Limit; page.Newer {
			page.Jobs = page.Jobs[:ask.Limit]
		}
		slices.Reverse(page.Jobs)
		return page, nil
	}
	i := 0
	if ask.Before > 0 {
		i, _ = slices.BinarySearchFunc(all, ask.Before, func(j api.JobInfo, seq int64) int { return int(seq - j.Seq) })
		for i < len(all) && all[i].Seq >= ask.Before {
			i++
		}
	}
	page.Jobs = all[i:min(len(all), i+ask.Limit)]
	if i+ask.Limit < len(all) {
		page.Cursor = fmt.Sprint(page.Jobs[len(page.Jobs)-1].Seq)
	}
	return page, nil
}

func (f *fake) Record(_ context.Context, ref Ref) (Record, error) {
	r := Record{Spec: &manifest.Job{ID: ref.ID, Steps: []manifest.Step{{Name: "synth", Run: "yosys -q -p 'synth_ice40' top.v"}, {Name: "route", Run: "nextpnr-ice40 --up5k"}}}}
	for _, j := range f.jobs[ref.Host] {
		if j.ID == ref.ID && j.State.Ended() {
			r.Manifest = f.records[j.Name]
			if r.Manifest == nil {
				r.Manifest = sampleManifest(j)
			}
		}
	}
	return r, nil
}

func (f *fake) chunks(from, to int64) []api.LogChunk {
	var all []api.LogChunk
	at := int64(0)
	for line := range strings.Lines(f.log) {
		end := at + int64(len(line))
		if begin := max(at, from); begin < min(end, to) {
			c := api.LogChunk{Offset: begin, Time: sampleTime.UnixNano() + at*1e7, Stream: api.Stdout, Data: []byte(line[begin-at : min(end, to)-at])}
			if f.stderr != "" && strings.Contains(line, f.stderr) {
				c.Stream = api.Stderr
			}
			all = append(all, c)
		}
		at = end
	}
	return all
}

func (f *fake) LogPage(_ context.Context, _ Ref, p LogPart) (LogPage, error) {
	size := int64(len(f.log))
	from := min(p.From, size)
	end := min(size, from+int64(p.Limit))
	if p.Back > 0 {
		end = from
		for n := 0; from > 0 && n < p.Back; n++ {
			from = int64(strings.LastIndexByte(f.log[:max(0, from-1)], '\n') + 1)
		}
	}
	chunks := f.chunks(from, end)
	next := end
	if n := len(chunks); n > 0 {
		next = chunks[n-1].Offset + int64(len(chunks[n-1].Data))
	}
	if p.Stream != "" {
		chunks = slices.DeleteFunc(chunks, func(c api.LogChunk) bool { return (c.Stream == api.Stderr) != (p.Stream == "stderr") })
	}
	return LogPage{chunks, api.LogPage{From: from, Next: next, Size: size}}, nil
}

func (f *fake) LogFind(_ context.Context, _ Ref, s LogSearch) (api.LogFound, error) {
	found := api.LogFound{Hits: []api.LogHit{}, Size: int64(len(f.log)), Next: int64(len(f.log)), Done: true}
	if s.Backward {
		found.Next = 0
	}
	for _, c := range f.chunks(0, found.Size) {
		line := strings.TrimSuffix(string(c.Data), "\n")
		if s.Stream != "" && (c.Stream == api.Stderr) != (s.Stream == "stderr") {
			continue
		}
		from := 0
		if !s.Backward { // the rest of the line that it begins in
			from = int(min(max(s.From-c.Offset, 0), int64(len(line))))
		}
		k := strings.Index(strings.ToLower(line[from:]), strings.ToLower(s.Text))
		if s.Problems {
			if k = strings.Index(line[from:], "ERROR:"); k < 0 {
				k = strings.Index(line[from:], "WARNING:")
			}
		}
		at := c.Offset + int64(from+k)
		if k >= 0 && (!s.Backward || at < s.From) {
			found.Hits = append(found.Hits, api.LogHit{Offset: max(c.Offset, at-4096), At: at, Line: line[max(0, from+k-4096):]})
		}
	}
	if s.Count {
		for _, hit := range found.Hits[:min(len(found.Hits), s.Max)] {
			found.Places = append(found.Places, hit.At)
		}
		found.Count, found.Hits = len(found.Hits), nil
		return found, nil
	}
	if s.Backward {
		slices.Reverse(found.Hits)
	}
	if len(found.Hits) > s.Max {
		found.Hits, found.Done = found.Hits[:s.Max], false
		last := found.Hits[s.Max-1]
		if found.Next = last.Offset; !s.Backward { // behind the line, or as far as a host reads on
			found.Next = min(last.At+1024, last.At+int64(strings.IndexByte(f.log[last.At:], '\n'))+1)
		}
	}
	return found, nil
}

func (f *fake) Follow(context.Context, Ref, int64) <-chan Chunk {
	out := make(chan Chunk)
	close(out)
	return out
}

func (f *fake) Peek(_ context.Context, _ Ref, a manifest.Artifact, _ int64) ([]byte, error) {
	if a.Kind == manifest.KindBitstream {
		return []byte("\x00\xff\x00\xffLattice\x00build.bin\x00\x7e\xaa\x99\x7e"), nil
	}
	return []byte("Max frequency for clock 'clk': 48.21 MHz (PASS at 12.00 MHz)\n\x1b[31mred\x1b[0m \x1b]0;evil\a\n"), nil
}

func (f *fake) Verify(_ context.Context, _ Ref, told func(string, error)) error {
	told("build/top.bin", nil)
	told("build/top.rpt", errors.New("its digest is another"))
	return nil
}

func (f *fake) Fetch(_ context.Context, ref Ref, names []string, told func(Progress)) (string, error) {
	told(Progress{1, 2})
	return "", f.did(append([]string{"fetch", ref.String()}, names...)...)
}

func (f *fake) SaveLog(_ context.Context, ref Ref, _, path string, _ func(Progress)) error {
	return f.did("save", ref.String(), path)
}

func (f *fake) Verb(_ context.Context, words ...string) (string, error) {
	switch {
	case words[0] == "gc" && words[1] != "--yes":
		return `{"version":1,"host":"lab","freed":3221225472,"more":true,"items":[{"kind":"job","name":"llllllllllllllll","bytes":3221220000,"why":"ended 79h ago, and the host keeps jobs for 2d"},{"kind":"workspace","name":"uart-1b2c3d4e","bytes":5472,"why":"no job names it"}]}`, nil
	case words[0] == "install":
		return "lab runs executor 1.0.0; it answers\nuploaded 13 MB\n", f.did(words...)
	case words[0] == "doctor":
		return `{"version":1,"checks":[{"name":"connect","verdict":"ok","text":"in 12 ms"},{"name":"disk space","verdict":"warn","text":"900 MiB free","hint":"remove jobs with cyclops rm"},{"name":"environment","verdict":"fail","text":"the login shell does not end","hint":"look at its start-up files"}]}`, nil
	}
	if err := f.did(words...); err != nil {
		return f.partly, err
	}
	return "said " + words[0], nil
}

func (f *fake) did(words ...string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.verbs = append(f.verbs, strings.Join(words, " "))
	return f.fail
}

func (f *fake) Terminal(words ...string) *exec.Cmd { return exec.Command("true", words...) }

func (f *fake) Shell(string) *exec.Cmd { return exec.Command("true") }

func (f *fake) Tree(Ref) string {
	f.trees.Add(1)
	return ""
}

// sampleTime is now in all goldens.
var sampleTime = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

func ago(d time.Duration) *time.Time { t := sampleTime.Add(-d); return &t }

func code(n int) *int { return &n }

// sample is two hosts with a job in every state.
func sample() *fake {
	three := []api.StepInfo{{Name: "synth", Started: ago(4 * time.Minute), Ended: ago(3 * time.Minute), ExitCode: code(0)}, {Name: "route", Started: ago(3 * time.Minute)}, {Name: "pack"}}
	return &fake{
		hosts:  []Host{{Name: "local", Address: "this machine"}, {Name: "lab", Address: "ada@lab.example.org", Default: true}},
		events: make(chan Event),
		log:    sampleLog(), stderr: "WARN",
		jobs: map[string][]api.JobInfo{
			"lab": {
				{ID: "qqqqqqqqqqqqqqqq", Seq: 9, State: manifest.Queued, Position: 1, Name: "sim", Project: "blinky", Owner: "ada", Command: "make sim", Accepted: *ago(30 * time.Second), WaitsFor: "a slot (2 of 2 in use)"},
				{ID: "rrrrrrrrrrrrrrrr", Seq: 8, State: manifest.Running, Phase: api.PhaseRunning, Name: "build", Project: "blinky", Owner: "ada", Command: "synth, route, pack", Accepted: *ago(5 * time.Minute), Started: ago(4 * time.Minute), Step: 1, Steps: three, Workspace: "blinky-0a1b2c3d", Location: "/home/ada/.cyclops/jobs/rrrrrrrrrrrrrrrr"},
				{ID: "ffffffffffffffff", Seq: 5, State: manifest.Failed, Name: "build", Project: "blinky", Owner: "ada", Command: "synth, route, pack", Accepted: *ago(3 * time.Hour), Started: ago(3 * time.Hour), Ended: ago(2 * time.Hour), ExitCode: code(1), Reason: "step route failed with exit code 1",
					Steps:     []api.StepInfo{{Name: "synth", Started: ago(3 * time.Hour), Ended: ago(150 * time.Minute), ExitCode: code(0)}, {Name: "route", Started: ago(150 * time.Minute), Ended: ago(2 * time.Hour), ExitCode: code(1)}},
					Workspace: "blinky-0a1b2c3d", Location: "/home/ada/.cyclops/jobs/ffffffffffffffff"},
				{ID: "ssssssssssssssss", Seq: 4, State: manifest.Succeeded, Name: "build", Project: "blinky", Owner: "ada", Command: "synth, route, pack", Accepted: *ago(26 * time.Hour), Started: ago(26 * time.Hour), Ended: ago(25 * time.Hour), ExitCode: code(0)},
				{ID: "llllllllllllllll", Seq: 2, State: manifest.Lost, Name: "bench", Project: "uart", Owner: "bob", Command: "./bench.sh", Accepted: *ago(80 * time.Hour), Started: ago(80 * time.Hour), Ended: ago(79 * time.Hour), Reason: "the machine was restarted while it ran"},
			},
			"local": {
				{ID: "cccccccccccccccc", Seq: 3, State: manifest.Cancelled, Name: "日本語", Owner: "ada", Command: "evil \x1b[2J\u202e name", Accepted: *ago(50 * time.Hour), Ended: ago(49 * time.Hour), Reason: "cancelled before it started"},
				{ID: "tttttttttttttttt", Seq: 1, State: manifest.TimedOut, Command: "sleep 1000", Accepted: *ago(90 * time.Hour), Started: ago(90 * time.Hour), Ended: ago(89 * time.Hour)},
			},
		},
	}
}

func sampleLog() string {
	var b strings.Builder
	for i := range 400 {
		switch i {
		case 120:
			b.WriteString("WARNING: [Timing 38-282] the design did not meet timing\n")
		case 300:
			b.WriteString("\x1b[31mERROR: [Route 35-9] unroutable net led[3]\x1b[0m\n")
		case 395:
			b.WriteString("10%\r55%\r99%\r\n\tindented \x1b]0;evil\a " + strings.Repeat("long ", 40) + "\n")
		default:
			fmt.Fprintf(&b, "Info: placed cell %d of 400\n", i)
		}
	}
	return b.String()
}

func sampleManifest(j api.JobInfo) *manifest.Manifest {
	m := &manifest.Manifest{
		Job: j.ID, Name: j.Name, Host: "lab", State: j.State, Accepted: j.Accepted, Ended: *j.Ended,
		Input:     manifest.InputRecord{Snapshot: manifest.SumOf([]byte("tree")).Digest(), Files: 42, Bytes: 123456, Pinned: true, Git: &manifest.Git{Commit: "b0f19f2a4d88d22522cf3e215f64fa967daa43c1", Branch: "main", Dirty: true, Changed: []string{"pins.pcf", "rtl/\x1b[2J.v", "rtl/new/"}, ChangedCount: 5}},
		Usage:     manifest.Usage{WallSeconds: 3600, CPUSeconds: 4100, PeakMemoryBytes: 1 << 30, LogBytes: 8 << 10},
		Resources: manifest.Resources{Asked: map[string]int{"cores": 2, "board": 1}, Leased: map[string][]string{"board": {"icebreaker-3"}}},
		Missing:   []string{"build/*.svf"},
	}
	add := func(name string, kind manifest.Kind, size int64, fresh bool) {
		m.Artifacts = append(m.Artifacts, manifest.Artifact{Name: name, Path: "artifacts/" + name, Kind: kind, Size: size, Fresh: fresh, Digest: manifest.SumOf([]byte(name + j.ID)).Digest()})
	}
	add("build/top.bin", manifest.KindBitstream, 104090, true)
	add("build/top.rpt", manifest.KindReport, 5120, true)
	add("build/reports/timing.rpt", manifest.KindReport, 2048, true)
	if j.ID[0] == 'f' {
		add("build/crash.txt", manifest.KindOutput, 100, false)
	} else {
		add("build/top.json", manifest.KindOutput, 1<<20, true)
	}
	m.Artifacts = append(m.Artifacts, manifest.Artifact{Name: j.ID + ".log", Path: "log", Kind: manifest.KindLog, Size: 8 << 10})
	return m
}

// begin is a model whose hosts have answered.
func begin(t testing.TB, f *fake, w, h int) *Model {
	t.Helper()
	m := New(t.Context(), f)
	m.now, m.profile = sampleTime, colorprofile.NoTTY
	m.theme = newTheme(m.profile, true)
	m.jobs.restart(m, fromNewest)
	m.Update(tea.WindowSizeMsg{Width: w, Height: h})
	for _, host := range f.hosts {
		pump(m, m.takeEvent(host.Name, f.first(host.Name)))
	}
	return m
}

// pump does commands side by side, as a program does, and gives the model what they bring, until
// there is nothing more.
func pump(m *Model, cmd tea.Cmd) {
	messages := make(chan tea.Msg)
	under := 0
	begin := func(c tea.Cmd) {
		if c != nil {
			under++
			go func() { messages <- c() }()
		}
	}
	for begin(cmd); under > 0; under-- {
		switch msg := (<-messages).(type) {
		case nil:
		case tea.BatchMsg:
			for _, c := range msg {
				begin(c)
			}
		default:
			_, next := m.Update(msg)
			begin(next)
		}
	}
}

// press types keys, each with all that comes of it.
func press(m *Model, keys ...string) {
	for _, k := range keys {
		_, cmd := m.Update(keyOf(k))
		pump(m, cmd)
	}
}

func keyOf(k string) tea.KeyPressMsg {
	named := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown, "backspace": tea.KeyBackspace, "space": tea.KeySpace}
	if c, ok := named[k]; ok {
		msg := tea.KeyPressMsg{Code: c}
		if k == "space" {
			msg.Text = " "
		}
		return msg
	}
	if rest, ok := strings.CutPrefix(k, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: rune(rest[0]), Mod: tea.ModCtrl}
	}
	return tea.KeyPressMsg{Text: k, Code: []rune(k)[0]}
}

// typeIn types a text letter by letter.
func typeIn(m *Model, text string) {
	for _, r := range text {
		press(m, string(r))
	}
}

func screen(m *Model) string {
	text, _ := m.render()
	return text
}
