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

func TestSizesAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"4096 B": 4096, "1b": 1, "200 GiB": 200 << 30, "200G": 200 << 30, "1.5 MiB": 3 << 19, "2tb": 2 << 40, "8k": 8 << 10,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "GiB", "4096", "0 KiB", "1 iB", "-1 GiB", "1 XiB", "1 KM", "1e30", "1 Gigabyte", "NaN"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q was taken for %d", text, got)
		}
	}
	// What is written can be read again.
	for _, n := range []int64{1, 1 << 10, 5 << 20, 7 << 40} {
		if got, err := ParseSize(Size(n)); err != nil || got != n {
			t.Errorf("%s: got %d, %v", Size(n), got, err)
		}
	}
}
