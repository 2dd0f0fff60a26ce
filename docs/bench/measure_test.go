//go:build bench && linux

package bench

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

var (
	cyclops  = flag.String("cyclops", "", "the client to measure")
	cyclopsd = flag.String("cyclopsd", "", "the executor to install")
	write    = flag.String("write", "", "put the table into this page")
	only     = flag.String("only", "", "measure only the groups that match")
	scale    = flag.Float64("scale", 1, "share of the pairs and sizes, for a quick look")
)

// groups are measured one after another; each starts a server of its own.
var groups = []struct {
	name    string
	measure func(*lab) []Row
}{
	{"true", measureTrue},
	{"tree", measureTree},
	{"real", measureReal},
	{"far", measureFar},
	{"bulk", measureBulk},
	{"log", measureLog},
	{"start", measureStart},
	{"rest", measureRest},
	{"screen", measureScreen},
}

func TestMain(m *testing.M) {
	if lines := os.Getenv("BENCH_TICK"); lines != "" {
		tick(lines)
		return
	}
	os.Exit(m.Run())
}

func TestMeasure(t *testing.T) {
	var rows []Row
	for _, g := range groups {
		if !regexp.MustCompile(*only).MatchString(g.name) {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			found := g.measure(newLab(t))
			t.Logf("\n%s", Table(found))
			rows = append(rows, found...)
		})
	}
	page := machine() + "\n\n" + Table(rows)
	fmt.Println(page)
	if *write != "" && !t.Failed() {
		put(t, *write, page)
	}
}

// n scales a number of pairs, or a size.
func n(full float64) int { return max(1, int(full**scale)) }

func machine() string {
	cpu := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(info); m != nil {
			cpu = string(m[1])
		}
	}
	version := func(name string, args ...string) string {
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			return name + " of unknown version"
		}
		line, _, _ := strings.Cut(string(out), "\n")
		return strings.TrimSpace(line)
	}
	return fmt.Sprintf("%s, on %d cores of %s; %s; %s; %s.", time.Now().Format("2 January 2006"), runtime.NumCPU(), cpu,
		version(*cyclops, "version"), version("ssh", "-V"), version("rsync", "--version"))
}

func put(t *testing.T, name, table string) {
	t.Helper()
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	marks := regexp.MustCompile(`(?s)(<!-- begin[^>]*-->\n).*(<!-- end -->)`)
	if !marks.Match(page) {
		t.Fatalf("%s has no place for the table", name)
	}
	page = marks.ReplaceAllFunc(page, func(all []byte) []byte {
		m := marks.FindSubmatch(all)
		return []byte(string(m[1]) + "\n" + table + "\n" + string(m[2]))
	})
	if err := os.WriteFile(name, page, 0o644); err != nil {
		t.Fatal(err)
	}
}
