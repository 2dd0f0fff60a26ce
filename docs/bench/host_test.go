//go:build bench && linux

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// measureStart asks how long an accepted job takes to run, and a whole run beside tsp on this machine.
func measureStart(l *lab) []Row {
	dir := l.mkdir("start")
	var start []float64
	for range n(40) {
		l.prepare(l.cyclops(dir, "run", "--bare", "--", "true"))
		var m manifest.Manifest
		if err := json.Unmarshal(l.prepare(l.cyclops(dir, "manifest", "show", "--json", "@1")), &m); err != nil {
			l.t.Fatal(err)
		}
		start = append(start, float64(m.Steps[0].Started.Sub(m.Accepted).Microseconds())/1000)
	}
	local := func() float64 { return l.time(l.cyclops(dir, "run", "-H", "local", "--bare", "--", "true")) }
	tsp := func() float64 {
		cmd := exec.Command("tsp", "-n", "-f", "true")
		cmd.Env = append(os.Environ(), "TS_SOCKET="+filepath.Join(l.dir, "tsp.sock"), "TMPDIR="+l.dir)
		return l.time(cmd)
	}
	row := pairs(n(40), Row{Work: "`run -H local -- true`, durable", Against: "`tsp -n -f true`, not durable"}, local, tsp)
	stop := exec.Command("tsp", "-K")
	stop.Env = append(os.Environ(), "TS_SOCKET="+filepath.Join(l.dir, "tsp.sock"))
	l.prepare(stop)
	l.prepare(l.cyclops(dir, "executor", "stop"))
	return []Row{{Work: "accepted → tool running, durable", Aim: "≤ 10 ms", Ours: start}, row}
}

// measureRest weighs an idle executor, the supervisor of a running job, and the binaries.
func measureRest(l *lab) []Row {
	dir := l.mkdir("rest")
	job := strings.TrimSpace(string(l.prepare(l.cyclops(dir, "submit", "--bare", "--", "sleep", "600"))))
	daemon, supervisor := l.process("serve"), l.process("supervise")
	running := pss(l, supervisor)
	l.prepare(l.cyclops(dir, "cancel", job))
	before := switches(l, daemon)
	time.Sleep(time.Duration(n(60)) * time.Second)
	woken := switches(l, daemon) - before
	rows := []Row{
		{Work: "executor idle for a minute, PSS", Unit: "MiB", Aim: "≤ 15 MB", Ours: []float64{pss(l, daemon)}},
		{Work: "its wake-ups in that minute", Unit: "", Aim: "0", Ours: []float64{woken}},
		{Work: "supervisor of a running job, PSS", Unit: "MiB", Aim: "≤ 6 MB", Ours: []float64{running}},
	}
	for _, binary := range []struct{ name, path, aim string }{{"cyclopsd", *cyclopsd, "≤ 12 MB"}, {"cyclops", *cyclops, ""}} {
		info, err := os.Stat(binary.path)
		if err != nil {
			l.t.Fatal(err)
		}
		rows = append(rows, Row{Work: "binary `" + binary.name + "`, stripped", Unit: "MiB", Aim: binary.aim, Ours: []float64{float64(info.Size()) / (1 << 20)}})
	}
	return rows
}

// process finds the executor's process of one role, by its command line and the lab's home.
func (l *lab) process(role string) int {
	l.t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, entry := range entries {
		line, _ := os.ReadFile(entry)
		environ, _ := os.ReadFile(filepath.Join(filepath.Dir(entry), "environ"))
		if bytes.Contains(line, []byte("\x00"+role)) && bytes.Contains(environ, []byte("HOME="+l.server.Home)) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(entry)))
			return pid
		}
	}
	l.t.Fatalf("no process of the executor does %q", role)
	return 0
}

// pss is the memory of a process in MiB, what it shares counted by its share.
func pss(l *lab, pid int) float64 {
	return number(l, fmt.Sprintf("/proc/%d/smaps_rollup", pid), `(?m)^Pss:\s+(\d+) kB`) / 1024
}

// switches is how often the threads of a process gave up the processor by themselves: each time
// something woke one.
func switches(l *lab, pid int) float64 {
	total := 0.0
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, task := range tasks {
		total += number(l, task, `(?m)^voluntary_ctxt_switches:\s+(\d+)`)
	}
	return total
}

func number(l *lab, path, pattern string) float64 {
	l.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		l.t.Fatal(err)
	}
	m := regexp.MustCompile(pattern).FindSubmatch(text)
	if m == nil {
		l.t.Fatalf("%s does not say %s", path, pattern)
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		l.t.Fatal(err)
	}
	return v
}
