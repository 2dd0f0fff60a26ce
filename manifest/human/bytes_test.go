package human_test

import (
	"testing"

	"github.com/cyclops-fpga/cyclops/manifest/human"
)

func TestSizesAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]human.Bytes{
		"4096": 4096, "0": 0, "64MiB": 64 << 20, "1 GB": 1e9, "1.5 KiB": 1536, " 2 TiB ": 2 << 40, "10 B": 10, "3kB": 3000,
	} {
		var got human.Bytes
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "much", "-1", "1 XiB", "NaN", "9999999 TiB", "1e400"} {
		if err := new(human.Bytes).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for a size", text)
		}
	}
}
