package failpoint_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// A name without a step would be a fault that never strikes.
func TestEveryPointIsUsed(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("points.go")
	if err != nil {
		t.Fatal(err)
	}
	code := sources(t, "../../executor", "../../remote")
	listed := map[failpoint.Point]bool{}
	for _, points := range failpoint.Points() {
		for _, p := range points {
			listed[p] = true
		}
	}
	declared := 0
	for line := range strings.Lines(string(source)) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), " Point = ")
		if !ok || strings.HasPrefix(name, "//") {
			continue
		}
		declared++
		name = strings.TrimSpace(name)
		value := failpoint.Point(strings.Split(rest, `"`)[1])
		if !bytes.Contains(code, []byte("failpoint."+name+",")) && !bytes.Contains(code, []byte("failpoint."+name+")")) {
			t.Errorf("no step is called %s", name)
		}
		if !listed[value] {
			t.Errorf("%s is in no role's list", name)
		}
	}
	if declared != len(listed) || declared < 60 {
		t.Errorf("%d points are declared, %d listed", declared, len(listed))
	}
}

func sources(t *testing.T, dirs ...string) []byte {
	t.Helper()
	var all []byte
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			data, err := os.ReadFile(path)
			all = append(all, data...)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}
