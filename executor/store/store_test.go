package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 5, time.UTC)

func open(t testing.TB) (*Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jobs.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, path
}

func sample(seq int64, workspace string, snapshot manifest.Sum) Job {
	id := manifest.NewID()
	return Job{
		Seq: seq, ID: id, Digest: manifest.SumOf([]byte("spec of " + id)), State: manifest.Queued,
		Priority: manifest.Normal, Workspace: workspace, Snapshot: snapshot, Accepted: start.Add(time.Duration(seq)),
		About: About{Command: "true", Mode: manifest.Kept},
	}
}

func accept(t testing.TB, s *Store, j Job, packs ...Pack) Job {
	t.Helper()
	if err := s.Accept(t.Context(), Acceptance{Job: j, Spec: []byte("spec of " + j.ID), Packs: packs, New: len(packs) > 0}); err != nil {
		t.Fatal(err)
	}
	return j
}

func end(t testing.TB, s *Store, j Job, state manifest.State) {
	t.Helper()
	code := 3
	j.State, j.Started, j.Ended, j.ExitCode, j.LogSize = state, start, start.Add(time.Second), &code, 42
	if err := s.End(t.Context(), j); err != nil {
		t.Fatal(err)
	}
}

func pack(word string) Pack { return Pack{Sum: manifest.SumOf([]byte(word)), Size: int64(len(word))} }

func TestJobSurvivesReopening(t *testing.T) {
	t.Parallel()
	s, path := open(t)
	if partial, _, err := s.Partial(t.Context()); !partial || err != nil {
		t.Errorf("a new database has every job there is: %v", err)
	}
	if err := s.Whole(t.Context()); err != nil {
		t.Fatal(err)
	}
	j := sample(1, "w", manifest.SumOf(nil))
	j.Name, j.Priority = "build", manifest.Low
	accept(t, s, j, pack("a"))
	j.Started = start
	if err := s.Start(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	end(t, s, j, manifest.Failed)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Get(t.Context(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.State != manifest.Failed || *got.ExitCode != 3 || got.Name != "build" || got.Priority != manifest.Low ||
		!got.Accepted.Equal(j.Accepted) || got.LogSize != 42 || got.Snapshot != j.Snapshot || got.About.Command != "true" {
		t.Errorf("got %+v", got)
	}
	spec, err := s.Spec(t.Context(), j.ID)
	if err != nil || string(spec) != "spec of "+j.ID {
		t.Errorf("spec %q, %v", spec, err)
	}
	if seq, err := s.LastSeq(t.Context()); seq != 1 || err != nil {
		t.Errorf("last seq %d, %v", seq, err)
	}
}

func TestLaterSchemaIsLeftAlone(t *testing.T) {
	t.Parallel()
	s, path := open(t)
	if err := s.SetSetting(t.Context(), schemaSetting, "99"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.durable.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	_, err := Open(t.Context(), path)
	if api.KindOf(err) != api.Incompatible || !strings.Contains(err.Error(), "version 99") || !strings.Contains(err.Error(), fmt.Sprintf("up to %d", version)) {
		t.Errorf("a database of version 99: %v", err)
	}
}

func TestRemoveFreesWhatOnlyThatJobNamed(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	one, two := manifest.SumOf([]byte("one")), manifest.SumOf([]byte("two"))
	a := accept(t, s, sample(1, "w", one), pack("base"))
	b := accept(t, s, sample(2, "w", two), pack("base"), pack("more"))
	c := accept(t, s, sample(3, "w", two))
	if freed, err := s.Remove(t.Context(), []string{a.ID, "none"}, start); err != nil || freed[0].Err == nil || !errors.Is(freed[1].Err, ErrNotFound) {
		t.Errorf("a queued job was removed, or one that is not there: %+v, %v", freed, err)
	}
	for _, j := range []Job{a, b, c} {
		end(t, s, j, manifest.Succeeded)
	}
	for _, step := range []struct {
		job       Job
		packs     int
		workspace string
	}{{a, 0, ""}, {b, 0, ""}, {c, 2, "w"}} {
		for _, remove := range []func(context.Context, []string, time.Time) ([]Freed, error){s.Try, s.Remove} {
			freed, err := remove(t.Context(), []string{step.job.ID}, start)
			if err != nil || freed[0].Err != nil {
				t.Fatal(err, freed)
			}
			if len(freed[0].Packs) != step.packs || freed[0].Workspace != step.workspace {
				t.Errorf("removing job %d freed %+v, want %d packs and workspace %q", step.job.Seq, freed, step.packs, step.workspace)
			}
		}
	}
	if _, err := s.Get(t.Context(), a.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if _, err := s.Spec(t.Context(), a.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("its spec is still there: %v", err)
	}
}

// A clock that was set must not make a job be forgotten, which would run twice if it is sent again.
func TestTombstonesGoByAgeOnlyWhereThereAreMany(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	remove := func(seq int64, now time.Time) Job {
		j := accept(t, s, sample(seq, "w", manifest.Sum{}))
		end(t, s, j, manifest.Succeeded)
		if freed, err := s.Remove(t.Context(), []string{j.ID}, now); err != nil || freed[0].Err != nil {
			t.Fatal(err, freed)
		}
		return j
	}
	first := remove(1, start)
	bury := func(n int, at time.Time) {
		if err := s.note(t.Context(), func(tx *sql.Tx) error {
			for range n {
				if err := bury(t.Context(), tx, Job{ID: manifest.NewID()}, at); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	bury(TombstonesKept-2, start.Add(time.Hour))
	late := start.Add(52 * TombstoneTime)
	remove(2, late)
	if sum, err := s.Tombstone(t.Context(), first.ID); err != nil || sum != first.Digest {
		t.Errorf("got %v, %v", sum, err)
	}
	remove(3, start.Add(TombstoneTime)) // too young to go, as the clock shows now
	if _, err := s.Tombstone(t.Context(), first.ID); err != nil {
		t.Error(err)
	}
	remove(4, late)
	if _, err := s.Tombstone(t.Context(), first.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestHeldPacksOutliveSweepsUntilTheirTime(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	j := sample(1, "w", manifest.SumOf([]byte("one")))
	if err := s.Hold(t.Context(), j.ID, []Pack{pack("early")}, start); err != nil {
		t.Fatal(err)
	}
	if freed, err := s.Sweep(t.Context(), start.Add(HoldTime)); err != nil || len(freed) != 0 {
		t.Fatalf("swept %v, %v", freed, err)
	}
	held, err := s.Held(t.Context(), j.ID)
	if err != nil || len(held) != 1 || held[0] != pack("early") {
		t.Fatalf("held %v, %v", held, err)
	}
	if freed, err := s.Sweep(t.Context(), start.Add(HoldTime+1)); err != nil || len(freed) != 1 {
		t.Fatalf("swept %v, %v", freed, err)
	}
}

func TestListPagesNewestFirst(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	var ids []string
	for seq := int64(1); seq <= 9; seq++ {
		j := sample(seq, fmt.Sprintf("w%d", seq%2), manifest.Sum{})
		if seq%3 == 0 {
			j.Name = "third"
		}
		accept(t, s, j)
		if seq < 8 {
			if seq == 7 {
				j.Reason = "it ended Oddly"
			}
			end(t, s, j, []manifest.State{manifest.Succeeded, manifest.Failed}[seq%2])
		}
		ids = append(ids, j.ID)
	}
	for _, c := range []struct {
		filter Filter
		want   []int64
	}{
		{Filter{Limit: 3}, []int64{9, 8, 7}},
		{Filter{Limit: 3, Before: 7}, []int64{6, 5, 4}},
		{Filter{Limit: 9, Name: "third"}, []int64{9, 6, 3}},
		{Filter{Limit: 9, Workspace: "w0"}, []int64{8, 6, 4, 2}},
		{Filter{Limit: 3, States: []manifest.State{manifest.Queued, manifest.Failed}}, []int64{9, 8, 7}},
		{Filter{Limit: 9, States: []manifest.State{manifest.Failed}, Before: 5}, []int64{3, 1}},
		{Filter{Limit: 9, Prefix: ids[4][:10]}, []int64{5}},
		{Filter{Limit: 9, Text: "HIR"}, []int64{9, 6, 3}},
		{Filter{Limit: 9, Text: "W0"}, []int64{8, 6, 4, 2}},
		{Filter{Limit: 9, Text: "oddly"}, []int64{7}},
	} {
		jobs, err := s.List(t.Context(), c.filter)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, j := range jobs {
			got = append(got, j.Seq)
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%+v: got %v, want %v", c.filter, got, c.want)
		}
	}
	live, err := s.Live(t.Context())
	if err != nil || len(live) != 2 || live[0].Seq != 8 {
		t.Errorf("live %v, %v", live, err)
	}
}

// BenchmarkHistory measures accepting and listing behind a long history.
func BenchmarkHistory(b *testing.B) {
	for _, n := range []int64{10, 200_000} {
		s, _ := open(b)
		fill(b, s, n)
		seq := n
		b.Run(fmt.Sprintf("accept/%d", n), func(b *testing.B) {
			for b.Loop() {
				seq++
				accept(b, s, sample(seq, "w", manifest.Sum{}))
			}
		})
		b.Run(fmt.Sprintf("list/%d", n), func(b *testing.B) {
			for b.Loop() {
				if jobs, err := s.List(b.Context(), Filter{Limit: 10}); err != nil || len(jobs) != 10 {
					b.Fatal(len(jobs), err)
				}
			}
		})
	}
}

func fill(b *testing.B, s *Store, n int64) {
	b.Helper()
	tx, err := s.relaxed.Begin()
	if err != nil {
		b.Fatal(err)
	}
	for seq := int64(1); seq <= n; seq++ {
		j := sample(seq, "w", manifest.Sum{})
		j.State, j.Ended = manifest.Succeeded, start
		if err := insert(b.Context(), tx, &j, []byte("spec")); err != nil {
			b.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
}
