package human

import (
	"testing"
	"time"
)

func TestAgesAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"30d": 30 * 24 * time.Hour, "12h": 12 * time.Hour, " 2 w ": 14 * 24 * time.Hour, "1.5h": 90 * time.Minute, "90m": 90 * time.Minute, "1s": time.Second,
	} {
		if got, err := ParseAge(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "30", "d", "0d", "-1d", "30 days", "1e300d", "NaNd", "30D"} {
		if got, err := ParseAge(text); err == nil {
			t.Errorf("%q was taken for %v", text, got)
		}
	}
}

func TestMomentsAreRead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.FixedZone("", 3600))
	for text, want := range map[string]time.Time{
		"2026-11-21": time.Date(2026, 11, 21, 0, 0, 0, 0, now.Location()), "2026-11-21T08:30": time.Date(2026, 11, 21, 8, 30, 0, 0, now.Location()),
		"2026-11-21T08:00:00Z": time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), "30m": now.Add(-30 * time.Minute), "1h30m": now.Add(-90 * time.Minute),
		"1.5h": now.Add(-90 * time.Minute), "0s": now, "2d": now.Add(-48 * time.Hour), "1w": now.Add(-7 * 24 * time.Hour),
	} {
		if got, err := ParseMoment(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "soon", "-2d", "-5m", "2x", "d", "2026-13-01", "NaNd", "1e300d"} {
		if got, err := ParseMoment(text, now); err == nil {
			t.Errorf("%q was taken for %v", text, got)
		}
	}
}
