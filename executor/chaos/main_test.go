//go:build failpoints && linux

package chaos

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Nearly all of it is waiting for other processes.
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if built != "" {
			os.RemoveAll(filepath.Dir(built))
		}
		if r, err := theReport(); err == nil && len(r.all) > 0 {
			fmt.Printf("\nseed %d\n%s\n", settings().seed, r.summary())
		}
		os.Exit(code)
	}))
}

var built string // what buildOnce left, for TestMain to remove

var buildOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "cxbin")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "cyclops")
	cmd := exec.Command("go", "build", "-tags", "failpoints", "-o", path, "../../cli/cyclops")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	built = path
	return path, os.Chmod(dir, 0o755) // a host's account may be another
})

// binary builds the whole client once, with its failpoints and for speed without the race detector.
func binary(t testing.TB) string {
	t.Helper()
	path, err := buildOnce()
	if err != nil {
		t.Fatalf("unable to build cyclops: %v", err)
	}
	return path
}
