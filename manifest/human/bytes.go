package human

import (
	"fmt"
	"strconv"
	"strings"
)

// Bytes is a number of bytes written as text: "64MiB", "1 GB", "4096".
type Bytes int64

var units = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// UnmarshalText reads a size that is not negative.
func (b *Bytes) UnmarshalText(text []byte) error {
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
	*b = Bytes(v * float64(factor))
	return nil
}
