//go:build linux

package main

import (
	"testing"

	"github.com/cyclops-fpga/cyclops/remote/sshtest"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestParallelCallsOnAServerAsItComes needs as many channels as a server with sshd's own limits may refuse.
func TestParallelCallsOnAServerAsItComes(t *testing.T) {
	t.Parallel()
	p := params(t, sshtest.Start(t, sshtest.Options{Name: "lab"}))
	p.Dir = "testdata/sessions"
	testscript.Run(t, p)
}
