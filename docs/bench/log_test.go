//go:build bench && linux

package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// measureLog compares the rate of a log with that of ssh, and the delay from write to screen.
func measureLog(l *lab) []Row {
	size := n(512 << 20)
	path := l.there("long.log")
	line := longLine + "\n"
	if err := os.WriteFile(path, bytes.Repeat([]byte(line), size/len(line)), 0o644); err != nil {
		l.t.Fatal(err)
	}
	dir, host := l.mkdir("log"), l.server.Name
	rate := func(cmd *exec.Cmd) float64 {
		cmd.Stdout = io.Discard
		return float64(size) / 1000 / l.time(cmd)
	}
	lines := n(1000)
	program, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	ours := l.delays(lines, l.cyclops(dir, "run", "--bare", "--", "env", "BENCH_TICK="+strconv.Itoa(lines), program))
	theirs := l.tail(lines, program)
	delay := func(q float64) Row {
		name := fmt.Sprintf("from write to screen, %g %% of %d lines within", q*100, lines)
		return Row{Work: name, Against: "`ssh host tail -f`", Aim: "p99 ≤ 10 ms + the link", Ours: []float64{Quantile(ours, q)}, Theirs: []float64{Quantile(theirs, q)}}
	}
	return []Row{
		pairs(n(5), Row{Work: fmt.Sprintf("log of %d MB, whole run", size/1_000_000), Unit: "MB/s", Against: "`ssh host cat`", Aim: "≥ 1"},
			func() float64 { return rate(l.cyclops(dir, "run", "--bare", "--", "cat", path)) },
			func() float64 { return rate(l.command(l.ssh(host, "cat", path))) }),
		delay(0.5), delay(0.99),
	}
}

// tail follows a file that grows as the job's log does.
func (l *lab) tail(lines int, program string) []float64 {
	path := l.there("growing.log")
	file, err := os.Create(filepath.Clean(path))
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	writer := exec.Command(program)
	writer.Env = append(os.Environ(), "BENCH_TICK="+strconv.Itoa(lines))
	writer.Stdout = file
	follow := l.command(l.ssh(l.server.Name, "tail", "-n", "+1", "-f", path))
	if err := writer.Start(); err != nil {
		l.t.Fatal(err)
	}
	defer func() { _ = writer.Wait() }()
	return l.delays(lines, follow)
}

// delays reads lines that carry the time they were written at, and returns how late each came in ms.
func (l *lab) delays(lines int, cmd *exec.Cmd) []float64 {
	l.t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	var late []float64
	for scanner := bufio.NewScanner(out); len(late) < lines && scanner.Scan(); {
		written, err := strconv.ParseInt(strings.TrimSpace(scanner.Text()), 10, 64)
		if err != nil {
			l.t.Fatal(err)
		}
		late = append(late, float64(time.Now().UnixNano()-written)/1e6)
	}
	if len(late) < lines {
		l.t.Fatalf("%s gave %d of %d lines: %v", cmd, len(late), lines, cmd.Wait())
	}
	_ = cmd.Process.Kill() // tail never ends by itself
	_ = cmd.Wait()
	return late[lines/10:] // what was written before the reader was there is not late
}

// tick writes the time every 5 ms: what this binary does as a job.
func tick(lines string) {
	count, _ := strconv.Atoi(lines)
	time.Sleep(500 * time.Millisecond)
	for range count {
		fmt.Println(time.Now().UnixNano())
		time.Sleep(5 * time.Millisecond)
	}
}
