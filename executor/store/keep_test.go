package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest"
)

func TestAPinnedJobStaysUntilItIsUnpinned(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	j := accept(t, s, sample(1, "w", manifest.Sum{}))
	all, err := s.Pin(t.Context(), []string{"none", j.ID}, true)
	if err != nil || !errors.Is(all[0].Err, ErrNotFound) || !all[1].Job.About.Pinned {
		t.Fatalf("%+v, %v", all, err)
	}
	end(t, s, j, manifest.Succeeded) // by somebody who read the job before it was pinned
	if got, err := s.Get(t.Context(), j.ID); err != nil || !got.About.Pinned || got.About.Command != "true" {
		t.Errorf("%+v, %v", got, err)
	}
	if freed, err := s.Remove(t.Context(), []string{j.ID}, start); err != nil || !errors.Is(freed[0].Err, ErrPinned) {
		t.Errorf("%+v, %v", freed, err)
	}
	if _, err := s.Pin(t.Context(), []string{j.ID}, false); err != nil {
		t.Fatal(err)
	}
	if freed, err := s.Remove(t.Context(), []string{j.ID}, start); err != nil || freed[0].Err != nil {
		t.Errorf("%+v, %v", freed, err)
	}
	if ids, err := s.Removed(t.Context()); err != nil || len(ids) != 1 || ids[0] != j.ID {
		t.Errorf("%v, %v", ids, err)
	}
}

func TestEndedPagesOldestEndFirst(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	for seq, ended := range []int{0, 3, 1, 0, 2, 1} { // 0: not
		j := accept(t, s, sample(int64(seq+1), "w", manifest.Sum{}))
		if ended > 0 {
			j.State, j.Ended = manifest.Failed, start.Add(time.Duration(ended)*time.Hour)
			if err := s.End(t.Context(), j); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got []int64
	for last := (Job{}); ; {
		page, err := s.Ended(t.Context(), last, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, j := range page {
			got = append(got, j.Seq)
		}
		last = page[len(page)-1]
	}
	if fmt.Sprint(got) != "[3 6 5 2]" {
		t.Errorf("got %v", got)
	}
	var plan string
	var n int
	err := s.read.QueryRow(`EXPLAIN QUERY PLAN SELECT seq FROM jobs WHERE ended > 0 AND (ended, seq) > (1, 1) ORDER BY ended, seq LIMIT 9`).Scan(&n, &n, &n, &plan)
	if err != nil || plan != "SEARCH jobs USING COVERING INDEX jobs_ended (ended>?)" {
		t.Errorf("it does not walk the index: %q, %v", plan, err)
	}
}

func TestIdlePacksAreThoseOfEndedJobs(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	one, two := manifest.SumOf([]byte("one")), manifest.SumOf([]byte("two"))
	ended := accept(t, s, sample(1, "w", one), pack("both"), pack("ended"))
	end(t, s, ended, manifest.Succeeded)
	accept(t, s, sample(2, "w", two), pack("both"))
	if err := s.Hold(t.Context(), manifest.NewID(), []Pack{pack("held")}, start); err != nil {
		t.Fatal(err)
	}
	if n, err := s.IdlePackBytes(t.Context(), start); err != nil || n != int64(len("ended")) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if packs, err := s.UnnamedPacks(t.Context(), start); err != nil || len(packs) != 0 {
		t.Errorf("%v, %v", packs, err)
	}
	later := start.Add(HoldTime + 1)
	if packs, err := s.UnnamedPacks(t.Context(), later); err != nil || len(packs) != 1 {
		t.Errorf("%v, %v", packs, err)
	}
	for word, want := range map[string]bool{"held": true, "both": false, "nobody's": true} {
		if got, err := s.ForgetPack(t.Context(), pack(word).Sum, later); err != nil || got != want {
			t.Errorf("pack %s: %t, %v", word, got, err)
		}
	}
	for name, want := range map[string]bool{"w": true, ended.ID: true, "other": false} {
		if got, err := s.Named(t.Context(), name); err != nil || got != want {
			t.Errorf("workspace %s: %t, %v", name, got, err)
		}
	}
}

// A start that is recorded behind a pin was begun before it, and must not take it away again.
func TestAPinStaysThroughStartAndEnd(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	j := accept(t, s, sample(1, "w", manifest.Sum{}))
	if _, err := s.Pin(t.Context(), []string{j.ID}, true); err != nil {
		t.Fatal(err)
	}
	j.Started = start
	if err := s.Start(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), j.ID); err != nil || !got.About.Pinned {
		t.Errorf("behind the start: pinned %v, %v", got.About.Pinned, err)
	}
	j.State, j.Ended = manifest.Succeeded, start
	if err := s.End(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), j.ID); err != nil || !got.About.Pinned {
		t.Errorf("behind the end: pinned %v, %v", got.About.Pinned, err)
	}
}
