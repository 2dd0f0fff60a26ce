package queue

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/manifest"
	"pgregory.net/rapid"
)

func started(q *Queue) string {
	var ids []string
	for _, s := range q.Next() {
		ids = append(ids, s.ID)
	}
	return strings.Join(ids, " ")
}

func isolated(id string, seq int64, p manifest.Priority) Job {
	return Job{ID: id, Seq: seq, Priority: p, Workspace: id, Mode: manifest.Isolated}
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("started %q, want %q", got, want)
	}
}

func TestPriorityThenOrderOfAcceptance(t *testing.T) {
	t.Parallel()
	q := New(1, NewCounted(nil))
	q.Add(isolated("first", 1, manifest.Low))
	expect(t, started(q), "first")
	q.Add(isolated("low", 2, manifest.Low))
	q.Add(isolated("normal", 3, manifest.Normal))
	q.Add(isolated("again", 4, manifest.Normal))
	q.Add(isolated("now", 5, manifest.Interactive))
	for i, id := range []string{"now", "normal", "again", "low"} {
		if position, why := q.Standing(id); position != i+1 || !strings.Contains(why, "slot") {
			t.Errorf("%s stands at %d and waits for %q", id, position, why)
		}
	}
	q.Reprioritise("low", manifest.Normal)
	var order []string
	for last := "first"; last != ""; {
		q.Done(last, true)
		if last = started(q); last != "" {
			order = append(order, last)
		}
	}
	expect(t, strings.Join(order, " "), "now low normal again")
}

func TestWorkspaceHoldsOneKeptOrManyConcurrent(t *testing.T) {
	t.Parallel()
	q := New(9, NewCounted(nil))
	add := func(id string, seq int64, mode manifest.WorkspaceMode) {
		q.Add(Job{ID: id, Seq: seq, Workspace: "w", Mode: mode})
	}
	add("k1", 1, manifest.Kept)
	add("c1", 2, manifest.Concurrent)
	add("c2", 3, manifest.Concurrent)
	add("k2", 4, manifest.Kept)
	add("c3", 5, manifest.Concurrent)
	expect(t, started(q), "k1")
	if _, why := q.Standing("c1"); why != "job k1 in workspace w" {
		t.Errorf("c1 waits for %q", why)
	}
	q.Done("k1", false)
	expect(t, started(q), "c1 c2")
	q.Done("c1", true)
	expect(t, started(q), "")
	q.Done("c2", true)
	expect(t, started(q), "k2")
	q.Done("k2", true)
	expect(t, started(q), "c3")
}

func TestDependantsWaitAndAreOrphaned(t *testing.T) {
	t.Parallel()
	q := New(9, NewCounted(nil))
	a, b, c := isolated("a", 1, manifest.Normal), isolated("b", 2, manifest.Normal), isolated("c", 3, manifest.Normal)
	b.After = []string{"a", "gone"}
	c.After = []string{"b"}
	q.Add(a)
	q.Add(b)
	q.Add(c)
	expect(t, started(q), "a")
	if _, why := q.Standing("b"); why != "job a" {
		t.Errorf("b waits for %q", why)
	}
	q.Done("a", true)
	expect(t, started(q), "b")
	if orphans := q.Done("b", false); !slices.Equal(orphans, []string{"c"}) {
		t.Errorf("orphans %v", orphans)
	}
	if _, ok := q.Remove("c"); !ok {
		t.Error("c was not waiting")
	}
	expect(t, started(q), "")
}

func TestLargeJobIsNotStarvedBySmallOnes(t *testing.T) {
	t.Parallel()
	q := New(9, NewCounted(map[string]int{"cores": 4, "board": 1}))
	add := func(id string, seq int64, needs map[string]int) {
		j := isolated(id, seq, manifest.Normal)
		j.Needs = needs
		q.Add(j)
	}
	add("small", 1, map[string]int{"cores": 1})
	expect(t, started(q), "small")
	add("large", 2, map[string]int{"cores": 4})
	add("later", 3, map[string]int{"cores": 1})
	add("board", 4, map[string]int{"board": 1})
	expect(t, started(q), "board")
	if _, why := q.Standing("large"); why != "cores" {
		t.Errorf("large waits for %q", why)
	}
	q.Done("small", true)
	expect(t, started(q), "large")
}

func TestDrainingStartsNothing(t *testing.T) {
	t.Parallel()
	q := New(1, NewCounted(nil))
	q.Drain(true)
	q.Add(isolated("a", 1, manifest.Normal))
	expect(t, started(q), "")
	q.Drain(false)
	expect(t, started(q), "a")
}

// TestInvariants plays random events and checks after each what must always hold, and that
// everything starts in the end.
func TestInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		total := map[string]int{"cores": 3, "board": 1}
		counted := NewCounted(total)
		m := &model{q: New(rapid.IntRange(1, 4).Draw(t, "slots"), counted), jobs: map[string]Job{}, total: total}
		for i := range rapid.IntRange(1, 40).Draw(t, "events") {
			m.event(t, i)
			m.check(t)
		}
		for range 100 {
			for _, id := range slices.Clone(m.running) {
				m.done(id, true)
			}
			m.check(t)
		}
		if _, waiting := m.q.Counts(); waiting != 0 {
			t.Fatalf("%d jobs never started", waiting)
		}
		for _, u := range counted.Usage() {
			if u.Held != 0 {
				t.Fatalf("%d of %s are held by nobody", u.Held, u.Name)
			}
		}
	})
}

type model struct {
	q       *Queue
	jobs    map[string]Job
	waiting []string
	running []string
	total   map[string]int
	seq     int64
}

func (m *model) event(t *rapid.T, i int) {
	switch rapid.IntRange(0, 5).Draw(t, "event") {
	case 0:
		if len(m.running) > 0 {
			m.done(rapid.SampledFrom(m.running).Draw(t, "done"), rapid.Bool().Draw(t, "ok"))
		}
	case 1:
		if len(m.waiting) > 0 {
			m.remove(rapid.SampledFrom(m.waiting).Draw(t, "removed"))
		}
	case 2:
		if len(m.waiting) > 0 {
			p := rapid.SampledFrom([]manifest.Priority{manifest.Interactive, manifest.Normal, manifest.Low}).Draw(t, "priority")
			m.q.Reprioritise(rapid.SampledFrom(m.waiting).Draw(t, "moved"), p)
		}
	default:
		m.add(t, fmt.Sprintf("j%d", i))
	}
}

func (m *model) add(t *rapid.T, id string) {
	m.seq++
	j := Job{
		ID: id, Seq: m.seq,
		Priority:  rapid.SampledFrom([]manifest.Priority{manifest.Interactive, manifest.Normal, manifest.Low}).Draw(t, "priority"),
		Mode:      rapid.SampledFrom([]manifest.WorkspaceMode{manifest.Kept, manifest.Isolated, manifest.Concurrent}).Draw(t, "mode"),
		Workspace: rapid.SampledFrom([]string{"v", "w"}).Draw(t, "workspace"),
		Needs:     map[string]int{},
	}
	for _, name := range []string{"board", "cores"} {
		if n := rapid.IntRange(0, m.total[name]).Draw(t, name); n > 0 {
			j.Needs[name] = n
		}
	}
	if live := append(slices.Clone(m.waiting), m.running...); len(live) > 0 && rapid.Bool().Draw(t, "dependent") {
		j.After = []string{rapid.SampledFrom(live).Draw(t, "after")}
	}
	m.jobs[id] = j
	m.waiting = append(m.waiting, id)
	m.q.Add(j)
}

func (m *model) done(id string, ok bool) {
	m.running = slices.DeleteFunc(m.running, func(s string) bool { return s == id })
	for _, orphan := range m.q.Done(id, ok) {
		m.remove(orphan)
	}
}

func (m *model) remove(id string) {
	m.waiting = slices.DeleteFunc(m.waiting, func(s string) bool { return s == id })
	orphans, _ := m.q.Remove(id)
	for _, orphan := range orphans {
		m.remove(orphan)
	}
}

func (m *model) check(t *rapid.T) {
	for _, s := range m.q.Next() {
		at := slices.Index(m.waiting, s.ID)
		if at < 0 {
			t.Fatalf("%s started and was not waiting", s.ID)
		}
		for _, up := range m.jobs[s.ID].After {
			if slices.Contains(m.waiting, up) || slices.Contains(m.running, up) {
				t.Fatalf("%s started before %s had ended", s.ID, up)
			}
		}
		m.waiting = slices.Delete(m.waiting, at, at+1)
		m.running = append(m.running, s.ID)
	}
	if len(m.running) > m.q.Slots() {
		t.Fatalf("%d jobs run in %d slots", len(m.running), m.q.Slots())
	}
	m.checkShares(t)
	m.checkPositions(t)
}

func (m *model) checkShares(t *rapid.T) {
	kept, all, held := map[string]int{}, map[string]int{}, map[string]int{}
	for _, id := range m.running {
		j := m.jobs[id]
		for name, n := range j.Needs {
			held[name] += n
		}
		if j.Mode == manifest.Isolated {
			continue
		}
		all[j.Workspace]++
		if j.Mode == manifest.Kept {
			kept[j.Workspace]++
		}
	}
	for w := range all {
		if kept[w] > 0 && all[w] > 1 {
			t.Fatalf("%d jobs run beside a kept one in workspace %s", all[w]-1, w)
		}
	}
	for name, n := range held {
		if n > m.total[name] {
			t.Fatalf("%d of %d %s are held", n, m.total[name], name)
		}
	}
}

func (m *model) checkPositions(t *rapid.T) {
	seen := map[int]bool{}
	for _, id := range m.waiting {
		position, why := m.q.Standing(id)
		if position < 1 || position > len(m.waiting) || seen[position] || why == "" {
			t.Fatalf("%s stands at %d of %d and waits for %q", id, position, len(m.waiting), why)
		}
		seen[position] = true
	}
}

// BenchmarkAdd measures adding behind a long queue.
func BenchmarkAdd(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			q := New(1, NewCounted(nil))
			seq := int64(0)
			for range n {
				seq++
				q.Add(isolated(fmt.Sprint(seq), seq, manifest.Normal))
			}
			for b.Loop() {
				seq++
				q.Add(isolated(fmt.Sprint(seq), seq, manifest.Normal))
				q.Standing(fmt.Sprint(seq))
			}
		})
	}
}
