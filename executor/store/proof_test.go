package store

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// sound fails for every row whose proof is wrong.
func sound(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Check(t.Context(), true, func(d Damage) { t.Errorf("damaged: %+v", d) }); err != nil {
		t.Error(err)
	}
}

func TestADatabaseOfVersion1IsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/v1.sql")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "jobs.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(string(text)); err != nil {
		t.Fatal(err)
	}
	db.Close()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sound(t, s)
	j, err := s.Get(t.Context(), "abcdefghijklmnop")
	if err != nil || j.State != manifest.Failed || *j.ExitCode != 3 || j.About.Command != "make" || !j.Record.IsZero() {
		t.Errorf("got %+v, %v", j, err)
	}
	if partial, _, err := s.Partial(t.Context()); partial || err != nil {
		t.Errorf("it is taken for a new one: %v", err)
	}
	if value, err := s.Setting(t.Context(), "draining"); value != "true" || err != nil {
		t.Errorf("the setting is %q, %v", value, err)
	}
	if packs, err := s.Packs(t.Context()); len(packs) != 1 || packs[0].Size != 1234 || err != nil {
		t.Errorf("packs %+v, %v", packs, err)
	}
}

func TestADamagedRowIsNeverAnAnswer(t *testing.T) {
	t.Parallel()
	s, path := open(t)
	j, other := accept(t, s, sample(1, "w", manifest.Sum{})), accept(t, s, sample(2, "w", manifest.Sum{}))
	end(t, s, j, manifest.Failed)
	sound(t, s)
	if _, err := s.durable.Exec(`DROP TRIGGER jobs_changed; UPDATE jobs SET exit = 0 WHERE id = '` + j.ID + `'`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), j.ID); api.KindOf(err) != api.Corrupt || !IsDamaged(err) {
		t.Errorf("got %v", err)
	}
	if jobs, err := s.Live(t.Context()); err != nil || len(jobs) != 1 || jobs[0].ID != other.ID {
		t.Errorf("the queue: %+v, %v", jobs, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Salvage(context.Background(), path, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	s, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sound(t, s)
	if _, err := s.Get(t.Context(), j.ID); err != ErrNotFound {
		t.Errorf("the damaged row was taken over: %v", err)
	}
	if got, err := s.Get(t.Context(), other.ID); err != nil || got.State != manifest.Queued {
		t.Errorf("the sound one: %+v, %v", got, err)
	}
	if partial, _, err := s.Partial(t.Context()); !partial || err != nil {
		t.Errorf("what is missing would not be looked for: %v", err)
	}
}

// One damaged row of history failed each page that it was on: ps, gc and retention stood still.
func TestADamagedRowHidesNoOther(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	bad, good := accept(t, s, sample(1, "w", manifest.Sum{})), accept(t, s, sample(2, "w", manifest.Sum{}))
	end(t, s, bad, manifest.Failed)
	end(t, s, good, manifest.Failed)
	if _, err := s.durable.Exec(`DROP TRIGGER jobs_changed; UPDATE jobs SET exit = 0 WHERE id = '` + bad.ID + `'`); err != nil {
		t.Fatal(err)
	}
	if jobs, err := s.List(t.Context(), Filter{Limit: 10}); err != nil || len(jobs) != 1 || jobs[0].ID != good.ID {
		t.Errorf("listed %+v, %v", jobs, err)
	}
	if jobs, err := s.Ended(t.Context(), Job{}, 10); err != nil || len(jobs) != 1 || jobs[0].ID != good.ID {
		t.Errorf("ended %+v, %v", jobs, err)
	}
}
