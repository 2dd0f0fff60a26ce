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
