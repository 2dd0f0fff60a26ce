package remote

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// What a request that broke says must be for people: it named an address that nobody typed, and "EOF".
func TestABrokenRequestIsToldInWords(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{io.EOF, fmt.Errorf("read: %w", io.ErrUnexpectedEOF), syscall.ECONNREFUSED} {
		err := contactError(&url.Error{Op: "Post", URL: "http://executor/v1/drain", Err: cause})
		if text := err.Error(); strings.Contains(text, "http://") || strings.Contains(text, "EOF") || api.KindOf(err) != api.Unreachable {
			t.Errorf("%v is told as %q, kind %v", cause, text, api.KindOf(err))
		}
	}
}
