package hosts

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration written as text: "10m", or "0" for none.
type Duration time.Duration

// UnmarshalText reads a duration that is not negative.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration such as 10m", text)
	}
	*d = Duration(v)
	return nil
}

// Patience is how long to go on without contact: "5m", "0" for not at all, or "forever".
type Patience time.Duration

// Forever is the patience that is never used up.
const Forever Patience = -1

// UnmarshalText reads a duration that is not negative, or "forever".
func (p *Patience) UnmarshalText(text []byte) error {
	if string(text) == "forever" {
		*p = Forever
		return nil
	}
	var d Duration
	if err := d.UnmarshalText(text); err != nil {
		return fmt.Errorf("%q is neither a duration such as 5m nor forever", text)
	}
	*p = Patience(d)
	return nil
}

// Size is a number of bytes written as text: "64MiB", "1 GB", "4096".
type Size int64

var units = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// UnmarshalText reads a size that is not negative.
func (s *Size) UnmarshalText(text []byte) error {
	word, factor := strings.TrimSpace(string(text)), int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(word, u.suffix); ok {
			word, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	v, err := strconv.ParseFloat(word, 64)
	if err != nil || !(v >= 0) || v*float64(factor) >= 1<<62 {
		return fmt.Errorf("%q is not a size such as 64MiB", text)
	}
	*s = Size(v * float64(factor))
	return nil
}
