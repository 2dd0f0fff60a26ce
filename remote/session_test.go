package remote

import (
	"io"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// A line that broke and never came back is told once, however often it was wrapped.
func TestLostContactIsSaidOnce(t *testing.T) {
	t.Parallel()
	err := lostContact("j", lostContact("j", io.EOF))
	if want := "lost contact with the host: EOF"; err.Error() != want || api.KindOf(err) != api.LostContact {
		t.Errorf("%q, want %q", err, want)
	}
}
