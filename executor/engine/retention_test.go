//go:build linux

package engine

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/hostconfig"
	"github.com/cyclops-fpga/cyclops/executor/inputs"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/space"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// history is an engine whose jobs have ended, and a clock that the test sets.
type history struct {
	testing.TB
	*Engine
	start     time.Time
	now, boot time.Duration // since start, by either clock
	seq       int64
}

func newHistory(t testing.TB, r hostconfig.Retention) *history {
	t.Helper()
	data := layout.Data(t.TempDir())
	if err := data.Create(); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), data.Database())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	h := &history{TB: t, start: time.Now()}
	clock := Clock{Now: func() time.Time { return h.start.Add(h.now) }, Boot: func() time.Duration { return time.Hour + h.boot }}
	h.Engine, err = New(t.Context(), Options{
		Data: data, Self: []string{"/bin/true"}, StoreID: "s", Host: "here", Config: hostconfig.Config{Slots: 1, Resources: map[string]int{"cores": 1}},
		Store: s, Inputs: inputs.New(data, s), Room: space.Keep(data.Reserve()), Boot: "boot", Clock: clock, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	h.Config.Retention = r // rounds are the test's to call
	return h
}

// pass lets time go by, on both clocks.
func (h *history) pass(d time.Duration) { h.now, h.boot = h.now+d, h.boot+d }

// ended adds a job that ended so long ago and left a log of so many bytes.
func (h *history) ended(ago time.Duration, bytes int, change ...func(*store.Job)) string {
	h.Helper()
	h.seq++
	at := h.clock.Now().Add(-ago)
	j := store.Job{
		Seq: h.seq, ID: manifest.NewID(), State: manifest.Succeeded, Priority: manifest.Normal, Workspace: "w", Accepted: at, Started: at, Ended: at,
		About: store.About{Mode: manifest.Kept},
	}
	for _, c := range change {
		c(&j)
	}
	h.write(h.Data.Log(j.ID), bytes)
	if err := h.Store.Restore(h.Context(), func(yield func(store.Job, []byte) bool) { yield(j, []byte("{}")) }); err != nil {
		h.Fatal(err)
	}
	return j.ID
}

func (h *history) write(path string, bytes int) {
	h.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, bytes), 0o600); err != nil {
		h.Fatal(err)
	}
}

// left are the jobs that are there, oldest first.
func (h *history) left() []string {
	h.Helper()
	rows, err := h.Store.Ended(h.Context(), store.Job{}, 1000)
	if err != nil {
		h.Fatal(err)
	}
	ids := []string{}
	for _, row := range rows {
		ids = append(ids, row.ID)
		if _, err := os.Stat(h.Data.Job(row.ID)); err != nil {
			h.Error(err)
		}
	}
	entries, err := os.ReadDir(h.Data.Jobs())
	if err != nil || len(entries) != len(rows) {
		h.Errorf("%d jobs have %d directories: %v", len(rows), len(entries), err)
	}
	return ids
}

func (h *history) expect(what string, want ...string) {
	h.Helper()
	if got := h.left(); !slices.Equal(got, want) {
		h.Errorf("%s: left are %v, want %v", what, got, want)
	}
}

func (h *history) rounds() {
	h.Helper()
	for more := true; more; {
		var err error
		if more, err = h.round(h.Context()); err != nil {
			h.Fatal(err)
		}
	}
}

const day = 24 * time.Hour

func age(d time.Duration) hostconfig.Retention {
	return hostconfig.Retention{Age: hostconfig.Age{Duration: d}}
}

func size(n int64) hostconfig.Retention { return hostconfig.Retention{Size: human.Bytes(n)} }

func TestWithoutARetentionEverythingStays(t *testing.T) {
	t.Parallel()
	h := newHistory(t, hostconfig.Retention{})
	id := h.ended(1000*day, 1<<20)
	h.pass(settling)
	h.rounds()
	h.expect("no retention", id)
}

func TestOldJobsGoOldestFirst(t *testing.T) {
	t.Parallel()
	h := newHistory(t, age(30*day))
	var old []string
	for i := range removeBatch + 20 {
		old = append(old, h.ended(100*day-time.Duration(i)*time.Minute, 10))
	}
	young := h.ended(29*day, 10)
	if more, err := h.round(t.Context()); more || err != nil || len(h.left()) != len(old)+1 {
		t.Errorf("before its clock has settled it removed jobs: %t, %v, %d left", more, err, len(h.left()))
	}
	h.pass(settling)
	if more, err := h.round(t.Context()); !more || err != nil {
		t.Errorf("%t, %v", more, err)
	}
	h.expect("one round", append(old[removeBatch:len(old):len(old)], young)...)
	h.rounds()
	h.expect("all rounds", young)
	h.pass(2 * day)
	h.rounds()
	h.expect("two days later")
}

func TestAClockThatWasSetRemovesNothing(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]time.Duration{"ahead": 365 * day, "back": -365 * day, "two minutes ahead": 2 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHistory(t, age(30*day))
			h.pass(settling)
			id := h.ended(31*day, 10)
			h.now += set
			h.rounds()
			h.expect("the clock was set", id)
			reply, err := h.GC(t.Context(), api.GCRequest{Remove: true})
			if err != nil || len(reply.Items) != 0 || !strings.Contains(reply.Warning, "the clock of here was set") {
				t.Errorf("%+v, %v", reply, err)
			}
			h.expect("gc", id)
			h.now -= set - time.Minute // slewed is not set
			h.rounds()
			h.expect("the clock is right again")
		})
	}
}

func TestTheOldestGoUntilTheRestFits(t *testing.T) {
	t.Parallel()
	h := newHistory(t, size(2500))
	var ids []string
	for i := range 5 {
		ids = append(ids, h.ended(time.Duration(6-i)*day, 1000))
	}
	h.rounds() // size does not ask the clock
	h.expect("five of 1000 bytes", ids[3:]...)
	next := h.ended(0, 400)
	row, err := h.Store.Get(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	h.keeper.fresh = append(h.keeper.fresh, row)
	h.rounds()
	h.expect("400 more fit", ids[3], ids[4], next)
}

// A job that has just ended is not removed for its size before its client had the time to come for it,
// wherever the clock is set to meanwhile.
func TestWhatHasJustEndedStays(t *testing.T) {
	t.Parallel()
	h := newHistory(t, size(1))
	h.pass(settling)
	h.ended(delivery+time.Minute, 1000)
	young := h.ended(delivery-time.Hour, 1000)
	h.rounds()
	h.expect("all are over the size", young)
	h.now += 30 * day
	h.rounds()
	h.expect("the clock was set", young)
	h.now -= 30 * day
	h.pass(2 * time.Hour)
	h.rounds()
	h.expect("a day later")
	asked := h.ended(time.Minute, 1000)
	if reply, err := h.GC(t.Context(), api.GCRequest{Size: 1, Remove: true}); err != nil || len(reply.Items) != 1 || reply.Items[0].Name != asked {
		t.Errorf("asked for, it is removed at once: %+v, %v", reply, err)
	}
}

// What jobs share goes with the last of them: a plan must not remove more because it does not see that.
func TestSharedInputsCountOnce(t *testing.T) {
	t.Parallel()
	h := newHistory(t, size(50_000))
	snapshot, sum := manifest.SumOf([]byte("s")), manifest.SumOf([]byte("p"))
	shared := func(j *store.Job) { j.Snapshot = snapshot }
	first, second := h.ended(5*day, 100, shared), h.ended(4*day, 100, shared)
	rest := []string{h.ended(3*day, 100), h.ended(2*day, 100)}
	h.write(h.Data.Pack(sum), 60_000)
	if err := h.Store.AddSnapshot(t.Context(), snapshot, []store.Pack{{Sum: sum, Size: 60_000}}); err != nil {
		t.Fatal(err)
	}
	kept, err := h.kept(t.Context())
	if err != nil || kept != 60_400 {
		t.Errorf("%d bytes are kept, %v", kept, err)
	}
	h.rounds()
	h.expect("after "+first+" and "+second, rest...)
	if _, err := os.Stat(h.Data.Pack(sum)); !os.IsNotExist(err) {
		t.Errorf("the pack is there: %v", err)
	}
}

func TestWhatIsNeededOrPinnedStays(t *testing.T) {
	t.Parallel()
	h := newHistory(t, hostconfig.Retention{Age: hostconfig.Age{Duration: day}, Size: human.Bytes(1)})
	h.pass(settling)
	pinned, upstream, base, free := h.ended(9*day, 10), h.ended(8*day, 10), h.ended(7*day, 10), h.ended(6*day, 10)
	if reply, err := h.Pin(t.Context(), api.PinRequest{Jobs: []string{pinned, "short", manifest.NewID()}, Pinned: true}); err != nil ||
		!slices.Equal(reply.Done, []string{pinned}) || len(reply.Failed) != 2 {
		t.Errorf("%+v, %v", reply, err)
	}
	waits := h.live(func(doc *manifest.Job) { doc.After = []string{upstream} })
	beside := h.live(func(doc *manifest.Job) { doc.Beside = base })
	h.rounds()
	h.expect("the free one", pinned, upstream, base)
	if reply, err := h.GC(t.Context(), api.GCRequest{Age: 1, Remove: true}); err != nil || len(reply.Items) != 0 {
		t.Errorf("gc would remove %+v, %v", reply.Items, err)
	}
	reply, err := h.Remove(t.Context(), []string{pinned, base, waits, free})
	if err != nil || len(reply.Removed) != 0 || len(reply.Failed) != 4 {
		t.Fatalf("%+v, %v", reply, err)
	}
	for _, f := range reply.Failed {
		want := map[string]string{pinned: "is pinned", base: "still runs in the workspace", waits: "has not ended", free: "no job"}[f.ID]
		if !strings.Contains(f.Error.Message, want) {
			t.Errorf("%s: %+v, want %q", f.ID, f.Error, want)
		}
	}
	h.mu.Lock()
	delete(h.Engine.live, waits)
	delete(h.Engine.live, beside)
	h.mu.Unlock()
	h.rounds()
	h.expect("nobody needs them", pinned)
	if _, err := h.Pin(t.Context(), api.PinRequest{Jobs: []string{pinned}}); err != nil {
		t.Error(err)
	}
	h.rounds()
	h.expect("unpinned")
}

// live puts a job among those that have not ended, without anything that runs it.
func (h *history) live(change func(*manifest.Job)) string {
	h.Helper()
	doc := &manifest.Job{ID: manifest.NewID(), Workspace: manifest.Workspace{Name: "live", Mode: manifest.Kept}}
	change(doc)
	j := newJob(doc, manifest.Sum{})
	close(j.accepted)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Engine.live[doc.ID] = j
	return doc.ID
}

// A pin outlives the database.
func TestPinsAreFoundAgainInTheJobsDirectories(t *testing.T) {
	t.Parallel()
	h := newHistory(t, hostconfig.Retention{})
	doc := &manifest.Job{
		SchemaVersion: manifest.JobVersion, MediaType: manifest.JobMediaType, ID: manifest.NewID(), Created: h.start,
		Steps: []manifest.Step{{Run: "true"}}, Workspace: manifest.Workspace{Name: "w", Mode: manifest.Kept},
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	id := h.ended(0, 1, func(j *store.Job) { j.ID = doc.ID })
	if err := os.WriteFile(h.Data.JobSpec(id), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, pinned := range []bool{true, false} {
		if _, err := h.Pin(t.Context(), api.PinRequest{Jobs: []string{id}, Pinned: pinned}); err != nil {
			t.Fatal(err)
		}
		if f, err := h.readJob(id); err != nil || f.row.About.Pinned != pinned {
			t.Errorf("%+v, %v, want %t", f.row.About, err, pinned)
		}
	}
}

func TestGCFindsWhatNothingNames(t *testing.T) {
	t.Parallel()
	h := newHistory(t, hostconfig.Retention{})
	job := h.ended(time.Hour, 100)
	h.write(filepath.Join(h.Data.Workspace("w"), "f"), 7)
	h.write(filepath.Join(h.Data.Workspace("nobody"), "f"), 1000)
	unknown := manifest.SumOf([]byte("unknown"))
	h.write(h.Data.Pack(unknown), 2000)
	h.write(filepath.Join(h.Data.Incoming(), "upload"), 3000)
	h.write(filepath.Join(h.Data.Incoming(), ".gone-x-y", "f"), 4000)
	if err := os.Chmod(filepath.Join(h.Data.Incoming(), ".gone-x-y"), 0o500); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cyclopsd-v1", "cyclopsd-v2"} {
		h.write(filepath.Join(h.Data.Bin(), name), 5000)
	}
	if err := os.Symlink("cyclopsd-v2", filepath.Join(h.Data.Bin(), "current")); err != nil {
		t.Fatal(err)
	}
	names := func(r api.GCRequest) (names []string) {
		reply, err := h.GC(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range reply.Items {
			if item.Error != nil || item.Bytes == 0 || item.Why == "" {
				t.Errorf("%+v %v", item, item.Error)
			}
			names = append(names, item.Kind+" "+item.Name)
		}
		return names
	}
	// Somebody may be at work on what is new.
	if got := names(api.GCRequest{}); !slices.Equal(got, []string{"workspace nobody"}) {
		t.Errorf("at once it offers %q", got)
	}
	h.pass(25 * time.Hour)
	all := []string{"workspace nobody", "pack " + unknown.String() + ".pack", "upload upload", "removed .gone-x-y", "binary cyclopsd-v1"}
	for range 2 { // to tell is not to remove
		if got := names(api.GCRequest{}); !slices.Equal(got, all) {
			t.Errorf("it offers %q", got)
		}
	}
	if got := names(api.GCRequest{Size: 1, Remove: true}); !slices.Equal(got, append([]string{"job " + job}, all...)) {
		t.Errorf("it removed %q", got)
	}
	if got := names(api.GCRequest{Size: 1}); len(got) != 0 {
		t.Errorf("it still offers %q", got)
	}
	for _, path := range []string{h.Data.Workspace("w"), h.Data.Workspace("nobody"), h.Data.Pack(unknown), filepath.Join(h.Data.Bin(), "cyclopsd-v1")} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s is there: %v", path, err)
		}
	}
	if _, err := os.Stat(filepath.Join(h.Data.Bin(), "cyclopsd-v2")); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(h.Data.Incoming()); err != nil || len(left) != 0 {
		t.Errorf("left in incoming/: %v, %v", left, err)
	}
}

// A binary stays for as long as a process runs it, whatever it is called by then.
func TestABinaryThatRunsIsNotOffered(t *testing.T) {
	t.Parallel()
	h := newHistory(t, hostconfig.Retention{})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(self, filepath.Join(h.Data.Bin(), "cyclopsd-old")); err != nil {
		t.Skip(err) // another file system
	}
	if err := os.Symlink("cyclopsd-new", filepath.Join(h.Data.Bin(), "current")); err != nil {
		t.Fatal(err)
	}
	h.pass(25 * time.Hour)
	if found := h.findBinaries(t.Context()); len(found) != 0 {
		t.Errorf("it offers %v", found)
	}
	if err := removeBinary(filepath.Join(h.Data.Bin(), "cyclopsd-old")); api.KindOf(err) != api.Conflict {
		t.Errorf("got %v", err)
	}
}

// What a removal left that was cut short goes when the daemon starts.
func TestStartingFinishesRemovals(t *testing.T) {
	t.Parallel()
	h := newHistory(t, hostconfig.Retention{})
	id := h.ended(0, 100)
	if _, err := h.Store.Remove(t.Context(), []string{id}, h.start); err != nil {
		t.Fatal(err)
	}
	h.write(filepath.Join(h.Data.Incoming(), ".gone-"+id, "f"), 1)
	h.Close()
	e, err := New(context.Background(), h.Options)
	if err != nil {
		t.Fatal(err)
	}
	e.Close() // which waits for what starting began
	h.expect("started again")
	if left, err := os.ReadDir(h.Data.Incoming()); err != nil || len(left) != 0 {
		t.Errorf("left in incoming/: %v, %v", left, err)
	}
}
